"""Reads what the endpoint was asked and answered: data captures in SageMaker's format, into a table.

A capture is a line of JSON: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture.html
"""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from PIL import Image, ImageOps

from processing.monitor.lines import MAX_LINE_BYTES, UNREADABLE, Line, Tally, limit, parse, read, share, text
from processing.photos import PhotoError, opened

TIME = "%Y-%m-%dT%H:%M:%SZ"


class Answer(NamedTuple):
    """One photo's answer, a row of the table that `read_captures` returns."""

    identity: str  # the inference id that the client gave, or else the event id
    event: str
    number: int  # of the photo in its request
    time: str  # in the form TIME
    label: str
    confidence: float
    threshold: float  # what the confidence has to reach; above 1 to accept nothing
    in_distribution: float  # NaN where the model does not say
    in_distribution_threshold: float
    several: bool  # halves of the photo show different classes
    data_label: str  # what kind of data the model was made of
    path: Path  # of the capture file
    offset: int  # of the line in it


def read_captures(folder: Path, fallback: Mapping[str, float] | None = None) -> tuple[pd.DataFrame, Tally]:
    """A table of all captured answers, oldest first, and what was not to be read.

    The columns are the fields of Answer, and those of `decided`. `fallback` is by class the threshold of answers that
    carry none. A line that comes twice counts once.
    """
    tally = Tally()
    rows: list[Answer] = []
    for line in read(folder, (".jsonl",), tally):
        try:
            rows += _answers(line, fallback)
        except UNREADABLE:
            tally.lines += 1
    table = pd.DataFrame(rows, columns=Answer._fields).drop_duplicates(["event", "number"], keep="last")
    return decided(table.sort_values("time", kind="stable", ignore_index=True)), tally


def decided(table: pd.DataFrame) -> pd.DataFrame:
    """The table of answers with three columns more, of which one is true in each row.

    `unknown` (not in distribution: a photo of something else, or of several classes), `unsure` (in distribution, but
    below the confidence threshold) and `accepted`.
    """
    # Where a model says nothing about the distribution, nothing is below the threshold: NaN compares as false.
    unknown = table["in_distribution"] < table["in_distribution_threshold"]
    unsure = ~unknown & (table["confidence"] < table["threshold"])
    return table.assign(unknown=unknown, unsure=unsure, accepted=~unknown & ~unsure)


def _answers(line: Line, fallback: Mapping[str, float] | None) -> list[Answer]:
    """Return the answers in a captured line. Raises one of UNREADABLE for another line, or a wrong value."""
    capture = parse(line.content)
    about, output = capture["eventMetadata"], capture["captureData"]["endpointOutput"]
    event = text(about["eventId"])
    at = datetime.fromisoformat(text(about["inferenceTime"]))
    time = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC).strftime(TIME)
    identity = text(about["inferenceId"]) if about.get("inferenceId") else event
    is_csv = "csv" in str(output.get("observedContentType", ""))
    predictions = _csv_predictions(payload(output)) if is_csv else parse(payload(output))
    common = predictions.get("threshold")
    least = predictions.get("in_distribution_threshold")
    label = (predictions.get("model") or {}).get("data_label", "")
    if not predictions["predictions"]:
        raise ValueError("the answer is to no photo")
    return [
        Answer(
            identity,
            event,
            number,
            time,
            text(one["label"]),
            share(one["confidence"]),
            limit(one.get("threshold", (fallback or {}).get(one["label"]) if common is None else common)),
            float("nan") if least is None else share(one["in_distribution"]),
            float("nan") if least is None else share(least),
            one.get("several_classes") is True,
            text(label) if label else "",
            line.path,
            line.offset,
        )
        for number, one in enumerate(predictions["predictions"])
    ]


def _csv_predictions(body: bytes) -> dict[str, Any]:
    """Rows `label,confidence,...` in the shape of the JSON answer; they carry no threshold."""
    rows = [row for row in csv.reader(body.decode().splitlines()) if row]
    return {"predictions": [{"label": row[0], "confidence": float(row[1])} for row in rows]}


def payload(part: Mapping[str, Any]) -> bytes:
    """Return the body of a captured request or answer. Raises one of UNREADABLE if it is not in SageMaker's form."""
    if part["encoding"] == "BASE64":
        return base64.b64decode(part["data"], validate=True)
    content = part["data"]
    return (content if isinstance(content, str) else json.dumps(content)).encode()


def photo_bytes(path: Path, offset: int, number: int) -> bytes | None:
    """The photo of a captured request as it was sent; None when it was not captured."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            part = parse(file.readline(MAX_LINE_BYTES))["captureData"]["endpointInput"]
        body = payload(part)
        if "json" in part["observedContentType"]:
            body = base64.b64decode(parse(body)["instances"][number]["image"])
    except (OSError, *UNREADABLE):
        return None
    return body


def read_photo(path: Path, offset: int, number: int) -> Image.Image | None:
    """The photo of a captured request, upright and at most 128 pixels a side; None when it cannot be shown."""
    body = photo_bytes(path, offset, number)
    if body is None:
        return None
    try:
        with opened(body) as image:
            image.draft("RGB", (256, 256))
            photo = ImageOps.exif_transpose(image).convert("RGB")
            photo.thumbnail((128, 128))
    except (OSError, PhotoError, *UNREADABLE):  # the answer still counts, the grid says that there is no photo
        return None
    return photo
