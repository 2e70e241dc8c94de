"""Lambda SerializeImage: check one photo in S3 and carry it inline while it is small.

Entry point: serialize_image.app.handler.

Only the standard library and boto3, both part of the Lambda runtime, are imported: the folder is the whole deployable.
"""

# An exception is named for its condition: the name is what the state machine matches.
# ruff: noqa: N818

from __future__ import annotations

import base64
import logging
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logging.basicConfig(level=logging.INFO)  # without effect in Lambda, whose runtime has set a handler
logging.getLogger("botocore").setLevel(logging.WARNING)
logger = logging.getLogger(__name__)

# The largest body that InvokeEndpoint takes (6 MiB in botocore's model of sagemaker-runtime).
MAX_PHOTO_BYTES = 6_291_456
# Base64 adds a third: 96 KiB becomes 128 KiB, half of the 256 KiB that one state may carry.
MAX_INLINE_BYTES = 96 * 1024
MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}

# As botocore takes names of buckets. It also takes ARNs, of access points, which the function's role may not read.
_BUCKET = re.compile(r"[a-zA-Z0-9._-]{1,255}")
_EXAMPLE = 'Name it by bucket and key, for example {"bucket": "loadingbay-123-us-east-1", "key": "incoming/photo.png"}.'


class PhotoNotNamed(ValueError):
    """The input does not name a photo by a bucket and a key."""


class PhotoNotFound(ValueError):
    """S3 has no such bucket, object or version."""


class PhotoNotReadable(ValueError):
    """S3 refuses to give the object to this function's role."""


class EmptyPhoto(ValueError):
    """The object has no bytes."""


class PhotoTooLarge(ValueError):
    """The object has more bytes than the endpoint accepts in one request."""


class UnsupportedPhotoFormat(ValueError):
    """The first bytes are neither those of a PNG nor those of a JPEG."""


class PhotoStoreUnavailable(RuntimeError):
    """S3 did not answer, or asked to slow down: worth another try."""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`{"bucket", "key", "version_id"?}` in; `{"photo", "image"}` out, see `serialize`."""
    return serialize(event, _s3())


@cache
def _s3() -> Any:
    retries = {"mode": "standard", "max_attempts": 2}
    # botocore composes its own user agent anew for each request, a tenth of this function's processor time.
    config = Config(connect_timeout=2, read_timeout=8, retries=retries, user_agent="loadingbay-serialize-image")
    return boto3.client("s3", config=config)


def serialize(event: dict[str, Any], s3: Any) -> dict[str, Any]:
    """Check the photo that the event names, without reading more of it than is needed.

    Returns `{"photo": {"bucket", "key", "version_id"?, "content_type", "size"}, "image": base64 or None}`. `image`
    is None when the photo is too large to travel through the states. The version is pinned: what was checked is what
    is classified.

    Raises one of the exceptions above; each names the photo, the value and the limit.
    """
    request = _request(event)
    name = f"s3://{request['Bucket']}/{request['Key']}"
    try:
        response = s3.get_object(**request)
        size = int(response["ContentLength"])
        # The length comes with the headers: a photo that is refused here is never downloaded.
        _check_size(size, name)
        with response["Body"] as body:
            head = body.read(min(size, 16))
            content_type = _content_type(head, name)
            photo = head + body.read(size - len(head)) if size <= MAX_INLINE_BYTES else None
    except ClientError as error:
        raise _translated(error, name) from error
    except ParamValidationError as error:
        # Refused before anything was sent: another try would end the same.
        raise PhotoNotNamed(f"The input does not name a photo in S3: {error} {_EXAMPLE}") from error
    except BotoCoreError as error:
        raise PhotoStoreUnavailable(f"{name} could not be read from S3: {error}") from error

    about = {"bucket": request["Bucket"], "key": request["Key"], "content_type": content_type, "size": size}
    if response.get("VersionId"):
        about["version_id"] = response["VersionId"]
    logger.info("%s: %s, %d bytes, %s", name, content_type, size, "inline" if photo else "by reference")
    return {"photo": about, "image": base64.b64encode(photo).decode("ascii") if photo else None}


def _request(event: dict[str, Any]) -> dict[str, str]:
    """Return the input as a request to S3; PhotoNotNamed when bucket or key is missing, or cannot be one."""
    for field in ("bucket", "key"):
        if not isinstance(event, dict) or not isinstance(event.get(field), str) or not event[field]:
            raise PhotoNotNamed(f'The input needs "{field}" as a non-empty string. {_EXAMPLE}')
    if not _BUCKET.fullmatch(event["bucket"]):
        raise PhotoNotNamed(f'The input\'s "bucket" is no name of a bucket: {event["bucket"]!a:.200}. {_EXAMPLE}')
    fields = {"bucket": "Bucket", "key": "Key", "version_id": "VersionId"}
    given = {field: event[field] for field in fields if event.get(field)}
    for field, text in given.items():
        try:
            str(text).encode()
        except UnicodeEncodeError:
            raise PhotoNotNamed(f'The input\'s "{field}" is no Unicode text: {text!a:.200}. {_EXAMPLE}') from None
    return {fields[field]: text for field, text in given.items()}


def _check_size(size: int, name: str) -> None:
    """Raise EmptyPhoto for a size of 0 bytes, PhotoTooLarge for more than MAX_PHOTO_BYTES."""
    if size == 0:
        raise EmptyPhoto(f"{name} is empty (0 bytes): upload the photo again.")
    if size > MAX_PHOTO_BYTES:
        raise PhotoTooLarge(
            f"{name} has {size:,} bytes; the endpoint takes at most {MAX_PHOTO_BYTES:,}: send a smaller copy."
        )


def _content_type(head: bytes, name: str) -> str:
    """Return the content type by the first bytes; UnsupportedPhotoFormat when they are neither PNG nor JPEG."""
    for magic, content_type in MAGIC.items():
        if head.startswith(magic):
            return content_type
    raise UnsupportedPhotoFormat(
        f"{name} is neither PNG nor JPEG (it starts with the bytes {head[:8].hex(' ')}): send it as one of these."
    )


def _translated(error: ClientError, name: str) -> Exception:
    """The exception of this module for an error of S3, or the error itself where there is none."""
    unknown: Exception = error
    code = error.response["Error"].get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in {"InvalidBucketName", "KeyTooLongError"}:
        return PhotoNotNamed(f"{name} is no name of a photo in S3 ({code}). {_EXAMPLE}")
    if code in {"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404"} or status in {404, 405}:
        return PhotoNotFound(f"{name} is not there ({code}): check bucket, key and version.")
    if code == "InvalidArgument":
        return PhotoNotFound(f"{name}: S3 does not know this version id ({code}).")
    if status == 403:
        # S3's own words name the action that the role lacks.
        said = error.response["Error"].get("Message", "")
        return PhotoNotReadable(f"{name} may not be read by this function ({code}): {said}")
    if status >= 500 or code in {"SlowDown", "Throttling", "RequestTimeout"}:
        return PhotoStoreUnavailable(f"{name} could not be read from S3 just now ({code}).")
    if code == "InvalidRequest" or code.startswith("KMS."):
        # Encrypted with a key that only the sender has, or that is disabled: another try would end the same.
        return PhotoNotReadable(f"{name} may not be read ({code}): {error.response['Error'].get('Message', '')}")
    return unknown
