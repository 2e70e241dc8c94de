"""Every error becomes one sentence that says what to do."""

import errno

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError

from loadingbay.errors import WorkError
from loadingbay.screen.explain import sentence

QUOTED = (
    'User: u is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::data" because no policy allows it'
)


def _aws(code, message="why", operation="CreateEndpoint"):
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (WorkError("what, which, do"), "what, which, do"),
        (_aws("ExpiredToken"), "the AWS credentials have expired: sign in again"),
        (_aws("UnrecognizedClientException"), "`aws configure list`"),
        (_aws("AccessDeniedException", "r may not pass x"), "CreateEndpoint is not permitted: r may not pass x"),
        (_aws("403", "Forbidden", "HeadObject"), "HeadObject is not permitted: ask for s3:GetObject and s3:ListBucket"),
        (_aws("AccessDenied", QUOTED), "ask for s3:ListBucket on arn:aws:s3:::data, then"),
        (_aws("ResourceLimitExceeded", "0 of it"), "CreateEndpoint was refused with ResourceLimitExceeded: 0 of it"),
        (UnicodeEncodeError("utf-8", "photos/\udcff/", 7, 8, "no"), r"'photos/\udcff/' is not UTF-8 text"),
        (NoCredentialsError(), "no usable credentials"),
        (NoRegionError(), "set AWS_DEFAULT_REGION"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:9/"), "nothing answers at http://127.0.0.1:9/"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), r"the disk is full (/x/y): free some space"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "may not be written to (/x)"),
        (ModuleNotFoundError("No module named 'a'", name="a"), "lacks the package a: `make setup`"),
        (RuntimeError("odd"), "RuntimeError: odd (unexpected: LOADINGBAY_DEBUG=1 shows where)"),
    ],
)
def test_an_error_is_one_sentence(error, says):
    assert says in sentence(error)
    assert "\n" not in sentence(error)
