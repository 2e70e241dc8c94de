"""In whose name something is done: of the account's owner, who may do all, or of a role, within its policies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import boto3
from botocore.config import Config

from localcloud.api import ApiError
from localcloud.iam.access import SAGEMAKER, Need, NotAllowedError, Place, needs
from localcloud.settings import Settings


class Identity(Protocol):
    """Someone who acts."""

    @property
    def variables(self) -> Mapping[str, str]:
        """The credentials as variables for a process, to be put over those of the owner."""

    def client(self, service: str) -> Any:
        """A boto3 client that acts in this name. For threads, not for the event loop."""

    def require(self, wanted: Iterable[Need]) -> None:
        """ApiError with the code AccessDeniedException and AWS's sentence, unless all of it is allowed."""

    def release(self) -> None:
        """The work is done: temporary credentials are worth nothing any more."""


class Evaluator(Protocol):
    """Decides by IAM policies. Whatever is not allowed raises NotAllowedError."""

    def require(self, access_key: str, need: Need) -> None:
        """Allow the owner of an access key what it needs; no signature is looked at."""

    def verify(self, scope: Mapping[str, Any], body: bytes, need: Need) -> None:
        """Check the signature of an HTTP request (ASGI scope), then as `require` for its signer."""

    def key_of(self, headers: Mapping[str, str]) -> str:
        """The access key that a request names."""

    def assume(self, role_arn: str, service: str, session: str) -> dict[str, str]:
        """Temporary credentials, as environment variables, with which a service acts as a role."""

    def forget(self, access_key: str) -> None:
        """End temporary credentials."""

    def access(self) -> dict[str, Any]:
        """Actions that were allowed, by role, and the last that were denied."""


class Identities(Protocol):
    """Makes identities."""

    def assume(self, role_arn: str | None, session: str = "SageMaker") -> Identity:
        """SageMaker in the name of a role; ApiError if the role is not there or does not trust it."""

    def caller(self, headers: Mapping[str, str]) -> Identity:
        """Who sent a request whose signature has been checked."""

    def admit(self, scope: Mapping[str, Any], body: bytes, operation: str, request: Mapping[str, Any]) -> None:
        """Check signature and permission of a request that goes past the emulator; ApiError if it may not be."""

    def access(self) -> dict[str, Any] | None:
        """What was allowed and denied so far; None where IAM is not enforced."""


def needed(identity: Identity, operation: str, request: Mapping[str, Any], settings: Settings) -> None:
    """ApiError unless the identity may send this request to SageMaker."""
    identity.require(needs(operation, request, Place(settings.account, settings.region)))


class Owner:
    """The account's owner."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self.client = client

    @property
    def variables(self) -> Mapping[str, str]:
        """None but those that everybody gets."""
        return {}

    def require(self, wanted: Iterable[Need]) -> None:
        """May do all."""

    def release(self) -> None:
        """Has no temporary credentials."""


class Unenforced:
    """Everybody acts as the owner."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self._owner = Owner(client)

    def assume(self, role_arn: str | None, session: str = "SageMaker") -> Identity:
        """The owner."""
        return self._owner

    def caller(self, headers: Mapping[str, str]) -> Identity:
        """The owner."""
        return self._owner

    def admit(self, scope: Mapping[str, Any], body: bytes, operation: str, request: Mapping[str, Any]) -> None:
        """Everybody."""

    def access(self) -> dict[str, Any] | None:
        """Nobody notes it."""
        return None


class _Holder:
    """Whoever holds an access key."""

    def __init__(self, evaluator: Evaluator, settings: Settings, credentials: Mapping[str, str]) -> None:
        self._evaluator, self._settings = evaluator, settings
        self._credentials = credentials
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}

    @property
    def variables(self) -> Mapping[str, str]:
        """See Identity."""
        return self._credentials

    def client(self, service: str) -> Any:
        """See Identity."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = boto3.client(
                    service,
                    endpoint_url=self._settings.endpoint_url,
                    region_name=self._settings.region,
                    aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
                    aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
                    aws_session_token=self.variables["AWS_SESSION_TOKEN"],
                    config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}),
                )
            return self._clients[service]

    def require(self, wanted: Iterable[Need]) -> None:
        """See Identity."""
        for need in wanted:
            try:
                self._evaluator.require(self.variables["AWS_ACCESS_KEY_ID"], need)
            except NotAllowedError as error:
                raise _refusal(error) from None

    def release(self) -> None:
        """See Identity."""
        self._evaluator.forget(self.variables["AWS_ACCESS_KEY_ID"])


class Enforced:
    """Everybody acts within the policies of their role or user."""

    def __init__(self, evaluator: Evaluator, settings: Settings) -> None:
        self._evaluator, self._settings = evaluator, settings

    def assume(self, role_arn: str | None, session: str = "SageMaker") -> Identity:
        """See Identities."""
        if role_arn is None:
            raise ApiError("ValidationException", "No role is given to act in the name of.")
        try:
            credentials = self._evaluator.assume(role_arn, SAGEMAKER, session)
        except NotAllowedError as error:
            raise ApiError(error.code, str(error)) from None
        return _Holder(self._evaluator, self._settings, credentials)

    def caller(self, headers: Mapping[str, str]) -> Identity:
        """See Identities."""
        try:
            key = self._evaluator.key_of(headers)
        except NotAllowedError as error:
            raise _refusal(error) from None
        return _Holder(self._evaluator, self._settings, {"AWS_ACCESS_KEY_ID": key})

    def admit(self, scope: Mapping[str, Any], body: bytes, operation: str, request: Mapping[str, Any]) -> None:
        """See Identities."""
        try:
            for need in needs(operation, request, Place(self._settings.account, self._settings.region)):
                self._evaluator.verify(scope, body, need)
        except NotAllowedError as error:
            raise ApiError(error.code, str(error), 403) from None

    def access(self) -> dict[str, Any] | None:
        """See Identities."""
        return self._evaluator.access()


def _refusal(error: NotAllowedError) -> ApiError:
    return ApiError(error.code, str(error))
