"""Stores what photos really showed, in SageMaker's Ground Truth form, which Model Monitor's merge and others read.

The form is described at https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html: JSON
lines below `labels/yyyy/mm/dd/hh/` (UTC, of the time of the label), each with the inference id as `eventId`. Labels are
only ever added: of several for one inference id the latest counts, and the others stay as history.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadingbay.errors import UsageError
from processing.monitor.label_lines import Csv, of_json
from processing.monitor.lines import UNREADABLE, text

PREFIX = "labels/"
NEITHER = "neither"
"""The label of a photo that shows none of the classes."""
_CSV = "`INFERENCE_ID,LABEL`"
_JSON = "a JSON object with `inferenceId` and `label`, or SageMaker's Ground Truth form"


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


def check_all(pairs: Sequence[tuple[str, str]], classes: Sequence[str]) -> None:
    """Raises UsageError when one of the (inference id, label) pairs has a label that `check_truth` refuses."""
    for identity, truth in pairs:
        try:
            check_truth(truth, classes)
        except UsageError as error:
            raise UsageError(f"nothing was stored, because of the label of {identity}: {error}") from error


def read_file(path: Path) -> list[tuple[str, str]]:
    """(inference id, label) of each line of a file, in the forms of processing.monitor.label_lines, as Monitor reads.

    UsageError names the file, and the line that is in none of them or has no label.
    """
    try:
        content = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    read, form = (of_json, _JSON) if content.lstrip().startswith(("{", "[")) else (Csv().entry, _CSV)
    pairs = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip(" ,;\t"):
            continue
        try:
            entry = read(line)
            if entry is not None:
                pairs.append((entry.identity, text(entry.label)))
        except UNREADABLE as error:
            raise UsageError(f"{path}, line {number}: expected {form}, got {line!r:.100}") from error
    if not pairs:
        raise UsageError(f"{path} holds no labels: write one `INFERENCE_ID,LABEL` a line")
    return pairs
