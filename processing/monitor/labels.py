"""Reads what the photos really showed, and joins it to the answers.

Read are JSON lines in SageMaker's Ground Truth form, `{"groundTruthData": {"data": .., "encoding": "CSV"},
"eventMetadata": {"eventId": ..}}` (https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html),
older ones of our own, `{"inferenceId": .., "label": ..}`, and CSV with the columns `inferenceId` (or `eventId`) and
`label`: in any order where the first line names them, separated by commas, semicolons or tabs.
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
    columns: dict[Path, tuple[int, int]] = {}
    for line in read(folder, (".jsonl", ".csv"), labels.tally) if folder and folder.exists() else ():
        try:
            for identity, label, time, source in _entries(line, columns):
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


def _entries(line: Line, columns: dict[Path, tuple[int, int]]) -> Iterator[tuple[str, Any, str, str]]:
    """(id, label or None, time, source) in a line, "" for a missing time or source. Raises one of UNREADABLE.

    `columns` are the places of id and label in each CSV file whose headings have been read.
    """
    if line.path.suffix.lower() == ".csv":
        content = line.content.decode("utf-8-sig").strip("\r\n")
        cells = [cell.strip() for cell in _cells(content, max(",;\t", key=content.count))]
        names = [cell.lower() for cell in cells]
        identified = next((place for place, name in enumerate(names) if name in _HEADINGS), None)
        if identified is not None:
            columns[line.path] = identified, names.index("label") if "label" in names else 1 - identified
        elif line.path in columns:
            identity, label = (cells[place] for place in columns[line.path])
            yield text(identity), label or None, "", ""
        else:
            identity, label = cells
            yield text(identity), label or None, "", ""
        return
    entry = parse(line.content)
    if "groundTruthData" in entry:
        about, data = entry["eventMetadata"], entry["groundTruthData"]
        time, source = (str(about.get(name, "")) for name in ("labelTime", "labelSource"))
        yield text(about["eventId"]), _label(data) if data else None, time, source
    else:
        yield text(entry.get("inferenceId") or entry["eventId"]), entry["label"], "", ""


def _label(data: Mapping[str, Any]) -> Any:
    """The label in a `groundTruthData`, None where there is none yet; one of UNREADABLE when it is no text."""
    value, encoding = data["data"], data.get("encoding", "CSV")
    if value is None or (encoding == "JSON" and not value.startswith('"')):
        return value
    if encoding == "JSON":
        return parse(value)
    if encoding != "CSV":
        raise ValueError("a label is text")
    (cell,) = _cells(value.strip())
    return cell


def _cells(content: str, delimiter: str = ",") -> list[str]:
    """The cells of one line of CSV; one of UNREADABLE for another number of lines."""
    (row,) = csv.reader([content], delimiter=delimiter, strict=True)
    return row


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
