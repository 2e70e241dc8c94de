"""Classifies photos, one execution of the inference state machine each; an Outcome for every photo."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from loadingbay.data.files import printable, require_text
from loadingbay.errors import UsageError, WorkError
from loadingbay.target import Target

PARALLEL = 8
MAXIMUM_BYTES = 100 * 1024 * 1024  # nothing that is a photo; what the model takes is decided behind the upload
BELOW_THRESHOLD, NOT_KNOWN, SEVERAL = "ConfidenceThresholdNotMet", "NotAVehicleWeKnow", "SeveralVehicles"
FOR_REVIEW = {  # outcomes, not failures
    BELOW_THRESHOLD: "not sure enough",
    NOT_KNOWN: "not a vehicle we know",
    SEVERAL: "several kinds of vehicles",
}
# Errors that say nothing about the photo: the execution may be redriven.
_PASSING = frozenset({"EndpointUnavailable", "EndpointThrottled", "EndpointNotReady", "PhotoStoreUnavailable"})


@dataclass(frozen=True)
class Photo:
    """A photo to classify, under a name of its own. `label` is what it shows, if that is known."""

    name: str
    path: Path
    label: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a photo: routed (SUCCEEDED), or refused with a named error (FAILED).

    `inference_id` is the execution's name, under which the endpoint captured request and answer.
    """

    photo: str
    label: str | None
    status: str
    vehicle: str | None
    confidence: float | None
    threshold: float | None
    loading_bay: str | None
    order_range: dict[str, float] | None
    error: str | None
    cause: str | None
    execution_arn: str
    inference_id: str

    @property
    def wrong(self) -> bool:
        """Whether it was routed as something that it is not."""
        return self.status == "SUCCEEDED" and self.label is not None and self.vehicle != self.label

    def document(self) -> dict[str, Any]:
        """The outcome as a JSON object, as `classify --json` prints it."""
        return asdict(self)


def classify(
    target: Target,
    photos: Iterable[Photo],
    *,
    bucket: str,
    state_machine: str,
    prefix: str,
    done: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Uploads each photo, runs the state machine for it, at most eight at once; outcomes in order.

    `done` is called as each one ends, on the caller's thread. `prefix` makes the execution names readable.
    """
    # Clients are made here, before the threads.
    s3, machine = target.client("s3"), target.client("stepfunctions")

    def one(photo: Photo) -> Outcome:
        key = upload(s3, bucket, photo.name, photo.path.read_bytes(), prefix)
        arn = start(machine, state_machine, bucket, key)
        return _wait(machine, photo, arn, f"s3://{bucket}/{key}", 0.05 if target.local else 1.0)

    listed = list(photos)
    outcomes: dict[str, Outcome] = {}
    pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="classify")
    try:
        for future in as_completed([pool.submit(one, photo) for photo in listed]):
            outcome = future.result()
            outcomes[outcome.photo] = outcome
            done(outcome)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return [outcomes[photo.name] for photo in listed]


def upload(s3: Any, bucket: str, name: str, body: bytes, prefix: str) -> str:
    """Uploads a photo that a person knows as `name`; its key. `prefix` makes the names of executions readable."""
    # Not below incoming/: what arrives there is classified by itself, under a name that we would have to find.
    key = f"photos/{execution_name(prefix, name)}{Path(name).suffix.lower()}"
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    return key


def start(machine: Any, state_machine: str, bucket: str, key: str, name: str = "") -> str:
    """Starts the state machine for an uploaded photo; the execution's ARN. It is named as the photo, else `name`."""
    return str(
        machine.start_execution(
            stateMachineArn=state_machine,
            name=name or Path(key).stem,
            input=json.dumps({"bucket": bucket, "key": key}),
        )["executionArn"]
    )


def counted(outcomes: list[Outcome]) -> str:
    """Return the number of photos with each outcome as text.

    Such as `51 routed, 6 below the threshold, 3 not a vehicle we know; 1 of the routed is wrong`.
    """
    routed = sum(o.status == "SUCCEEDED" for o in outcomes)
    below = sum(o.error == BELOW_THRESHOLD for o in outcomes)
    unknown, several = (sum(o.error == error for o in outcomes) for error in (NOT_KNOWN, SEVERAL))
    others = len(outcomes) - routed - below - unknown - several
    wrong = sum(o.wrong for o in outcomes)
    text = f"{routed} routed, {below} below the threshold"
    text += f", {unknown} not a vehicle we know" if unknown else ""
    text += f", {several} with several kinds of vehicles" if several else ""
    text += f", {others} failed" if others else ""
    return text + (f"; {wrong} of the routed {'is' if wrong == 1 else 'are'} wrong" if routed else "")


def again(outcomes: Iterable[Outcome]) -> str:
    """How to go on with the photos that failed for want of an endpoint or of S3; "" when none did."""
    arns = [o.execution_arn for o in outcomes if o.error in _PASSING]
    if not arns:
        return ""
    others = f"; so with {len(arns) - 1} more" if arns[1:] else ""
    return (
        f"Once it answers again, `aws stepfunctions redrive-execution --execution-arn {arns[0]}` goes on with the "
        f"uploaded photo, under the same inference id{others}"
    )


def read(paths: Iterable[Path]) -> list[Photo]:
    """Local files as photos; a second file of the same name gets a number.

    A `labels.json` beside them, {"file": "label"}, says what they show. Raises UsageError when a photo does not exist,
    WorkError when it is too large, its name is not UTF-8, or the labels cannot be read.
    """
    photos: list[Photo] = []
    for path in paths:
        if not path.is_file():
            raise UsageError(f"{printable(path)}: {_no_photo(path)}")
        require_text(path)
        if path.stat().st_size > MAXIMUM_BYTES:
            raise WorkError(f"{path}: {path.stat().st_size:,} bytes are more than the {MAXIMUM_BYTES:,} of a photo")
        name, taken, number = path.name, {photo.name for photo in photos}, 2
        while name in taken:
            name, number = f"{path.stem}-{number}{path.suffix}", number + 1
        photos.append(Photo(name, path, labels(path.parent).get(path.name)))
    return photos


def _no_photo(path: Path) -> str:
    """Say why the path, which is no file, is not a photo, and what to do."""
    if path.is_dir():
        return "is a folder: `loadingbay bulk` classifies all photos of one"
    return "is no file" if path.exists() else "there is no such photo"


@cache
def labels(folder: Path) -> dict[str, str]:
    """What the photos in a folder show, by file name, as its labels.json says; nothing when it has no such file.

    Raises WorkError when the file is there but is no JSON object of names and labels. A byte order mark is allowed.
    """
    place = folder / "labels.json"
    try:
        document = json.loads(place.read_text("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise WorkError(f"{place} cannot be read as JSON ({error}): mend it, or move it away") from error
    if not isinstance(document, dict) or not all(isinstance(label, str) for label in document.values()):
        raise WorkError(f'{place} must be one JSON object of file names and labels, {{"photo.png": "bicycle"}}')
    return document


def execution_name(prefix: str, photo: str) -> str:
    """Unique, readable, and short enough to be an inference id (64 characters)."""
    stem = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in Path(photo).stem)
    return f"{prefix[:16]}-{stem[:36]}-{uuid.uuid4().hex[:8]}"


def _wait(machine: Any, photo: Photo, arn: str, address: str, interval: float) -> Outcome:
    """What became of the execution; `address` is the uploaded photo's, which a person knows by its own name.

    Looked at after `interval` seconds, then more and more seldom, up to once in eight times as long.
    """
    pause = interval
    while (found := machine.describe_execution(executionArn=arn))["status"] == "RUNNING":
        time.sleep(pause)
        pause = min(1.5 * pause, 8 * interval)
    empty = Outcome(
        photo.name, photo.label, found["status"], None, None, None, None, None, None, None, arn, arn.rsplit(":", 1)[-1]
    )  # fmt: skip
    if found["status"] == "SUCCEEDED":
        return _with(empty, json.loads(found["output"]))
    cause = found.get("cause", "")
    refused = replace(empty, error=found.get("error") or found["status"], cause=cause)
    try:
        detail = json.loads(cause)
    except (ValueError, RecursionError):
        return refused
    if not isinstance(detail, dict):
        return refused
    # A sentence of ours, or what Lambda makes of an exception.
    said = detail.get("message") or detail.get("errorMessage") or cause
    return _with(replace(refused, cause=said.strip().replace(address, photo.name)), detail)


def _with(outcome: Outcome, detail: dict[str, Any]) -> Outcome:
    """The outcome with what the state machine's output or cause says."""
    names = ("vehicle", "confidence", "threshold", "loading_bay", "order_range")
    return replace(outcome, **{name: detail[name] for name in names if name in detail})
