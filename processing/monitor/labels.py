"""Reads what the photos really showed, from files whose lines label_lines takes, and joins it to the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from processing.monitor.label_lines import Csv, of_json
from processing.monitor.lines import UNREADABLE, Tally, read, text

NEITHER = "neither"  # the label of a photo that shows none of the classes
CLOCKS = timedelta(minutes=5)  # by so much clocks may differ


@dataclass
class Labels:
    """Labels by inference id or event id, with their times and sources ("" where they do not say).

    `not_yet` is how many entries say that there is no label yet, and `from_the_future` how many have a time that has
    not come yet. Times are in UTC and in one form, so that their text has their order.
    """

    truth: dict[str, str]
    times: dict[str, str]
    sources: dict[str, str]
    not_yet: int
    tally: Tally
    from_the_future: int = 0

    def without(self, answers: pd.DataFrame) -> int:
        """How many labels are of none of the answers: of older ones, or of an id that is mistyped."""
        return len(self.truth.keys() - set(answers["identity"]) - set(answers["event"]))


def read_labels(folder: Path | None, now: datetime | None = None) -> Labels:
    """All labels below a folder, which may be missing. Of several for one id that of the latest `labelTime` counts, or
    else the last.

    A time that is more than CLOCKS after `now` (this moment) comes from a wrong clock: such a label counts as the
    oldest, or it would win over every correction until that time has come.
    """
    labels = Labels({}, {}, {}, 0, Tally())
    latest = (now or datetime.now(UTC)) + CLOCKS
    tables: dict[Path, Csv] = {}
    for line in read(folder, (".jsonl", ".csv"), labels.tally) if folder and folder.exists() else ():
        try:
            if line.path.suffix.lower() == ".csv":
                entry = tables.setdefault(line.path, Csv()).entry(line.content.decode("utf-8-sig"))
            else:
                entry = of_json(line.content)
            if entry is None:
                continue
            at = _time(entry.time)
            time = at.isoformat(timespec="microseconds") if at else ""
            if at and at > latest:
                labels.from_the_future += 1
                time = ""
            if entry.label is None:
                labels.not_yet += 1
            elif time >= labels.times.get(entry.identity, ""):
                labels.truth[entry.identity] = text(entry.label)
                labels.times[entry.identity], labels.sources[entry.identity] = time, entry.source
        except UNREADABLE:
            labels.tally.lines += 1
    return labels


def _time(text: str) -> datetime | None:
    """A time of ISO 8601 in UTC, which it is in when it names no zone; None for another text."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)


def with_truth(answers: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """The answers with `truth`, what the photo showed (None where it is not known), and `wrong`, a known mistake;
    `label_time` and `source` are the label's.

    Labels are found by inference id, else by event id. An answer to a photo of none of the classes is a mistake when it
    was accepted; as one that a person has to look at it is right.
    """

    def looked_up(values: Mapping[str, str]) -> pd.Series:
        return answers["identity"].map(values).fillna(answers["event"].map(values)).astype(object)

    found = looked_up(labels.truth)
    known = found.notna()
    neither = found == NEITHER
    wrong = known & ((~neither & (found != answers["label"])) | (neither & answers["accepted"]))
    return answers.assign(
        truth=found.where(known, None),
        wrong=wrong,
        label_time=looked_up(labels.times).fillna(""),
        source=looked_up(labels.sources).fillna(""),
    )
