"""Reads what the photos really showed, and joins it to the answers.

Read are JSON lines in SageMaker's Ground Truth form, `{"groundTruthData": {"data": .., "encoding": "CSV"},
"eventMetadata": {"eventId": ..}}` (https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html),
older ones of our own, `{"inferenceId": .., "label": ..}`, and CSV with the columns `inferenceId` (or `eventId`) and
`label`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from processing.monitor.lines import UNREADABLE, Line, Tally, parse, read, text

NEITHER = "neither"  # the label of a photo that shows none of the classes
CLOCKS = timedelta(minutes=5)  # by so much clocks may differ
_HEADINGS = {"inferenceid", "inference_id", "eventid", "event_id"}


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


def read_labels(folder: Path | None, now: datetime | None = None) -> Labels:
    """All labels below a folder, which may be missing. Of several for one id that of the latest `labelTime` counts, or
    else the last.

    A time that is more than CLOCKS after `now` (this moment) comes from a wrong clock: such a label counts as the
    oldest, or it would win over every correction until that time has come.
    """
    labels = Labels({}, {}, {}, 0, Tally())
    latest = (now or datetime.now(UTC)) + CLOCKS
    for line in read(folder, (".jsonl", ".csv"), labels.tally) if folder and folder.exists() else ():
        try:
            for identity, label, time, source in _entries(line):
                at = _time(time)
                time = at.isoformat(timespec="microseconds") if at else ""
                if at and at > latest:
                    labels.from_the_future += 1
                    time = ""
                if label is None:
                    labels.not_yet += 1
                elif time >= labels.times.get(identity, ""):
                    labels.truth[identity] = text(label)
                    labels.times[identity], labels.sources[identity] = time, source
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


def _entries(line: Line) -> Iterator[tuple[str, Any, str, str]]:
    """(id, label or None, time, source) in a line, "" for a missing time or source. Raises one of UNREADABLE."""
    if line.path.suffix.lower() == ".csv":
        (row,) = csv.reader([line.content.decode("utf-8-sig").strip()])
        identity, label = (cell.strip() for cell in row)
        if identity.lower() not in _HEADINGS:
            yield text(identity), label or None, "", ""
        return
    entry = parse(line.content)
    if "groundTruthData" in entry:
        about, data = entry["eventMetadata"], entry["groundTruthData"]
        if data is not None and data.get("encoding", "CSV") not in ("CSV", "JSON"):
            raise ValueError("a label is text")
        time, source = (str(about.get(name, "")) for name in ("labelTime", "labelSource"))
        yield text(about["eventId"]), data and data["data"], time, source
    else:
        yield text(entry.get("inferenceId") or entry["eventId"]), entry["label"], "", ""


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
