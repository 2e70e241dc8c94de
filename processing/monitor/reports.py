"""Draws the pictures of monitoring: stream.png, the answers in their order, and report.png, the model as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
from PIL import Image

from processing.captions import caption
from processing.evaluation import Evaluation
from processing.monitor.captures import read_photo
from processing.monitor.figures import Monitoring
from processing.monitor.panels import (
    ACCEPTED,
    GREY,
    LEFT,
    PALE,
    REFUSED,
    STYLE,
    TEXT,
    UNKNOWN,
    WRONG,
    confusion,
    headline,
    headline_height,
    learning,
    nothing,
    reliability,
    stream,
)

SHOWN = 500  # points of the stream
PHOTOS, MISTAKES, COLUMNS = 60, 12, 12
WIDTH, ROW_HEIGHT, STREAM_HEIGHT = 16.0, 1.6, 3.4  # inches
MAX_PICTURE_BYTES = 4 << 20


def _thumbnail(fig: Any, box: tuple[float, float, float, float], answer: Any) -> None:
    """Draw one photo in a frame of its outcome's colour, its answer above, and the truth below a wrong one."""
    ax = fig.add_axes(box)
    photo = read_photo(answer.path, answer.offset, answer.number)
    colour = UNKNOWN if answer.unknown else REFUSED if answer.unsure else WRONG if answer.wrong else ACCEPTED
    if photo is None:
        nothing(ax, "no photo\ncaptured")
    else:
        side = max(photo.size)
        square = Image.new("RGB", (side, side), PALE)
        square.paste(photo, ((side - photo.width) // 2, (side - photo.height) // 2))
        ax.imshow(square, interpolation="nearest" if side <= 64 else "antialiased")
        ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color=colour, linewidth=2.2)
    mark = "∅" if answer.unknown else "?" if answer.unsure else "✗" if answer.wrong else "✓"
    words = f"{mark} {caption(answer.label, 12)} {answer.confidence:.2f}"
    ax.set_title(words, fontsize=8, fontweight="normal", color=TEXT.get(colour, colour), pad=3, loc="center")
    if answer.wrong:
        ax.set_xlabel(f"is {caption(str(answer.truth), 12)}", fontsize=8, color=WRONG, labelpad=2)


def _grid(fig: Any, top: float, answers: pd.DataFrame, title: str, note: str) -> None:
    """Draw rows of thumbnails below `top` (inches from the upper edge)."""
    width, height = fig.get_size_inches()
    fig.text(LEFT / width, 1 - top / height, title, fontsize=12, fontweight="bold", va="top")
    fig.text(LEFT / width, 1 - (top + 0.26) / height, note, fontsize=10, color=GREY, va="top")
    cell = (0.97 * width - LEFT + 0.1) / COLUMNS
    for number, answer in enumerate(answers.itertuples()):
        row, column = divmod(number, COLUMNS)
        left, lower = LEFT + column * cell, top + 0.7 + row * ROW_HEIGHT + (cell - 0.2)
        _thumbnail(fig, (left / width, 1 - lower / height, (cell - 0.2) / width, (cell - 0.2) / height), answer)


def draw_stream(path: Path, answers: pd.DataFrame, found: Monitoring, evaluation: Evaluation | None) -> None:
    """stream.png: the recent stream of confidence against the threshold, and its distribution."""
    with mpl.rc_context(STYLE):
        top = headline_height(found) + 0.9
        fig = plt.figure(figsize=(WIDTH, top + STREAM_HEIGHT + 0.56))
        headline(fig, found, evaluation, "What the endpoint answered")
        stream(*_stream_axes(fig, top), answers[-SHOWN:])
        _save(fig, path)


def _axes(fig: Any, left: float, wide: float, top: float, tall: float) -> Any:
    """Axes at shares of the width and inches from the upper edge."""
    height = fig.get_size_inches()[1]
    return fig.add_axes((left, 1 - (top + tall) / height, wide, tall / height))


def _stream_axes(fig: Any, top: float) -> tuple[Any, Any]:
    return _axes(fig, 0.05, 0.76, top, STREAM_HEIGHT), _axes(fig, 0.83, 0.14, top, STREAM_HEIGHT)


def draw_report(
    path: Path,
    answers: pd.DataFrame,
    found: Monitoring,
    evaluation: Evaluation | None,
    history: Sequence[Mapping[str, Any]],
) -> None:
    """report.png: stream, learning curves, confusion, reliability, the latest photos, the worst mistakes."""
    recent = answers[-PHOTOS:]
    wrong = recent[recent["wrong"]].sort_values("confidence", ascending=False, kind="stable")[:MISTAKES]
    stream_top = headline_height(found) + 0.87
    model_top = stream_top + STREAM_HEIGHT + 1.15
    photos_top = model_top + 4.4
    mistakes_top = photos_top + 0.7 + -(-len(recent) // COLUMNS) * ROW_HEIGHT + 0.15
    height = mistakes_top + (0.7 + ROW_HEIGHT + 0.15 if len(wrong) else 0.8)
    with mpl.rc_context(STYLE):
        fig = plt.figure(figsize=(WIDTH, height))
        headline(fig, found, evaluation, "Loading Bay: the photos that were classified, and the model that did it")
        stream(*_stream_axes(fig, stream_top), answers[-SHOWN:])
        upper, lower = _axes(fig, 0.05, 0.27, model_top, 1.9), _axes(fig, 0.05, 0.27, model_top + 2.1, 1.4)
        learning(upper, lower, history)
        confusion(_axes(fig, 0.40, 0.22, model_top, 3.5), evaluation)
        reliability(_axes(fig, 0.71, 0.26, model_top, 3.5), answers, evaluation)
        which = f"latest {len(recent)} of {len(answers):,} photos" if len(recent) < len(answers) else "photos"
        title = f"The {which} that were classified, each with its answer and confidence"
        legend = "✓ accepted, and routed     ? not sure enough, for a person to see     ✗ routed by mistake"
        if recent["unknown"].any():
            legend += "     ∅ nothing that it knows, for a person to see"
        if len(wrong):
            legend += "     in red below: what it really shows"
        _grid(fig, photos_top, recent, title, legend)
        known = recent["truth"].notna().sum()
        routed = wrong["accepted"].sum()
        if len(wrong):
            note = f"{routed} of these {len(wrong)} reached the threshold and were routed; the others went to a person"
        elif known:
            note = f"none: all {known} answers whose label is known are right"
        else:
            note = "not known: no labels have arrived"
        _grid(fig, mistakes_top, wrong, "The most confident mistakes among them", note)
        _save(fig, path)


def _save(fig: Any, path: Path) -> None:
    """Writes the picture; a large one again, coarser."""
    for dpi in (110, 70, 45):
        fig.savefig(path, dpi=dpi, metadata={"Software": None})
        if path.stat().st_size <= MAX_PICTURE_BYTES:
            break
    plt.close(fig)
