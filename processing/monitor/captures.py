"""Reads what the endpoint was asked and answered: data captures in SageMaker's format, and labels."""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

MAX_LINE_BYTES = 32 << 20  # a 6 MB photo as base64, with room for a list of them
MAX_PIXELS = 50_000_000


@dataclass(frozen=True)
class Answer:
    """One photo's answer, as captured. `place` is where its line stands: (file, byte offset, number in the request)."""

    identity: str
    event: str
    time: str
    label: str
    confidence: float
    threshold: float
    data_label: str
    place: tuple[Path, int, int]
    truth: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the photo was routed; the others went to a person."""
        return self.confidence >= self.threshold

    @property
    def wrong(self) -> bool:
        """Whether the answer is known to be a mistake, accepted or not."""
        return self.truth is not None and self.truth != self.label


def _lines(folder: Path) -> Iterator[tuple[Path, int, bytes]]:
    """(file, offset, line) of all JSON lines below a folder, in order of path."""
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.jsonl"))
    for path in files:
        with path.open("rb") as file:
            offset = 0
            while line := file.readline(MAX_LINE_BYTES):
                if line.strip():
                    yield path, offset, line
                offset += len(line)


def _payload(part: Any) -> bytes:
    """The body of a captured request or answer."""
    if part["encoding"] == "BASE64":
        return base64.b64decode(part["data"], validate=True)
    text = part["data"]
    return (text if isinstance(text, str) else json.dumps(text)).encode()


def _predictions(part: Any, fallback: float | None) -> list[tuple[str, float, float, str]]:
    """(label, confidence, threshold, data label) of each photo in a captured answer; ValueError when it is not one."""
    body = _payload(part)
    if "csv" in str(part.get("observedContentType", "")):
        if fallback is None:
            raise ValueError("a CSV answer carries no threshold")
        rows = [line.split(",") for line in body.decode().splitlines() if line.strip()]
        found = [(row[0], float(row[1]), fallback, "") for row in rows]
    else:
        answer = json.loads(body)
        threshold = float(answer.get("threshold", fallback))
        data_label = str((answer.get("model") or {}).get("data_label", ""))
        found = [(str(one["label"]), float(one["confidence"]), threshold, data_label) for one in answer["predictions"]]
    if not found or not all(0 <= confidence <= 1 for _, confidence, _, _ in found):
        raise ValueError("no confidence between 0 and 1")
    return found


def read_captures(folder: Path, since: str = "", fallback: float | None = None) -> tuple[list[Answer], int]:
    """All answers captured after `since` (ISO time), oldest first, and how many lines were not to be read.

    `fallback` is the threshold of answers that carry none. A line that comes twice counts once.
    """
    answers: dict[tuple[str, int], Answer] = {}
    unread = 0
    for path, offset, line in _lines(folder):
        try:
            capture = json.loads(line)
            about = capture["eventMetadata"]
            predictions = _predictions(capture["captureData"]["endpointOutput"], fallback)
            event, time = str(about["eventId"]), str(about["inferenceTime"])
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, binascii.Error, RecursionError):
            unread += 1
            continue
        if time < since:
            continue
        identity = str(about.get("inferenceId") or event)
        for number, (label, confidence, threshold, data_label) in enumerate(predictions):
            place = (path, offset, number)
            answers[event, number] = Answer(identity, event, time, label, confidence, threshold, data_label, place)
    return sorted(answers.values(), key=lambda answer: answer.time), unread


def read_labels(folder: Path | None) -> tuple[dict[str, str], int]:
    """Truth by inference id (or event id), and how many lines were not to be read; the last of several counts."""
    labels: dict[str, str] = {}
    unread = 0
    for _, _, line in _lines(folder) if folder and folder.exists() else ():
        try:
            entry = json.loads(line)
            labels[str(entry.get("inferenceId") or entry["eventId"])] = str(entry["label"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            unread += 1
    return labels, unread


def with_labels(answers: Sequence[Answer], labels: Mapping[str, str]) -> list[Answer]:
    """The answers with what the photos really show, where that is known: by inference id, else by event id."""
    return [replace(answer, truth=labels.get(answer.identity, labels.get(answer.event))) for answer in answers]


def read_json(folder: Path | None, name: str) -> Any:
    """A JSON file of the evaluation; None when it is missing or spoiled."""
    try:
        return json.loads((folder / name).read_text()) if folder else None
    except (OSError, ValueError):
        return None


def read_photo(place: tuple[Path, int, int]) -> Image.Image | None:
    """The photo of a captured request, upright and small; None when it was not captured or cannot be shown."""
    path, offset, number = place
    try:
        with path.open("rb") as file:
            file.seek(offset)
            part = json.loads(file.readline(MAX_LINE_BYTES))["captureData"]["endpointInput"]
        body = _payload(part)
        if "json" in part["observedContentType"]:
            body = base64.b64decode(json.loads(body)["instances"][number]["image"])
        with Image.open(io.BytesIO(body), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.draft("RGB", (256, 256))
            photo = ImageOps.exif_transpose(image).convert("RGB")
    except Exception:  # whatever people send: the answer still counts, the grid says that there is no photo
        return None
    photo.thumbnail((128, 128))
    return photo
