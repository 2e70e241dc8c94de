"""Lets an S3 object be put with `aws:kms` and no key, as AWS does with its managed key; MiniStack refuses it."""

from typing import Any

from localcloud.ministack.private_names import find_names
from localcloud.settings import Settings

_METHOD = "x-amz-server-side-encryption"
_KEY = "x-amz-server-side-encryption-aws-kms-key-id"


def install(s3: Any, settings: Settings) -> None:
    """Name the account's managed key (alias aws/s3) where a request names none. Nothing is encrypted."""
    find_names(s3, "_resolve_sse_write_headers")
    original = s3._resolve_sse_write_headers
    managed = f"arn:aws:kms:{settings.region}:{settings.account}:alias/aws/s3"

    def resolve(headers: dict[str, str], bucket: str) -> Any:
        if headers.get(_METHOD) == "aws:kms" and not headers.get(_KEY):
            headers = {**headers, _KEY: managed}
        return original(headers, bucket)

    s3._resolve_sse_write_headers = resolve
