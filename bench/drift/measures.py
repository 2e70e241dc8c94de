"""The figures: false alarms, periods from drift to alarm, and how much of the loss retraining wins back."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from bench.drift import watching
from bench.drift.versions import Version

PERIOD = 60  # photos
CALM_BEFORE, MOST = 3, 12  # periods before the drift, and after it until the alarm is given up
HOURS, AN_HOUR = 24, 15  # the window as the template has it, and photos an hour
STREAMS = 8  # drawn from the same answers


def false_alarms(test: pd.DataFrame, stream: pd.DataFrame, periods: int, size: int, seed: int) -> dict[str, Any]:
    """How many of so many periods of `size` photos name a violation, and how many alarms begin, without any drift.

    The photos are divided at random anew as often as they are used up: into test photos, of which the baseline is made,
    and a stream of periods that have no photo in common.
    """
    rng = np.random.default_rng([seed, size])
    photos = pd.concat([test, stream], ignore_index=True)
    named: Counter[str] = Counter()
    done = wrong = begun = 0
    while done < periods:
        mixed = photos.iloc[rng.permutation(len(photos))]
        baseline, evaluated = watching.tested(mixed.iloc[: len(test)])
        rest = mixed.iloc[len(test) :]
        count = min(len(rest) // size, periods - done)
        found = [
            watching.violated(
                watching.labelled(rest.iloc[at * size : (at + 1) * size], f"{seed} {done} {at}"), baseline, evaluated
            )
            for at in range(count)
        ]
        named.update(one["feature_name"] for each in found for one in each)
        wrong += sum(map(bool, found))
        begun += _begun(watching.alarms(found))
        done += count
    return {"periods": done, "named_something": wrong, "alarms": begun, "names": dict(named)}


def _begun(states: list[bool]) -> int:
    return sum(now and not before for before, now in zip([False, *states], states, strict=False))


def until_alarm(version: Version, calm: pd.DataFrame, drifted: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Periods of PERIOD photos from the first drifted one to the alarm, of each of STREAMS streams; None without one.

    `names` says which figures the alarms named.
    """
    rng = np.random.default_rng(seed)
    taken, names = [], Counter[str]()
    for number in range(STREAMS):
        parts = [calm] * CALM_BEFORE + [drifted] * MOST
        found = [
            watching.violated(
                watching.labelled(watching.drawn(part, PERIOD, rng), f"{seed} {number} {at}"),
                version.baseline,
                version.evaluated,
            )
            for at, part in enumerate(parts)
        ]
        states = watching.alarms(found)
        rung = next((at for at, on in enumerate(states) if on and at >= CALM_BEFORE), None)
        taken.append(None if rung is None else rung - CALM_BEFORE + 1)
        if rung is not None:
            names.update(one["feature_name"] for one in found[rung])
    return {"periods": taken, "names": dict(names)}


def hours_until_alarm(version: Version, calm: pd.DataFrame, drifted: pd.DataFrame, seed: int) -> list[int | None]:
    """Hours from the drift's beginning to the alarm of each of STREAMS streams of AN_HOUR photos an hour.

    Each hour the last HOURS hours are looked at, as the template's schedule does by default.
    """
    rng = np.random.default_rng([seed, HOURS])
    return [_hours(version, calm, drifted, rng, f"{seed} {number}") for number in range(STREAMS)]


def _hours(
    version: Version, calm: pd.DataFrame, drifted: pd.DataFrame, rng: np.random.Generator, draw: str
) -> int | None:
    """Hours from the drift to the alarm of one stream; None if the alarm does not ring within HOURS."""
    before = watching.drawn(calm, min(HOURS * AN_HOUR, len(calm)), rng)
    after = watching.drawn(drifted, min(HOURS * AN_HOUR, len(drifted)), rng)
    found = []
    for hour in range(HOURS + 1):
        window = pd.concat([before.iloc[hour * AN_HOUR :], after.iloc[: hour * AN_HOUR]], ignore_index=True)
        found.append(watching.violated(watching.labelled(window, draw), version.baseline, version.evaluated))
        if hour and watching.alarms(found)[-1]:
            return hour
    return None


def after_approval(version: Version, drifted: pd.DataFrame, seed: int) -> dict[str, Any]:
    """How often the retrained version's own baseline finds something in the stream that it was trained for."""
    rng = np.random.default_rng(seed)
    found = [
        watching.violated(
            watching.labelled(watching.drawn(drifted, PERIOD, rng), f"{seed} after {at}"),
            version.baseline,
            version.evaluated,
        )
        for at in range(CALM_BEFORE * STREAMS)
    ]
    named = Counter(one["feature_name"] for each in found for one in each)
    return {"periods": len(found), "named_something": sum(map(bool, found)), "names": dict(named)}


def shares(answers: pd.DataFrame) -> dict[str, float]:
    """Accuracy, accepted share, and the precision of what is accepted, of answers whose truth is `shown`."""
    right, taken = answers["label"] == answers["shown"], answers["accepted"]
    return {
        "accuracy": float(right.mean()),
        "accepted": float(taken.mean()),
        "precision": float(right[taken].mean()) if taken.any() else float("nan"),
    }


def won_back(before: float, drifted: float, after: float) -> float | None:
    """Share of what the drift cost that the retrained version wins back; None where the drift cost nothing."""
    return (after - drifted) / (before - drifted) if before > drifted else None
