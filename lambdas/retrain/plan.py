"""Whether to train a version with what people labelled, and why. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from .dataset import TRAIN, Dataset, Photo, build

_BY_HAND = "by-hand-"  # begins the name under which a retraining without an alarm is kept
_MAX_REASON = 900  # SageMaker takes descriptions of 1,024 characters


class Outcome(StrEnum):
    """What a plan leads to: a training is started, or the reason why none is."""

    NOTHING = "nothing to do"
    RUNNING = "a training runs"
    COOLING = "too soon"
    WAITING = "too few labels"
    DONE = "trained already"
    START = "start"


@dataclass(frozen=True)
class Settings:
    """`min_labels` new labels are needed, `cool_down_hours` after the last retraining; of the labelled photos
    `recent_percent` are only tested on, and at most `most` are taken, the newest."""

    min_labels: int
    cool_down_hours: float
    recent_percent: int
    most: int


@dataclass(frozen=True)
class Alarm:
    """An alarm that is on: the same name from its beginning to its end, and what it says, a sentence a violation."""

    name: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """A retraining that was begun: for which alarm, when, on which photos and with which parameters.

    `execution` is "" until the pipeline was started, and `status` that of the execution. `refused` is why SageMaker did
    not take it.
    """

    alarm: str
    time: datetime
    photos: frozenset[tuple[str, str]]  # (name, truth)
    parameters: Mapping[str, str]
    execution: str = ""
    status: str = ""
    refused: str = ""

    @property
    def gave_nothing(self) -> bool:
        """Whether no version can come of it any more: it failed, was stopped, or was never taken."""
        return bool(self.refused) or self.status in {"Failed", "Stopped"}


@dataclass(frozen=True)
class State:
    """What S3 and SageMaker say: the alarm, earlier retrainings, the execution that runs, and the labelled photos.

    `deleted` is how many labelled photos are not in S3 any more, and so not among `photos`. `parameters` are those of
    the newest execution that succeeded, with the costs of the approved version, empty without one; `classes` what the
    model knows.
    """

    now: datetime
    alarm: Alarm | None
    records: Sequence[Record]
    running: str
    photos: Sequence[Photo]
    parameters: Mapping[str, str]
    classes: Sequence[str]
    champion: str = ""
    deleted: int = 0


@dataclass(frozen=True)
class Plan:
    """What to do, and why in one sentence. START comes with the alarm's name, the data set and all parameters."""

    outcome: Outcome
    because: str
    alarm: str = ""
    dataset: Dataset | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The plan as a JSON object, for the log and the function's answer."""
        said: dict[str, Any] = {"outcome": self.outcome.value, "because": self.because, "alarm": self.alarm}
        if self.dataset:
            counts = {part: self.dataset.count(part) for part in ("train", "recent")}
            said |= {"photos": counts, "data_set": self.dataset.sha256}
        return said | {"parameters": dict(self.parameters)}


def token(alarm: str) -> str:
    """The ClientRequestToken of the execution for an alarm: SageMaker starts one execution for each."""
    return hashlib.sha256(alarm.encode()).hexdigest()


def plan_retraining(state: State, settings: Settings, by_hand: bool = False) -> Plan:
    """The plan. `by_hand`: somebody asked, so neither an alarm nor a pause is needed, and one new label is enough.

    What gave nothing is not repeated for an alarm. By hand it is: its labels count as new, and it has another name.
    """
    dataset = build(state.photos, state.classes, settings.recent_percent, settings.most)
    labels = {(name, truth) for name, truth, _ in dataset.entries}
    counted = [record for record in state.records if not (by_hand and record.gave_nothing)]
    last = max(counted, key=lambda record: record.time, default=None)
    new = labels - last.photos if last else labels
    alarm = _name_by_hand(state, dataset) if by_hand else state.alarm.name if state.alarm else ""
    if not alarm:
        return Plan(Outcome.NOTHING, "the drift alarm is off; `loadingbay retrain` trains with the labels all the same")
    mine = next((record for record in state.records if record.alarm == alarm), None)
    if mine and (mine.execution or mine.refused):
        return Plan(Outcome.DONE, _became(mine), alarm)
    if not state.parameters:
        return Plan(Outcome.NOTHING, "no training has succeeded that could be repeated", alarm)
    if state.running:
        return Plan(Outcome.RUNNING, f"a training runs already: {state.running}", alarm)
    if mine:
        return Plan(Outcome.START, "it was begun and not started", alarm, dataset, mine.parameters)
    cool = settings.cool_down_hours
    if last and not by_hand and state.now - last.time < timedelta(hours=cool):
        until = last.time + timedelta(hours=cool)
        return Plan(Outcome.COOLING, f"the last retraining began at {last.time:%Y-%m-%d %H:%M} UTC; the next may begin "
                    f"at {until:%Y-%m-%d %H:%M} UTC", alarm)  # fmt: skip
    needed = 1 if by_hand else settings.min_labels
    left_out = len(state.photos) - len(dataset.entries)
    rest = f" ({left_out} are not of {', '.join(state.classes)}, or too old)" if left_out else ""
    rest += f" ({state.deleted} labelled photos were deleted from S3)" if state.deleted else ""
    if len(new) < needed or not dataset.count(TRAIN):
        return Plan(Outcome.WAITING, f"{len(new)} new labels of the {needed} that are needed{rest}", alarm)
    sentences = state.alarm.sentences if state.alarm else ()
    why = "; ".join(sentences) or "asked for by hand"
    gone = f", {state.deleted} without their photos, which were deleted, left out" if state.deleted else ""
    reason = f"{why[:_MAX_REASON]}; {len(new)} new labels{gone}"
    return Plan(Outcome.START, reason, alarm, dataset, _parameters(state, reason))


def _parameters(state: State, reason: str) -> dict[str, str]:
    """All parameters of the execution but the list of photos, whose address the execution knows."""
    return {
        **{name: value for name, value in state.parameters.items() if name != "LabelledPhotos"},
        "Reason": " ".join(reason.split()),
        "RegisteredModel": "none",
        **({"Champion": state.champion} if state.champion else {}),
    }


def _name_by_hand(state: State, dataset: Dataset) -> str:
    """Return the name of a retraining by hand with these photos; another one after each that gave nothing."""
    name = f"{_BY_HAND}{dataset.sha256}"
    nothing = sum(record.alarm.startswith(name) and record.gave_nothing for record in state.records)
    return f"{name}-{nothing}" if nothing else name


def _became(record: Record) -> str:
    """Say in a sentence what became of a retraining that was begun for the alarm, or by hand."""
    what = "these labels" if record.alarm.startswith(_BY_HAND) else "this alarm"
    if record.refused:
        return f"SageMaker refused the training for {what}, which is not repeated: {record.refused}"
    if record.gave_nothing:
        how = "was stopped" if record.status == "Stopped" else "failed"
        return f"the training for {what} {how} and is not repeated: {record.execution}"
    return f"the training for {what} was started: {record.execution}"
