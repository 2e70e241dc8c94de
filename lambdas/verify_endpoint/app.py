"""The handler of VerifyEndpoint, `verify_endpoint.app.handler`: photos to the trial endpoint, answers to the verdict.

The photos are test photos that Evaluate saved with the version, and beside them what the version answered there.
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

from .verdict import Limits, NoPhotos, Tally, Verdict, WrongAnswer, chosen, failed

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logging.basicConfig(level=logging.INFO)  # without effect in Lambda, whose runtime has set a handler
logging.getLogger("botocore").setLevel(logging.WARNING)
logger = logging.getLogger(__name__)

START_SECONDS = 60
"""How long the first answer may take: SageMaker allows that much for a serverless endpoint that has to start."""
ANSWER_SECONDS = 10
"""How long every later answer may take."""
_MAX_PHOTO_BYTES = 6 * 1024 * 1024  # the limit of InvokeEndpoint
_MAX_LIST_BYTES = 1024 * 1024
_PARALLEL_READS = 8  # photos in memory
_ABSENT = {"NoSuchKey", "NoSuchBucket", "404"}


class EndpointUnavailable(RuntimeError):
    """SageMaker could not pass a request on to the endpoint, which says nothing about the version."""


class SettingsMissing(ValueError):
    """The function's environment lacks a variable that the template sets."""


@dataclass(frozen=True)
class Photo:
    """A labelled photo by its name; `answered` is the class that the version gave it when it was evaluated."""

    name: str
    label: str
    answered: str


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`{"evaluation": "s3://.../evaluation.json"}` of the version in, the members of its Verdict out."""
    try:
        endpoint = os.environ["ENDPOINT_NAME"]
        limits = Limits(
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
    """Make the clients: S3, the runtime for a first request, and the runtime for the photos that are judged."""
    s3 = Config(connect_timeout=2, read_timeout=20, retries={"mode": "standard", "max_attempts": 4})
    runtime = Config(
        connect_timeout=2, read_timeout=ANSWER_SECONDS, retries={"mode": "standard", "total_max_attempts": 2}
    )
    first = Config(connect_timeout=2, read_timeout=START_SECONDS, retries={"total_max_attempts": 1})
    return (
        boto3.client("s3", config=s3),
        boto3.client("sagemaker-runtime", config=first),
        boto3.client("sagemaker-runtime", config=runtime),
    )


def verify(evaluation: str, endpoint: str, limits: Limits, s3: Any, first: Any, runtime: Any) -> Verdict:
    """Send each photo once and judge the answers; stop as soon as the version can no longer pass.

    `evaluation` is the S3 URI of the version's evaluation.json, with the photos in `verification/` beside it. `first`
    is the client of a first request, whose answer is not judged: it waits longer than `runtime`, until the endpoint has
    started. Raises EndpointUnavailable where SageMaker, not the version, is at fault or nothing started, and
    ClientError where S3 refuses.
    """
    place = evaluation.rpartition("/")[0] + "/verification"
    if not evaluation.startswith("s3://"):
        return failed("no evaluation was registered with it, so there are no labelled photos to send")
    try:
        photos = read_photos(place, s3)
    except NoPhotos as error:
        return failed(str(error))
    tally = Tally(limits, [photo.answered == photo.label for photo in photos])
    started = False
    for photo, body in _bodies(place, photos, s3):
        if body is None:
            return tally.verdict(f"its labelled photo {photo.name} is not below {place}")
        if not started:
            _start(endpoint, body, first)
            started = True
        begun = time.perf_counter()
        try:
            answer = _ask(endpoint, body, runtime)
        except WrongAnswer as error:
            return tally.verdict(f"{photo.name} was answered with an error: {error}")
        tally.add(answer == photo.label, 1000 * (time.perf_counter() - begun))
        if tally.hopeless:
            break
    return tally.verdict()


def read_photos(place: str, s3: Any) -> list[Photo]:
    """The labelled photos below `place`. Raises NoPhotos where there are none, or their list cannot be read."""
    labels, answers = (_listed(f"{place}/{name}", s3) for name in ("labels.json", "answers.json"))
    answered = answers.get("answers")
    if not labels or not isinstance(answered, dict):
        raise NoPhotos(f"no labelled photos are listed below {place}")
    photos = []
    for name, label in chosen(sorted(labels.items())):
        if "/" in name or not isinstance(answered.get(name), dict):
            raise NoPhotos(f"{place}/answers.json does not say how {name} was answered")
        photos.append(Photo(name, str(label), str(answered[name].get("label"))))
    return photos


def _listed(address: str, s3: Any) -> dict[str, Any]:
    """Read the JSON object that lists the photos; NoPhotos when it is missing or something else."""
    text = _read(address, _MAX_LIST_BYTES, s3)
    if text is None:
        raise NoPhotos(f"{address} is not there: only a version that Evaluate saved photos of can be verified")
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoPhotos(f"{address} is not JSON: {error}") from error
    if not isinstance(listed, dict):
        raise NoPhotos(f"{address} holds no object")
    return listed


def _bodies(place: str, photos: list[Photo], s3: Any) -> Iterator[tuple[Photo, bytes | None]]:
    """Yield each photo with its bytes, read some at a time in parallel; None for one that is not there."""
    with ThreadPoolExecutor(_PARALLEL_READS) as pool:
        for at in range(0, len(photos), _PARALLEL_READS):
            some = photos[at : at + _PARALLEL_READS]
            read = pool.map(lambda photo: _read(f"{place}/{photo.name}", _MAX_PHOTO_BYTES, s3), some)
            yield from zip(some, read, strict=True)


def _read(address: str, max_bytes: int, s3: Any) -> bytes | None:
    """An object, cut after `max_bytes`; None when it is not there."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    try:
        body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read(max_bytes)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    return body


def _start(endpoint: str, photo: bytes, first: Any) -> None:
    """Have a serverless endpoint start. Raises EndpointUnavailable where no answer came within START_SECONDS."""
    try:
        _send(endpoint, photo, first)
    except ReadTimeoutError as error:
        raise EndpointUnavailable(f"Endpoint {endpoint} gave no first answer within {START_SECONDS} s") from error
    except ClientError as error:
        if error.response["Error"]["Code"] != "ModelError":
            raise EndpointUnavailable(f"Endpoint {endpoint} could not be asked: {error}") from error
        # Status 0 is SageMaker's for a container that did not answer in time. Other errors will come again, and count.
        if error.response.get("OriginalStatusCode") == 0:
            raise EndpointUnavailable(f"Endpoint {endpoint} did not start: {error}") from error


def _send(endpoint: str, photo: bytes, runtime: Any) -> bytes:
    """Invoke the endpoint with one photo; return the answer's body. botocore's errors are the caller's."""
    content_type = "image/png" if photo.startswith(b"\x89PNG") else "image/jpeg"
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint, Body=photo, ContentType=content_type, Accept="application/json"
    )
    body: bytes = answer["Body"].read()
    return body


def _ask(endpoint: str, photo: bytes, runtime: Any) -> str:
    """The class that the endpoint answers. Raises WrongAnswer where it answers none, or EndpointUnavailable."""
    try:
        document: Mapping[str, Any] = json.loads(_send(endpoint, photo, runtime))
        return str(document["predictions"][0]["label"])
    except ReadTimeoutError as error:
        raise WrongAnswer(f"none came within {ANSWER_SECONDS} s") from error
    except ClientError as error:
        said = error.response
        if said["Error"]["Code"] != "ModelError":
            raise EndpointUnavailable(f"Endpoint {endpoint} could not be asked: {error}") from error
        raise WrongAnswer(
            f"status {said.get('OriginalStatusCode', 0)}, {str(said.get('OriginalMessage', error))[:300]}"
        ) from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise WrongAnswer(f"what came is no prediction ({type(error).__name__}: {error})") from error
