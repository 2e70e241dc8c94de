"""boto3 clients at the local cloud's own port."""

from typing import Any

from localcloud.settings import READ_SECONDS, Settings


def connect(service: str, settings: Settings, key: str, secret: str, token: str | None = None) -> Any:
    """A client of a service, such as `s3`, with these credentials."""
    # At the first client: boto3 takes a sixth of a start, and many local clouds are started for less.
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=settings.endpoint_url,
        region_name=settings.region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(
            max_pool_connections=32,
            s3={"addressing_style": "path"},
            retries={"max_attempts": 3},
            read_timeout=READ_SECONDS,
        ),
    )
