"""Makes any text safe to draw: names of classes come from data and from captured answers."""

from __future__ import annotations


def caption(name: str, most: int = 40) -> str:
    """The name for a picture: at most `most` characters, none of which Matplotlib reads as a formula or cannot draw."""
    short = name if len(name) <= most else name[: most - 1] + "…"
    drawn = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in short)
    return drawn.replace("$", r"\$")
