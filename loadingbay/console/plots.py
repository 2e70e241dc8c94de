"""Figures as shapes in the coordinates of an SVG of 320 by 180: what `plot.html` draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise

WIDTH, HEIGHT = 320, 180
_NOTHING = 1.01  # a threshold that no confidence reaches
LEFT, RIGHT, TOP, BOTTOM = 40, 16, 18, 30
Point = tuple[float, float]


@dataclass(frozen=True)
class Band:
    """A vertical stripe of the whole height, from `at` on, `width` wide, with a word at its top."""

    style: str
    at: float
    width: float
    word: str


@dataclass(frozen=True)
class Plot:
    """Lines and dots of one picture. `title` is what a screen reader says; `lines` and `dots` are (style, shape).

    `areas` are (style, points of the outline). A tick that is a moment is written in the reader's zone.
    """

    title: str
    across: str
    up: str
    ticks_across: tuple[tuple[float, str | datetime], ...]
    ticks_up: tuple[tuple[float, str], ...]
    lines: tuple[tuple[str, str], ...] = ()
    dots: tuple[tuple[str, float, float, float], ...] = ()
    bands: tuple[Band, ...] = ()
    areas: tuple[tuple[str, str], ...] = ()
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class Share:
    """A share at a moment, with its 95 % interval if it has one, of the version that was in service."""

    time: datetime
    version: str
    value: float | None
    interval: tuple[float, float] | None = None


def x(value: float, lowest: float = 0.0, highest: float = 1.0) -> float:
    """Where a value lies from left to right."""
    return round(LEFT + (WIDTH - LEFT - RIGHT) * _part(value, lowest, highest), 1)


def y(value: float, lowest: float = 0.0, highest: float = 1.0) -> float:
    """Where a value lies from bottom to top."""
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * _part(value, lowest, highest), 1)


def _part(value: float, lowest: float, highest: float) -> float:
    return min(1.0, max(0.0, (value - lowest) / ((highest - lowest) or 1.0)))


def _line(points: Sequence[Point], lowest: float, highest: float) -> str:
    return " ".join(f"{x(across)},{y(up, lowest, highest)}" for across, up in points)


def _shares(lowest: float = 0.0, highest: float = 1.0) -> tuple[tuple[float, str], ...]:
    middle = (lowest + highest) / 2
    return tuple((y(value, lowest, highest), f"{value:.0%}") for value in (lowest, middle, highest))


_ACROSS = tuple((x(value), f"{value:.0%}") for value in (0.0, 0.5, 1.0))


def reliability(versions: Sequence[tuple[str, Sequence[dict[str, float]]]]) -> Plot:
    """How often the answers of a confidence were right, of each version (name, bins of evaluation.json)."""
    lines = [("even", _line([(0, 0), (1, 1)], 0, 1))]
    dots = []
    for number, (_, bins) in enumerate(versions):
        full = [one for one in bins if one.get("count")]
        lines.append((f"s{number}", _line([(one["confidence"], one["accuracy"]) for one in full], 0, 1)))
        dots += [(f"s{number}", x(one["confidence"]), y(one["accuracy"]), 2.5) for one in full]
    title = "Reliability: share that was right against confidence; on the diagonal, confidence is honest"
    return Plot(title, "confidence", "right", _ACROSS, _shares(), tuple(lines), tuple(dots))


def risk_coverage(versions: Sequence[tuple[str, dict[str, Sequence[float]]]]) -> Plot:
    """The share of wrong answers when only the surest are given, of each version (name, risk_coverage)."""
    most = max([0.05, *(max(curve.get("risk") or [0.0]) for _, curve in versions)])
    lines = tuple(
        (f"s{number}", _line(list(zip(curve.get("coverage", ()), curve.get("risk", ()), strict=False)), 0, most))
        for number, (_, curve) in enumerate(versions)
    )
    title = "Risk and coverage: share of wrong answers when so many of the surest are given"
    return Plot(title, "answered", "wrong", _ACROSS, _shares(0, most), lines)


def stream(answers: Sequence[tuple[float, bool]], threshold: float | None) -> Plot:
    """Confidence of the newest answers (confidence, whether acted upon), the oldest on the left, and the threshold."""
    lowest = min([0.5, *(confidence for confidence, _ in answers)])
    step = 1 / max(len(answers) - 1, 1)
    dots = tuple(
        ("accepted" if accepted else "refused", x(number * step), y(confidence, lowest, 1.0), 2.2)
        for number, (confidence, accepted) in enumerate(answers)
    )
    lines = (("threshold", _line([(0, threshold), (1, threshold)], lowest, 1.0)),) if threshold is not None else ()
    title = f"Confidence of the newest {len(answers)} answers against the threshold"
    return Plot(title, "older to newer", "confidence", (), _shares(lowest), lines, dots)


def over_time(series: Sequence[tuple[str, Sequence[Share]]]) -> Plot:
    """Shares over time, one line for each (style, shares), with the versions in service as bands behind them.

    All series are of the same moments, in their order. An interval is an area; where a value is missing the line has a
    gap.
    """
    moments = [(one.time, one.version) for one in series[0][1]]
    first, last = (moments[0][0], moments[-1][0]) if moments else (datetime.min, datetime.min)
    seconds = (last - first).total_seconds() or 1.0
    values = [value for _, shares in series for one in shares for value in (one.value, *(one.interval or ()))]
    lowest = min([0.9, *(value for value in values if value is not None)])

    def place(time: datetime) -> float:
        # A single moment lies in the middle.
        return (time - first).total_seconds() / seconds if last > first else 0.5

    lines, dots, areas = [], [], []
    for style, shares in series:
        for known, run in groupby(shares, key=lambda one: one.value is not None):
            if not known:
                continue
            found = [(place(one.time), one.value, one.interval) for one in run if one.value is not None]
            lines.append((style, _line([(at, value) for at, value, _ in found], lowest, 1.0)))
            dots += [(style, x(at), y(value, lowest), 2.2) for at, value, _ in found]
            outline = [(at, i[1]) for at, _, i in found if i] + [(at, i[0]) for at, _, i in found[::-1] if i]
            if outline:
                areas.append((style, _line(outline, lowest, 1.0)))
    # A version's stripe begins half-way between the last period of the one before and its own first one.
    changes = [a[0] + (b[0] - a[0]) / 2 for a, b in pairwise(moments) if a[1] != b[1]]
    named = [version for version, _ in groupby(version for _, version in moments)]
    edges = [LEFT, *(x(place(time)) for time in changes), WIDTH - RIGHT]
    bands = tuple(
        Band(f"b{number % 2}", edges[number], round(edges[number + 1] - edges[number], 1), version)
        for number, version in enumerate(named)
    )
    ticks = tuple({x(place(time)): time for time in (first, last)}.items()) if moments else ()
    title = "Share that was acted upon, and share that was right, of each period of monitoring"
    return Plot(title, "end of the period", "share", ticks, _shares(lowest), tuple(lines), tuple(dots), bands,
                tuple(areas))  # fmt: skip


def cost(curves: Sequence[tuple[str, Sequence[Point], float, float]], where: str) -> Plot:
    """The cost of a thousand photos against the threshold, a line for each (name, points, own threshold, cheapest).

    Points are (threshold, cost). What accepts much may cost so much that it is cut off at the top.
    """
    marked = [
        (number, style, threshold, next((value for at, value in points if at >= threshold), points[-1][1]))
        for number, (_, points, own, best) in enumerate(curves)
        if points
        for style, threshold in (("refused", own), ("accepted", best))
    ]
    ends = [points[-1][1] for _, points, _, _ in curves if points]
    most = max([1.0, *(3 * value for *_, value in marked), *(1.2 * value for value in ends)])
    lowest = min([0.9, *(threshold for _, points, _, _ in curves for threshold, _ in points)])
    width = (_NOTHING - lowest) or 1.0
    lines = tuple(
        (f"s{number}", _line([((at - lowest) / width, value) for at, value in points], 0, most))
        for number, (_, points, _, _) in enumerate(curves)
    )
    dots = tuple((style, x((at - lowest) / width), y(value, 0, most), 4.0) for _, style, at, value in marked)
    ticks = tuple((x((at - lowest) / width), f"{at:.2f}") for at in (lowest, (lowest + 1) / 2, 1.0))
    up = tuple((y(value, 0, most), f"{value:,.0f}") for value in (0.0, most / 2, most))
    named = ", ".join(name for name, *_ in curves if len(curves) > 1)
    title = f"Cost of a thousand photos against the threshold, {where}" + (f"; a line each: {named}" if named else "")
    return Plot(title, "threshold", "cost", ticks, up, lines, dots)


def costs(versions: Sequence[tuple[Sequence[Point], float | None]]) -> Plot:
    """The cost of a thousand photos against the threshold, of each version (points, its own threshold, marked)."""
    known = [points for points, _ in versions if points]
    most = max([1.0, *(value for points in known for _, value in points)])
    lowest = min([0.9, *(threshold for points in known for threshold, _ in points)])
    width = (1.0 - lowest) or 1.0
    lines, dots = [], []
    for number, (points, own) in enumerate(versions):
        lines.append((f"s{number}", _line([((at - lowest) / width, value) for at, value in points], 0, most)))
        if own is not None and points:
            # The cost of the first threshold that is no lower: between two nothing changes.
            value = next((value for at, value in points if at >= own), points[-1][1])
            dots.append((f"s{number}", x((own - lowest) / width), y(value, 0, most), 4.0))
    ticks = tuple((x(share), f"{lowest + share * width:.2f}") for share in (0.0, 0.5, 1.0))
    up = tuple((y(value, 0, most), f"{value:,.0f}") for value in (0.0, most / 2, most))
    title = (
        "Cost of a thousand photos against the threshold, on the test photos; the dot is the version's own threshold"
    )
    return Plot(title, "threshold", "cost", ticks, up, tuple(lines), tuple(dots))
