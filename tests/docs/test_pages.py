"""The pages: complete, and readable in a terminal."""

import re
from pathlib import Path

import pytest

from tests.docs.tracked import ROOT, tracked

TRACKED = tracked()
MOST_COLUMNS = 120
PAGES = [name for name in TRACKED if name.endswith(".md")]


def _prose(page: str) -> list[str]:
    """The lines of a page that are neither code nor rows of a table; none of a page that a command writes."""
    text = (ROOT / page).read_text("utf-8")
    if re.search(r"[Ww]ritten by `|Generated from|do not edit", text[:600]):
        return []
    lines = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M).splitlines()
    return [line for line in lines if not line.lstrip().startswith("|")]


@pytest.mark.parametrize("page", PAGES)
def test_a_line_of_prose_fits_a_terminal(page):
    assert not [line for line in _prose(page) if len(line) > MOST_COLUMNS]


@pytest.mark.parametrize("page", PAGES)
def test_a_link_leads_to_a_file(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.S)
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)
    missing = [link for link in links if not ((ROOT / page).parent / link).exists()]
    assert not missing


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = {Path(page).name for page in PAGES if Path(page).parent == Path("docs")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


def test_the_architecture_names_every_folder():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    folders = {Path(name).parts[0] for name in TRACKED if name.endswith(".py") and "/" in name}
    assert {folder for folder in folders if f"`{folder}/`" not in text} == set()


@pytest.mark.parametrize("record", [page for page in PAGES if page.startswith("docs/decisions/")])
def test_a_decision_says_its_status_and_date(record):
    assert re.search(
        r"^Status: (accepted|superseded by .+) · Date: \d{4}-\d\d-\d\d$", (ROOT / record).read_text(), re.M
    )


def test_decisions_are_numbered_without_gaps():
    numbers = sorted(int(Path(page).name[:4]) for page in PAGES if page.startswith("docs/decisions/"))
    assert numbers == list(range(1, len(numbers) + 1))
