"""What earlier periods of monitoring said, and which violations last. Pure.

A violation lasts when it was found in the latest period and in at least one of the two before it, all of the same
version: a single odd period says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

KEY = "monitoring/periods.json"
KEPT = 500  # periods
_LOOKED_AT, _NEEDED = 3, 2
_FIGURES = (
    "count",
    "share_above",
    "share_unknown",
    "accuracy",
    "accepted_precision",
    "labelled",
    "accepted_labelled",
    "neither",
    "threshold",
    "review_queue_age_hours",
)

Period = dict[str, Any]


def period(monitoring: Mapping[str, Any], violations: Sequence[Mapping[str, Any]], version: str, time: str) -> Period:
    """One period: its time (ISO 8601, UTC), the version in service, its main figures, and each violation's sentence."""
    return {
        "time": time,
        "version": version,
        "violations": {str(one["feature_name"]): str(one["description"]) for one in violations},
        **{name: monitoring.get(name) for name in _FIGURES},
        "estimates": monitoring.get("estimates", {}),
    }


def added(earlier: Sequence[Period], latest: Period) -> list[Period]:
    """The periods with one more, the newest last. One that is told twice (a step repeated) is there once."""
    others = [one for one in earlier if one["time"] != latest["time"]]
    return sorted([*others, latest], key=lambda one: str(one["time"]))[-KEPT:]


def lasting(periods: Sequence[Period]) -> dict[str, str]:
    """The violations that last, by name: the time of the first period of each."""
    same = list(_of_this_version(periods))  # the newest first
    found = {}
    for name in same[0]["violations"] if same else ():
        here = [name in one["violations"] for one in same]
        if sum(here[:_LOOKED_AT]) < _NEEDED:
            continue
        at = 0  # of the oldest period that belongs to it: single periods without it do not end it
        for place, violated in enumerate(here):
            if violated:
                at = place
            elif place - at > 1:
                break
        found[name] = str(same[at]["time"])
    return found


def _of_this_version(periods: Sequence[Period]) -> Iterator[Period]:
    for one in reversed(periods):
        if one["version"] != periods[-1]["version"]:
            return
        yield one


def sentences(periods: Sequence[Period]) -> dict[str, str]:
    """For each violation that lasts one sentence: what changed, by how much, since when."""
    return {
        name: f"{periods[-1]['violations'][name]}, since {_in_words(since)}" for name, since in lasting(periods).items()
    }


def alarm(before: str, latest: Period, lasts: bool) -> str:
    """The name of the alarm, "" while no violation lasts: the same from its beginning to its end, and no other has it.

    `before` is the name after the period before. It is made of the version in service and the time of the beginning.
    """
    if not lasts:
        return ""
    version = f"v{latest['version']}-"
    return before if before.startswith(version) else f"{version}{str(latest['time']).replace(':', '')}"


def begun(periods: Sequence[Period]) -> dict[str, str]:
    """The sentences of the violations that last now and did not in the period before."""
    before = lasting(periods[:-1]) if len(periods) > 1 and periods[-2]["version"] == periods[-1]["version"] else {}
    return {name: sentence for name, sentence in sentences(periods).items() if name not in before}


def _in_words(time: str) -> str:
    """`Monday 2026-11-23 14:00 UTC`."""
    return f"{datetime.fromisoformat(time):%A %Y-%m-%d %H:%M} UTC"
