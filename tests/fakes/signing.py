"""Headers of a request that is signed with the local cloud's owner's key, for tests that speak HTTP themselves."""

from collections.abc import Mapping

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def signed(
    secret: str,
    method: str,
    url: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    service: str = "sagemaker",
    key: str = "000000000000",
) -> dict[str, str]:
    """`headers` and those of a Signature Version 4, made by botocore's own signer."""
    request = AWSRequest(method, url, data=body, headers=dict(headers or {}))
    SigV4Auth(Credentials(key, secret), service, "us-east-1").add_auth(request)
    return dict(request.headers.items())
