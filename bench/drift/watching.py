"""Judges periods of answers with the functions of Monitor and WatchStream: what is a violation, and what lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from lambdas.watch_stream import periods as watch
from processing import statistics
from processing.evaluation import Evaluation
from processing.monitor import figures, sure_ones, violations
from processing.monitor.estimates import CORRECTION
from processing.monitor.labels import Labels, with_truth
from processing.monitor.lines import Tally
from processing.monitor.violations import Violation
from processing.photo_features import Features
from processing.statistics import Histogram

COLUMNS = ("confidence", *Features._fields)
REVIEW_SHARE = 0.02  # of the accepted answers: the monitoring pipeline's default


def labelled(answers: pd.DataFrame, draw: str) -> pd.DataFrame:
    """The answers with the labels that people give: `truth`, `wrong`, `source`.

    They see all answers that were not accepted and a sample of the others, and drivers at the wrong bay report it.
    `draw` names the sample.
    """
    named = answers.assign(identity=[f"{draw} {number}" for number in range(len(answers))])
    truth: dict[str, str] = {}
    sources: dict[str, str] = {}
    for row in (cast(Any, row) for row in named.itertuples()):
        if not row.accepted or sure_ones.is_chosen(row.identity, REVIEW_SHARE):
            truth[row.identity], sources[row.identity] = row.shown, "review"
        elif row.label != row.shown:
            truth[row.identity], sources[row.identity] = row.shown, CORRECTION
    return with_truth(named, Labels(truth, {}, sources, 0, Tally()))


def violated(answers: pd.DataFrame, baseline: Mapping[str, Histogram], evaluated: Evaluation) -> list[Violation]:
    """The violations in a period's labelled answers."""
    differences = statistics.compare(baseline, {name: answers[name].to_numpy() for name in COLUMNS})
    found = figures.build(answers, Tally(), Labels({}, {}, {}, 0, Tally()), None, differences)
    return violations.find(found, differences, evaluated)


def tested(answers: pd.DataFrame) -> tuple[dict[str, Histogram], Evaluation]:
    """Baseline and figures that Evaluate would write if these answers were those to the test photos."""
    right, taken = answers["label"] == answers["shown"], answers["accepted"]
    gate = {
        "accuracy": float(right.mean()),
        "coverage": float(taken.mean()),
        "accepted_precision": float(right[taken].mean()) if taken.any() else 0.0,
    }
    evaluated: Any = {"gate": gate, "test": {"count": len(answers), "per_class": {}}}
    return {name: Histogram.of(answers[name].to_numpy()) for name in COLUMNS}, evaluated


def alarms(found: Sequence[Sequence[Violation]]) -> list[bool]:
    """For each period, by its violations, whether the alarm is on after it."""
    told: list[dict[str, Any]] = []
    states = []
    for number, one in enumerate(found):
        # Only the order of the times matters.
        told = watch.added(told, watch.period({}, one, "1", f"2026-01-01T00:00:00.{number:06}"))
        states.append(bool(watch.lasting(told)))
    return states


def drawn(answers: pd.DataFrame, count: int, rng: np.random.Generator) -> pd.DataFrame:
    """So many of the answers at random, each at most once."""
    return answers.iloc[rng.choice(len(answers), count, replace=False)]
