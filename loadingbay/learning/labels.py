"""Stores what photos really showed, in SageMaker's Ground Truth form, which Model Monitor's merge and others read.

The form is described at https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html: JSON
lines below `labels/yyyy/mm/dd/hh/` (UTC, of the time of the label), each with the inference id as `eventId`. Labels are
only ever added: of several for one inference id the latest counts, and the others stay as history.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadingbay.errors import UsageError

PREFIX = "labels/"
NEITHER = "neither"
"""The label of a photo that shows none of the classes."""


@dataclass(frozen=True)
class Label:
    """What one photo showed: a class name or `neither`.

    `source` says how it came to be known: `review` (a person looked at a photo from the queue), `correction` (somebody
    told it afterwards) or `known` (the photo was sent with its label). `author` is the person's name.
    """

    inference_id: str
    truth: str
    source: str
    author: str
    time: datetime

    def line(self) -> str:
        """The label as one line of JSON without a line end."""
        return json.dumps(
            {
                "groundTruthData": {"data": self.truth, "encoding": "CSV"},
                "eventMetadata": {
                    "eventId": self.inference_id,
                    "labelTime": self.time.astimezone(UTC).isoformat(timespec="microseconds"),
                    "labelSource": self.source,
                    "labelAuthor": self.author,
                },
                "eventVersion": "0",
            }
        )


def store(s3: Any, bucket: str, labels: Sequence[Label]) -> list[str]:
    """Writes the labels, one object for each hour that they were given in; returns the keys.

    An object's name is made of the time and a hash of its content, so storing the same labels twice leaves one object.
    """
    hours: dict[str, list[Label]] = {}
    for label in sorted(labels, key=lambda one: one.time):
        hours.setdefault(f"{label.time.astimezone(UTC):%Y/%m/%d/%H}", []).append(label)
    keys = []
    for hour, given in hours.items():
        body = "".join(f"{label.line()}\n" for label in given).encode()
        name = f"{given[0].time.astimezone(UTC):%Y%m%dT%H%M%S%fZ}-{hashlib.sha256(body).hexdigest()[:12]}.jsonl"
        keys.append(f"{PREFIX}{hour}/{name}")
        s3.put_object(Bucket=bucket, Key=keys[-1], Body=body, ContentType="application/jsonlines")
    return keys


def check_truth(truth: str, classes: Sequence[str]) -> str:
    """The label as it is stored. Raises UsageError when it is neither `neither` nor one of the model's classes."""
    if truth == NEITHER or truth in classes:
        return truth
    raise UsageError(
        f"{truth!r} is none of this model's classes ({', '.join(classes)}); "
        f"a photo of something else is labelled {NEITHER!r}"
    )


def read_file(path: Path) -> list[tuple[str, str]]:
    """(inference id, label) of each line of a file: CSV with these two columns, or JSON lines.

    JSON lines are `{"inferenceId": ..., "label": ...}` or SageMaker's Ground Truth form. A first CSV line of
    `inferenceId,label` (or `inference_id,label`) is taken as the heading. Raises UsageError with the line's number.
    """
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    lines = text.splitlines()
    pairs = _json_lines(path, lines) if text.lstrip().startswith("{") else _csv_lines(path, lines)
    if not pairs:
        raise UsageError(f"{path} holds no labels: write one `INFERENCE_ID,LABEL` a line")
    return pairs


def _csv_lines(path: Path, lines: Iterable[str]) -> list[tuple[str, str]]:
    """The pairs (inference id, label) of CSV lines, without a heading; UsageError names the file and the line."""
    pairs = []
    for number, row in enumerate(csv.reader(lines), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and cells[0].lower() in {"inferenceid", "inference_id"}):
            continue
        if len(cells) != 2 or not all(cells):
            raise UsageError(f"{path}, line {number}: expected `INFERENCE_ID,LABEL`, got {','.join(row)!r:.100}")
        pairs.append((cells[0], cells[1]))
    return pairs


def _json_lines(path: Path, lines: Iterable[str]) -> list[tuple[str, str]]:
    """The pairs (inference id, label) of JSON lines, `{"inferenceId", "label"}` or SageMaker's ground truth records.

    UsageError names the file and the line that is neither.
    """
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            if "groundTruthData" in entry:
                found = entry["eventMetadata"]["eventId"], entry["groundTruthData"]["data"]
            else:
                found = entry["inferenceId"], entry["label"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UsageError(f"{path}, line {number}: expected inferenceId and label, got {line!r:.100}") from error
        if not all(isinstance(part, str) and part.strip() for part in found):
            raise UsageError(f"{path}, line {number}: inference id and label must be text, got {line!r:.100}")
        pairs.append((found[0].strip(), found[1].strip()))
    return pairs
