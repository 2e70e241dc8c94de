"""Works out what monitoring.json says: shares, accuracy once labels arrive, and drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypedDict

import pandas as pd

from processing.evaluation import Evaluation
from processing.monitor.drift import drift
from processing.monitor.estimates import Estimate, estimates
from processing.monitor.labels import NEITHER, Labels
from processing.monitor.lines import Tally
from processing.statistics import Difference


class Monitoring(TypedDict):
    """What monitoring.json says. Shares are of all answers; accuracies of those whose label is known, None without."""

    data_label: str | None  # of the models that answered, the most frequent
    count: int
    first: str
    last: str
    threshold: float  # of the latest answer
    share_above: float  # accepted, and routed
    share_below: float  # not accepted
    share_unsure: float  # in distribution, but below the confidence threshold (ConfidenceThresholdNotMet)
    share_unknown: float  # not in distribution (NotAVehicleWeKnow, SeveralVehicles)
    unsure: int
    unknown: int
    several: int  # of these, those whose halves show different classes (SeveralVehicles)
    mean_confidence: float
    answers: dict[str, int]
    labelled: int
    accepted_labelled: int
    neither: int  # labelled as none of the classes
    accuracy: float | None
    accepted_precision: float | None
    mistakes: int
    accepted_mistakes: int
    not_yet_labelled: int
    labels_from_the_future: int  # by a clock that is wrong
    labels_without_answer: int  # of answers that were not captured, or of an id that is mistyped
    unreadable_lines: int
    unreadable_labels: int
    unreadable_files: list[str]
    ignored_files: list[str]
    drift: dict[str, Any]  # of the confidence
    estimates: dict[str, Estimate | None]  # of the whole stream, by the method of estimates.py
    violations: list[str]  # names of the figures in constraint_violations.json
    differences: dict[str, dict[str, float]]  # from the test photos, by column: the fields of statistics.Difference


def build(
    answers: pd.DataFrame,
    unread: Tally,
    labels: Labels,
    evaluation: Evaluation | None,
    differences: Mapping[str, Difference],
    without_answer: int = 0,
) -> Monitoring:
    """The figures of a table of answers with truth, which is not empty.

    `without_answer` is how many labels are of no captured answer; `differences` are those of its columns from the test
    photos; `violations` is left empty.
    """
    known = answers[answers["truth"].notna()]
    taken = known[known["accepted"]]
    kinds = answers.loc[answers["data_label"] != "", "data_label"]
    shares = answers[["accepted", "unsure", "unknown"]].mean()
    return Monitoring(
        data_label=None if kinds.empty else str(kinds.value_counts().index[0]),
        count=len(answers),
        first=str(answers["time"].iloc[0]),
        last=str(answers["time"].iloc[-1]),
        threshold=float(answers["threshold"].iloc[-1]),
        share_above=float(shares["accepted"]),
        share_below=float(1 - shares["accepted"]),
        share_unsure=float(shares["unsure"]),
        share_unknown=float(shares["unknown"]),
        unsure=int(answers["unsure"].sum()),
        unknown=int(answers["unknown"].sum()),
        several=int((answers["unknown"] & answers["several"].astype(bool)).sum()),
        mean_confidence=float(answers["confidence"].mean()),
        answers={str(name): int(count) for name, count in answers["label"].value_counts().sort_index().items()},
        labelled=len(known),
        accepted_labelled=len(taken),
        neither=int((known["truth"] == NEITHER).sum()),
        accuracy=None if known.empty else float(1 - known["wrong"].mean()),
        accepted_precision=None if taken.empty else float(1 - taken["wrong"].mean()),
        mistakes=int(known["wrong"].sum()),
        accepted_mistakes=int(taken["wrong"].sum()),
        not_yet_labelled=labels.not_yet,
        labels_from_the_future=labels.from_the_future,
        labels_without_answer=without_answer,
        unreadable_lines=unread.lines,
        unreadable_labels=labels.tally.lines,
        unreadable_files=[*unread.files, *labels.tally.files],
        ignored_files=[*unread.ignored, *labels.tally.ignored],
        drift=drift(answers["confidence"].to_numpy(), evaluation),
        estimates=estimates(answers),
        violations=[],
        differences={name: asdict(one) for name, one in differences.items()},
    )
