"""Writes what the bench measured as a page. Pure: no file is read or written here."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from scipy.stats import binomtest

from bench.drift.measures import AN_HOUR, HOURS, PERIOD, STREAMS, won_back
from bench.model.report import COLUMNS, mean_and_interval

GOAL_ALARMS, GOAL_WON = 1 / 500, 2 / 3
_FIGURES = ("accuracy", "accepted", "precision")

Seeds = Sequence[Mapping[str, Any]]


def markdown(result: Mapping[str, Any]) -> str:
    """The page; lines of at most 120 columns but for tables."""
    seeds: Seeds = result["seeds"]
    photos = seeds[0]["photos"]
    labels = list(next(iter(seeds[0]["cameras"].values()))["after"])
    command = f".venv-image/bin/python -m bench.drift.run {result['options']}"
    parts = [
        "# What drift costs, and what retraining wins back",
        f"Written by `{command}`; do not edit.",
        _prose(
            f"Seeds {', '.join(str(one['seed']) for one in seeds)}; {result['machine']}. With each seed a version is "
            f"trained, {photos['test']} photos are its test photos and {photos['stream']} the stream. Three cameras "
            "change the stream: askew (turned by 40 degrees, the corners black), out of focus (blurred by 1.6 of 32 "
            "pixels) and night (a fifth of the light, less colour). Shares of periods have 95 % intervals by Wilson, "
            "means over the seeds by Student's t."
        ),
        "## Alarms without drift",
        *_false_alarms(seeds),
        "## From drift to alarm",
        *_until_alarm(seeds),
        "## What retraining wins back",
        *_won(seeds, labels),
        *(_winnable(seeds, labels) if labels and "ceiling" in next(iter(seeds[0]["cameras"].values())) else []),
    ]
    return "\n\n".join(parts) + "\n"


def _prose(words: str) -> str:
    return textwrap.fill(words, COLUMNS, break_long_words=False, break_on_hyphens=False)


def share(count: int, of: int) -> str:
    """`3 of 1,000 (0.1 % to 0.9 %)`."""
    interval = binomtest(count, of).proportion_ci(method="wilson")
    return f"{count:,} of {of:,} ({interval.low:.1%} to {interval.high:.1%})".replace("%", " %")


def over_seeds(values: Sequence[float | None]) -> str:
    """`0.81 ± 0.05` over those seeds where the figure is known."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    if not known:
        return "not known"
    mean, half = mean_and_interval(known)
    return f"{mean:.2f}" + ("" if half is None else f" ± {half:.2f}")


def _false_alarms(seeds: Seeds) -> list[str]:
    """The part about periods in which nothing changed."""
    rows = [
        "| photos a period | periods that name a violation | alarms that begin | goal | named |",
        "|---|---|---|---|---|",
    ]
    for size in seeds[0]["false_alarms"]:
        found = [one["false_alarms"][size] for one in seeds]
        periods, named, alarms = (sum(one[key] for one in found) for key in ("periods", "named_something", "alarms"))
        names = _names(one["names"] for one in found)
        # A division that gives one period has no alarm, which takes two: there the periods themselves are judged.
        alone = seeds[0]["photos"]["stream"] < 2 * int(size)
        rung = "none can: one period a division" if alone else share(alarms, periods)
        met = "reached" if (named if alone else alarms) <= GOAL_ALARMS * periods else "missed"
        rows.append(f"| {size} | {share(named, periods)} | {rung} | at most 1 in 500: {met} | {names} |")
    why = _prose(
        "All photos are divided at random, again and again, into test photos, of which the baseline is made, and a "
        "stream. The alarm begins when a violation is found in two of three periods."
    )
    return [why, "\n".join(rows)]


def _until_alarm(seeds: Seeds) -> list[str]:
    """The part about how soon the alarm rings, by camera."""
    rows = [
        f"| camera | periods of {PERIOD} photos: median, most | hours of {AN_HOUR} photos: median, most | not noticed |"
        " named by the alarm |",
        "|---|---|---|---|---|",
    ]
    for camera in seeds[0]["cameras"]:
        found = [one["cameras"][camera] for one in seeds]
        periods = [taken for one in found for taken in one["until_alarm"]["periods"]]
        hours = [taken for one in found for taken in one["hours"]]
        missed = sum(taken is None for taken in [*periods, *hours])
        names = _names(one["until_alarm"]["names"] for one in found)
        rows.append(
            f"| {camera} | {_middle(periods)} | {_middle(hours)} | {missed} of {len(periods) + len(hours)} | {names} |"
        )
    why = _prose(
        f"{STREAMS} streams with each seed. An alarm takes two periods at least. By hours: the schedule and the window "
        f"of the template, which looks each hour at the last {HOURS} hours, of which the drift takes an hour more each "
        "time."
    )
    return [why, "\n".join(rows)]


def _middle(taken: Sequence[int | None]) -> str:
    known = [one for one in taken if one is not None]
    return f"{statistics.median(known):g}, {max(known)}" if known else "none"


def _names(counts: Any) -> str:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return ", ".join(f"{name} {count}" for name, count in total.most_common()) or "nothing"


def _won(seeds: Seeds, labels: Sequence[str]) -> list[str]:
    """The part about retraining, by camera and the number of labels (a key of `after`)."""
    if not labels:
        return ["Not measured."]
    why = _prose(
        "Measured on the half of the stream that nobody labelled: version 1 before the drift, version 1 on the changed "
        "photos, and version 2, which was trained with labels of the other half, on the same changed photos. Won back "
        "is the share of the loss, by the means over the seeds; it is not told where the drift cost less than 0.02. "
        "`registered` says with how many seeds the gate would have registered version 2."
    )
    limits = _prose(
        "The cameras change light, colour, blur and the angle as Stage carries them over to older photos, with other "
        "strengths than it was tried on; a real camera changes otherwise too, and less of a loss may be won back. A "
        "turn is known by its dark corners: one without them is learned from the labelled photos alone. A blur is "
        "undone as far as it has left what can be sharpened; the detail that it took for good does not come back."
    )
    rows = [
        "| camera | labels | figure | before | drifted | retrained | won back | goal: two thirds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    after = ["| camera | labels | registered | recent test, version 1 and 2 | accuracy on photos of before the drift |"
             " periods with a violation after approval | named |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for camera in seeds[0]["cameras"]:
        for most in labels:
            found = [one["cameras"][camera] for one in seeds]
            later = [one["after"][most] for one in found]
            used = f"{statistics.fmean(one['labels'] for one in later):.0f}"
            for name in _FIGURES:
                columns = [
                    [one["calm"][name] for one in seeds],
                    [one["drifted"][name] for one in found],
                    [one["drifted"][name] for one in later],
                ]
                rows.append(
                    f"| {camera} | {used} | {name} | {' | '.join(map(over_seeds, columns))} | {_part(columns)} |"
                )
            gates = [one["gate"] for one in later]
            registered = sum(bool(gate["better_on_recent"] and gate["not_worse_than_champion"]) for gate in gates)
            lately = " and ".join(
                over_seeds([gate[key] for gate in gates]) for key in ("recent_champion_accuracy", "recent_accuracy")
            )
            quiet = [one["approval"] for one in later]
            named = share(sum(one["named_something"] for one in quiet), sum(one["periods"] for one in quiet))
            calm = over_seeds([one["calm"]["accuracy"] for one in later])
            names = _names(one["names"] for one in quiet)
            after.append(
                f"| {camera} | {used} | {registered} of {len(later)} | {lately} | {calm} | {named} | {names} |"
            )
    return [why, "\n".join(rows), "\n".join(after), limits]


def _winnable(seeds: Seeds, labels: Sequence[str]) -> list[str]:
    """The part about the ceiling: what the same recipe reaches that has all older photos as the camera takes them."""
    why = _prose(
        "The ceiling is what the same training reaches with all older photos as the changed camera takes them, which "
        "nobody has but a bench: it knows the change exactly, and needs no labels. What it does not win back is "
        "hardly to be won by more labels. Retraining has fewer photos of after the change, but real ones, and can "
        "therefore pass it. Won of the winnable is the share of what the ceiling wins back. The last column's "
        "intervals are those of the differences, seed by seed. What was tried to win more is in the log, on "
        "2026-11-26."
    )
    rows = [
        "| camera | labels | figure | ceiling | ceiling wins back | won of the winnable | retrained less ceiling |",
        "|---|---|---|---|---|---|---|",
    ]
    for camera in seeds[0]["cameras"]:
        found = [one["cameras"][camera] for one in seeds]
        for most in labels:
            used = f"{statistics.fmean(one['after'][most]['labels'] for one in found):.0f}"
            for name in ("accuracy", "accepted"):
                columns = [
                    [one["calm"][name] for one in seeds],
                    [one["drifted"][name] for one in found],
                    [one["ceiling"][name] for one in found],
                ]
                after = [one["after"][most]["drifted"][name] for one in found]
                apart = over_seeds([mine - best for mine, best in zip(after, columns[2], strict=True)])
                won, part = (_part(each).split(" | ")[0] for each in (columns, [columns[2], columns[1], after]))
                rows.append(f"| {camera} | {used} | {name} | {over_seeds(columns[2])} | {won} | {part} | {apart} |")
    return ["## What there is to win back", why, "\n".join(rows)]


def _part(columns: Sequence[Sequence[float]]) -> str:
    """Won back, by the means, and whether that is enough: two cells of the table."""
    known = [[value for value in column if not math.isnan(value)] for column in columns]
    if not all(known):
        return "not known | "
    before, drifted, after = map(statistics.fmean, known)
    won = won_back(before, drifted, after) if before - drifted >= 0.02 else None
    return " | " if won is None else f"{won:.0%} | {'reached' if won >= GOAL_WON else 'missed'}".replace("%", " %")
