"""Turns an exception into one sentence: what happened, with which value, and what to do."""

from __future__ import annotations

import errno
import re

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    LoginError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from loadingbay.errors import WorkError

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})
# S3 answers HEAD without a body, so without a reason. https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
_OF_HEAD = {"HeadObject": "s3:GetObject and s3:ListBucket", "HeadBucket": "s3:ListBucket"}
_ACTION = re.compile(r"not authorized to perform: (?P<action>[\w-]+:\w+)(?: on resource: (?P<resource>\S+))?")
_SIGN_IN = (
    "the AWS credentials have expired: sign in again (new keys, or `aws sso login` of the AWS CLI 2), then repeat the "
    "command"
)


def sentence(error: Exception) -> str:
    """Say in one sentence what happened, with which value, and what to do."""
    if isinstance(error, WorkError):
        return str(error)
    if isinstance(error, ClientError):
        return _of_aws(error)
    if isinstance(error, (SSOError, LoginError, TokenRetrievalError)):
        return _SIGN_IN
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, ProfileNotFound)):
        return f"AWS was asked for, but there are no usable credentials ({error}): `aws configure` sets them"
    if isinstance(error, NoRegionError):
        return "no AWS region is configured: set AWS_DEFAULT_REGION, for example to eu-central-1"
    if isinstance(error, (EndpointConnectionError, ConnectTimeoutError)):
        where = error.kwargs.get("endpoint_url")
        return f"nothing answers at {where}: `loadingbay status` says what runs; see that AWS_ENDPOINT_URL is right"
    if isinstance(error, BotoCoreError):
        return f"the connection to the cloud failed: {error}"
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, UnicodeEncodeError):
        # Bytes of an argument that are no UTF-8 come as halves of surrogate pairs, which no request can hold.
        around = error.object[max(error.start - 60, 0) : error.end + 20].encode(errors="backslashreplace").decode()
        return f"'{around}' is not UTF-8 text, which names in a cloud are"
    if isinstance(error, ModuleNotFoundError):
        return f"the tools environment lacks the package {error.name}: `make setup` brings it up to date"
    # Errors that the data reader raises are sentences already.
    if isinstance(error, ValueError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (unexpected: LOADINGBAY_DEBUG=1 shows where)"


def refused(error: Exception) -> bool:
    """Whether AWS refused a request for want of a permission."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in _DENIED


def _of_aws(error: ClientError) -> str:
    """Say in one sentence why AWS refused a request, and what to do."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code in _EXPIRED:
        return _SIGN_IN
    if code in _UNKNOWN:
        return f"AWS does not know these credentials ({code}): see `aws configure list`"
    if refused(error) and error.operation_name in _OF_HEAD:
        actions = _OF_HEAD[error.operation_name]
        return f"{error.operation_name} is not permitted: ask for {actions}, then repeat the command"
    if refused(error):
        return f"{error.operation_name} is not permitted: {_permission(message)}"
    return f"{error.operation_name} was refused with {code}: {message}"


def _permission(message: str) -> str:
    """Say which IAM action is missing on what, and to ask for it; AWS's `message`, a denial, stands in brackets."""
    found = _ACTION.search(message)
    said = " ".join(message.split())
    if found is None:
        return said
    action, resource = found["action"], (found["resource"] or "").strip('".,')
    on = f" on {resource}" if resource else ""
    if action == "iam:PassRole":
        return (
            f"these credentials may not pass that role on: ask for iam:PassRole{on}, then repeat the command ({said})"
        )
    return f"ask for {action}{on}, then repeat the command ({said})"


def _of_system(error: OSError) -> str:
    """Say in one sentence what the operating system refused, on which file, and what to do."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{where}: free some space, then repeat the command; what was finished is kept"
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return f"the disk may not be written to{where}: {error.strerror}"
    return f"{error.strerror or error}{where}"
