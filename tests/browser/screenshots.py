"""What pages were shown, and pictures of some: `SCREENSHOTS=docs make browser` writes them."""

import os
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

VISITED: set[str] = set()
"""The addresses, with their queries, that any page of these tests has shown."""
COLOURS = 128
"""Of a picture's palette: pages have few colours, and the files stay small."""


def screenshot(page: Page, name: str, *, dark: bool = False) -> None:
    """Writes `console-<name>.png` into the folder that SCREENSHOTS names, if it does; with `dark` `-dark.png`, too."""
    folder = os.environ.get("SCREENSHOTS")
    if not folder:
        return
    page.wait_for_load_state("load")  # its photos, too
    if dark:
        page.emulate_media(color_scheme="dark")
        _write(page, Path(folder) / f"console-{name}-dark.png")
    page.emulate_media(color_scheme="light")
    _write(page, Path(folder) / f"console-{name}.png")


def _write(page: Page, place: Path) -> None:
    page.screenshot(path=place, full_page=True)
    with Image.open(place) as picture:
        picture.convert("RGB").quantize(COLOURS).save(place, optimize=True)
