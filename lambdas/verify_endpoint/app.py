"""Lambda VerifyEndpoint: sends a version's labelled photos to the endpoint it is tried on. Entry point: app.handler.

The photos are test photos that Evaluate saved with the version, and beside them what the version answered there. What
follows from the answers judgement.py says; DeployModel, which asks, acts on it. Only the standard library and boto3
are imported: the folder is the whole deployable.
"""

# An exception is named for its condition.
# ruff: noqa: N818

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from lambdas.verify_endpoint import judgement
else:
    import judgement  # in Lambda this folder is the root

logging.basicConfig(level=logging.INFO)  # Lambda has its handler already, then this changes nothing
logging.getLogger("botocore").setLevel(logging.WARNING)
logger = logging.getLogger(__name__)

WAKING_SECONDS = 60  # SageMaker lets the first request to a server that sleeps take that long, as serverless ones do
SECONDS = 10  # within which every later answer must begin
_MOST_BYTES = 6 * 1024 * 1024  # of a photo, as InvokeEndpoint takes it
_MOST_LIST_BYTES = 1024 * 1024
_AT_ONCE = 8  # photos in memory
_ABSENT = {"NoSuchKey", "NoSuchBucket", "404"}


class EndpointUnavailable(RuntimeError):
    """The endpoint could not be asked, which is no answer of the version."""


class SettingsMissing(ValueError):
    """The function's environment lacks a variable that the template sets."""


@dataclass(frozen=True)
class Photo:
    """A labelled photo by its name; `answered` is the class that the version gave it when it was evaluated."""

    name: str
    label: str
    answered: str


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The door: `{"evaluation": "s3://.../evaluation.json"}` of the version in, the verdict on it out."""
    try:
        endpoint = os.environ["ENDPOINT_NAME"]
        limits = judgement.Limits(
            tolerance=float(os.environ["TOLERANCE"]), milliseconds=float(os.environ["LATENCY_MILLISECONDS"])
        )
    except KeyError as error:
        raise SettingsMissing(
            f"The environment variable {error} is not set: deploy workflow/template.yaml again."
        ) from error
    verdict = verify(event["evaluation"], endpoint, limits, *_clients())
    logger.info("%s", verdict)
    return asdict(verdict)


@cache
def _clients() -> tuple[Any, Any, Any]:
    s3 = Config(connect_timeout=2, read_timeout=20, retries={"mode": "standard", "max_attempts": 4})
    runtime = Config(connect_timeout=2, read_timeout=SECONDS, retries={"mode": "standard", "total_max_attempts": 2})
    waking = Config(connect_timeout=2, read_timeout=WAKING_SECONDS, retries={"total_max_attempts": 1})
    return (
        boto3.client("s3", config=s3),
        boto3.client("sagemaker-runtime", config=waking),
        boto3.client("sagemaker-runtime", config=runtime),
    )


def verify(
    evaluation: str, endpoint: str, limits: judgement.Limits, s3: Any, waking: Any, runtime: Any
) -> judgement.Verdict:
    """Send each photo once, as production does, and judge; stops as soon as the verdict cannot be better.

    `waking` is the client that asks first, and waits longer than `runtime`: its answer is not judged. Raises
    EndpointUnavailable when SageMaker, not the version, is at fault, or nothing woke up; ClientError when S3 refuses.
    """
    place = evaluation.rpartition("/")[0] + "/verification"
    if not evaluation.startswith("s3://"):
        return judgement.failed("no evaluation was registered with it, so there are no labelled photos to send")
    try:
        photos = read_photos(place, s3)
    except judgement.NoPhotos as error:
        return judgement.failed(str(error))
    bench = judgement.Bench(limits, [photo.answered == photo.label for photo in photos])
    awake = False
    for photo, body in _bodies(place, photos, s3):
        if body is None:
            return bench.verdict(f"its labelled photo {photo.name} is not below {place}")
        if not awake:
            _wake(endpoint, body, waking)
            awake = True
        started = time.perf_counter()
        try:
            answer = _ask(endpoint, body, runtime)
        except judgement.WrongAnswer as error:
            return bench.verdict(f"{photo.name} was answered with an error: {error}")
        bench.add(answer == photo.label, 1000 * (time.perf_counter() - started))
        if bench.hopeless:
            break
    return bench.verdict()


def read_photos(place: str, s3: Any) -> list[Photo]:
    """The labelled photos below `place`. Raises NoPhotos where there are none, or their list cannot be read."""
    labels, answers = (_listed(f"{place}/{name}", s3) for name in ("labels.json", "answers.json"))
    answered = answers.get("answers")
    if not labels or not isinstance(answered, dict):
        raise judgement.NoPhotos(f"no labelled photos are listed below {place}")
    photos = []
    for name, label in judgement.chosen(sorted(labels.items())):
        if "/" in name or not isinstance(answered.get(name), dict):
            raise judgement.NoPhotos(f"{place}/answers.json does not say how {name} was answered")
        photos.append(Photo(name, str(label), str(answered[name].get("label"))))
    return photos


def _listed(address: str, s3: Any) -> dict[str, Any]:
    text = _read(address, _MOST_LIST_BYTES, s3)
    if text is None:
        raise judgement.NoPhotos(
            f"{address} is not there: only a version that Evaluate saved photos of can be verified"
        )
    try:
        listed = json.loads(text)
    except ValueError as error:
        raise judgement.NoPhotos(f"{address} is not JSON: {error}") from error
    if not isinstance(listed, dict):
        raise judgement.NoPhotos(f"{address} holds no object")
    return listed


def _bodies(place: str, photos: list[Photo], s3: Any) -> Iterator[tuple[Photo, bytes | None]]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for at in range(0, len(photos), _AT_ONCE):
            some = photos[at : at + _AT_ONCE]
            read = pool.map(lambda photo: _read(f"{place}/{photo.name}", _MOST_BYTES, s3), some)
            yield from zip(some, read, strict=True)


def _read(address: str, most: int, s3: Any) -> bytes | None:
    """An object, cut after `most` bytes; None when it is not there."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    try:
        body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read(most)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    return body


def _wake(endpoint: str, photo: bytes, waking: Any) -> None:
    """Have a server that sleeps started. Raises EndpointUnavailable where there was no answer in all that time."""
    try:
        _send(endpoint, photo, waking)
    except ReadTimeoutError as error:
        raise EndpointUnavailable(
            f"Endpoint {endpoint} gave its first answer not even within {WAKING_SECONDS} s"
        ) from error
    except ClientError as error:
        if error.response["Error"]["Code"] != "ModelError":
            raise EndpointUnavailable(f"Endpoint {endpoint} could not be asked: {error}") from error
        # SageMaker's own way to say that the container has not answered in time. Other errors come again, and count.
        if error.response.get("OriginalStatusCode") == 0:
            raise EndpointUnavailable(f"Endpoint {endpoint} did not wake up: {error}") from error


def _send(endpoint: str, photo: bytes, runtime: Any) -> bytes:
    content_type = "image/png" if photo.startswith(b"\x89PNG") else "image/jpeg"
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint, Body=photo, ContentType=content_type, Accept="application/json"
    )
    body: bytes = answer["Body"].read()
    return body


def _ask(endpoint: str, photo: bytes, runtime: Any) -> str:
    """The class that the endpoint answers. Raises WrongAnswer where that is none, else EndpointUnavailable."""
    try:
        document: Mapping[str, Any] = json.loads(_send(endpoint, photo, runtime))
        return str(document["predictions"][0]["label"])
    except ReadTimeoutError as error:
        raise judgement.WrongAnswer(f"none came within {SECONDS} s") from error
    except ClientError as error:
        said = error.response
        if said["Error"]["Code"] != "ModelError":
            raise EndpointUnavailable(f"Endpoint {endpoint} could not be asked: {error}") from error
        raise judgement.WrongAnswer(
            f"status {said.get('OriginalStatusCode', 0)}, {str(said.get('OriginalMessage', error))[:300]}"
        ) from error
    except (ValueError, LookupError, TypeError) as error:
        raise judgement.WrongAnswer(f"what came is no prediction ({type(error).__name__}: {error})") from error
