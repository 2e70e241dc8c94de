"""Lambda ClassifyImage: send one photo to the endpoint and return its prediction.

Entry point: classify_image.app.handler.

Only the standard library and boto3, both part of the Lambda runtime, are imported: the folder is the whole deployable.
"""

# An exception is named for its condition: the name is what the state machine matches.
# ruff: noqa: N818

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import logging
import os
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logging.basicConfig(level=logging.INFO)  # without effect in Lambda, whose runtime has set a handler
logging.getLogger("botocore").setLevel(logging.WARNING)
logger = logging.getLogger(__name__)

MAX_PHOTO_BYTES = 6_291_456  # InvokeEndpoint's body
MAX_INFERENCE_ID = 64  # InvokeEndpoint's InferenceId; a Step Functions execution name may have 80


class InputNotUnderstood(ValueError):
    """The input is not the output of SerializeImage."""


class PhotoNotReadable(ValueError):
    """S3 does not give the photo, or the version, that SerializeImage checked."""


class PhotoTooLarge(ValueError):
    """The photo has more bytes than the endpoint accepts in one request."""


class PhotoStoreUnavailable(RuntimeError):
    """S3 did not answer, or asked to slow down: worth another try."""


class ModelRefusedPhoto(ValueError):
    """The model's container answered 4xx: it cannot read this photo, and never will."""


class ModelFailed(RuntimeError):
    """The model's container answered 5xx: the model or its code is broken."""


class PredictionNotUnderstood(ValueError):
    """The model answered, but not in the agreed shape."""


class EndpointNotFound(LookupError):
    """There is no endpoint of this name that serves: no version is approved, or its deployment is not done."""


class EndpointNotReady(RuntimeError):
    """The endpoint is there and the model behind it is still being loaded: worth another try."""


class EndpointThrottled(RuntimeError):
    """The endpoint, or the service, has more requests than it can take now: worth another try."""


class EndpointUnavailable(RuntimeError):
    """The service failed, or did not answer in time: worth another try."""


class Clients(NamedTuple):
    """The boto3 clients of this function."""

    s3: Any
    runtime: Any


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """SerializeImage's output and `inference_id` in; `{"photo", "inference_id", "prediction"}` out."""
    return classify(event, os.environ["ENDPOINT_NAME"], _clients())


@cache
def _clients() -> Clients:
    # Retrying is the state machine's work, where it is visible; one more try here covers a dropped connection.
    """Make the boto3 clients, with time limits in seconds that fit into the function's own."""
    retries = {"mode": "standard", "max_attempts": 2}
    # botocore composes its own user agent anew for each request, a tenth of this function's processor time.
    config = Config(connect_timeout=2, read_timeout=8, retries=retries, user_agent="loadingbay-classify-image")
    return Clients(
        s3=boto3.client("s3", config=config),
        runtime=boto3.client("sagemaker-runtime", config=config.merge(Config(read_timeout=10))),
    )


def classify(event: dict[str, Any], endpoint_name: str, clients: Clients) -> dict[str, Any]:
    """Ask the endpoint what the photo shows.

    Returns `{"photo", "inference_id", "prediction": {"label", "confidence", "probabilities", "threshold",
    "in_distribution", "in_distribution_threshold"}}`; the figures are probabilities, 0 to 1, but for a threshold of
    1.01, which no confidence reaches. The thresholds come with the answer, so a model is always judged by its own, and
    with the prediction where the threshold depends on the class; models that do not say whether a photo is one of
    their classes leave the last two out. `"several_classes": True` is there where the model says so.

    Raises one of the exceptions above; each names the photo or the endpoint and what to do.
    """
    photo = _photo(event)
    name = f"s3://{photo['bucket']}/{photo['key']}"
    request = {
        "EndpointName": endpoint_name,
        "ContentType": photo["content_type"],
        "Accept": "application/json",
        "Body": _inline(event) or _fetch(photo, name, clients.s3),
    }
    inference_id = _inference_id(event.get("inference_id"))
    if inference_id:
        request["InferenceId"] = inference_id
    try:
        answer = clients.runtime.invoke_endpoint(**request)["Body"].read()
    except ClientError as error:
        raise _translated(error, endpoint_name, name) from error
    except BotoCoreError as error:
        raise EndpointUnavailable(f"Endpoint {endpoint_name} did not answer: {error}") from error

    prediction = _prediction(answer, endpoint_name)
    logger.info("%s: %s at %.4f by %s", name, prediction["label"], prediction["confidence"], endpoint_name)
    return {"photo": photo, "inference_id": inference_id, "prediction": prediction}


def _photo(event: dict[str, Any]) -> dict[str, Any]:
    """Return the member `photo` of the input; InputNotUnderstood when it is missing or lacks a field."""
    photo = event.get("photo")
    if isinstance(photo, dict) and all(
        isinstance(photo.get(field), str) for field in ("bucket", "key", "content_type")
    ):
        return photo
    raise InputNotUnderstood(
        f'The input needs "photo" with bucket, key and content_type, as SerializeImage returns it: {photo!r:.200}'
    )


def _inline(event: dict[str, Any]) -> bytes | None:
    """Return the photo's bytes that the input carries, None when it carries none; InputNotUnderstood if not base64."""
    if not event.get("image"):
        return None
    try:
        return base64.b64decode(event["image"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise InputNotUnderstood(f'The input\'s "image" is not base64: {error}') from error


def _fetch(photo: dict[str, Any], name: str, s3: Any) -> bytes:
    """Return the photo's bytes from S3."""
    request = {"Bucket": photo["bucket"], "Key": photo["key"]}
    if photo.get("version_id"):
        request["VersionId"] = photo["version_id"]
    try:
        response = s3.get_object(**request)
        # Without versions the object can have changed since it was checked: the bound holds here too.
        if int(response["ContentLength"]) > MAX_PHOTO_BYTES:
            raise PhotoTooLarge(
                f"{name} has {response['ContentLength']:,} bytes; the endpoint takes {MAX_PHOTO_BYTES:,}."
            )
        with response["Body"] as body:
            data: bytes = body.read(MAX_PHOTO_BYTES)
            return data
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500 or code in {
            "SlowDown",
            "Throttling",
        }:
            raise PhotoStoreUnavailable(f"{name} could not be read from S3 just now ({code}).") from error
        raise PhotoNotReadable(f"{name} could be read a moment ago and no longer can ({code}).") from error
    except BotoCoreError as error:
        raise PhotoStoreUnavailable(f"{name} could not be read from S3: {error}") from error


def _inference_id(wanted: str | None) -> str | None:
    """The id under which the request is captured: the caller's, or, where that is too long, its start and its hash."""
    if not wanted or (len(wanted) <= MAX_INFERENCE_ID and wanted.isascii()):
        return wanted
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:16]
    return f"{wanted.encode('ascii', 'replace').decode()[: MAX_INFERENCE_ID - 17]}-{digest}"


def _prediction(answer: bytes, endpoint_name: str) -> dict[str, Any]:
    """Parse the endpoint's answer into the first photo's prediction."""
    try:
        document = json.loads(answer)
        (first,) = document["predictions"]
        prediction: dict[str, Any] = {
            "label": str(first["label"]),
            "confidence": float(first["confidence"]),
            "probabilities": {str(label): float(share) for label, share in first["probabilities"].items()},
            "threshold": float(first.get("threshold", document["threshold"])),
        }
        if "in_distribution" in first:
            prediction["in_distribution"] = float(first["in_distribution"])
            prediction["in_distribution_threshold"] = float(document["in_distribution_threshold"])
        if first.get("several_classes") is True:
            prediction["several_classes"] = True
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PredictionNotUnderstood(
            f"Endpoint {endpoint_name} answered {answer[:200]!r}; expected JSON with one prediction and a threshold: "
            f"{error!r}"
        ) from error
    for figure in ("confidence", "threshold", "in_distribution", "in_distribution_threshold"):
        most = 1.01 if figure == "threshold" else 1  # a threshold of 1.01 accepts nothing
        if figure in prediction and not 0.0 <= prediction[figure] <= most:  # true for NaN as well
            raise PredictionNotUnderstood(
                f"Endpoint {endpoint_name} answered {figure} {prediction[figure]}; expected a number from 0 to {most}."
            )
    return prediction


def _sentence(said: str) -> str:
    """What a container said: the sentence in `{"error": ..}`, which ours answers with, or else all of it."""
    try:
        sentence = json.loads(said)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return said
    return sentence if isinstance(sentence, str) else said


def _translated(error: ClientError, endpoint_name: str, name: str) -> Exception:
    """The exception of this module for an error of InvokeEndpoint; the error itself where there is none."""
    unknown: Exception = error
    code = error.response["Error"].get("Code", "")
    message = error.response["Error"].get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "ModelError":
        original = int(error.response.get("OriginalStatusCode") or 500)
        # Only the container's own words: the rest of the message is a link to the logs, without secrets, but long.
        said = _sentence(error.response.get("OriginalMessage") or message)[:500]
        if original in {429, 503}:
            return EndpointThrottled(f"Endpoint {endpoint_name} is full ({original}): {said}")
        if original < 500:
            return ModelRefusedPhoto(f"The model refused {name} ({original}): {said}")
        return ModelFailed(f"The model failed on {name} ({original}): {said}")
    if code in {"ThrottlingException", "Throttling", "TooManyRequestsException", "ServiceQuotaExceededException"}:
        return EndpointThrottled(f"Endpoint {endpoint_name} is throttled ({code}): {message}")
    if code == "ModelNotReadyException":
        return EndpointNotReady(f"Endpoint {endpoint_name} is not ready ({code}): {message}")
    if code.startswith("Validation") and "not found" in message.lower():
        return EndpointNotFound(
            f"There is no endpoint {endpoint_name} in service: approve a model version, or wait for its deployment."
        )
    if status >= 500:
        return EndpointUnavailable(f"Endpoint {endpoint_name} could not be invoked ({code}): {message}")
    return unknown
