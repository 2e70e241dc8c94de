"""Sends a photo from S3 to the browser; an object that is no PNG or JPEG is not sent."""

from __future__ import annotations

from botocore.exceptions import ClientError, ParamValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from loadingbay.serving.photos import MAXIMUM_BYTES
from loadingbay.target import Target
from pipelines import aws

_KINDS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))


def photo_response(target: Target, uri: str, version_id: str | None = None) -> Response:
    """The photo at an S3 address, as PNG or JPEG by its first bytes.

    HTTPException when it is gone, can be none of this name, is neither, or larger than what the console takes.
    """
    try:
        bucket, key = aws.split_s3(uri)
        version = {"VersionId": version_id} if version_id else {}
        answer = target.client("s3").get_object(Bucket=bucket, Key=key, **version)
    except (ParamValidationError, ValueError) as error:
        raise HTTPException(404, "There can be no photo of this name in S3.") from error
    except ClientError as error:
        if aws.is_missing(error) or error.response["Error"]["Code"] == "NoSuchVersion":
            raise HTTPException(404, "The photo was deleted from S3.") from error
        raise
    with answer["Body"] as body:
        if answer["ContentLength"] > MAXIMUM_BYTES:
            most = f"at most {MAXIMUM_BYTES:,} are shown"
            raise HTTPException(413, f"The file has {answer['ContentLength']:,} bytes, and {most}.")
        return as_picture(body.read())


def as_picture(body: bytes) -> Response:
    """The bytes as a picture. HTTPException when they are neither PNG nor JPEG."""
    kind = next((kind for magic, kind in _KINDS if body.startswith(magic)), None)
    if kind is None:
        raise HTTPException(415, "The file is neither a PNG nor a JPEG picture, so it is not shown.")
    return Response(body, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})
