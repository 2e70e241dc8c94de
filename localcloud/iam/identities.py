"""Identities that work is done as: the account's owner, who is allowed everything, or a role, held to its policies.

`Unenforced` is used without `--enforce-iam`: everything is done as the owner. `Enforced` uses the role that AWS would.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from localcloud.api import ApiError
from localcloud.iam.access import SAGEMAKER, Need, NotAllowedError, Place, needs
from localcloud.iam.clients import connect
from localcloud.settings import Settings


class Identity(Protocol):
    """The account's owner or a role: credentials, clients that use them, and a check of permissions."""

    account: str | None
    """The number of its account, in which the resources lie that it gives by name; None for this one."""

    @property
    def variables(self) -> Mapping[str, str]:
        """Credentials as environment variables for a process; empty for the owner, whose variables each process has."""

    def client(self, service: str) -> Any:
        """A boto3 client with this identity's credentials. It blocks: use it in a thread, not in the event loop."""

    def require(self, wanted: Iterable[Need]) -> None:
        """Raise ApiError (AccessDeniedException, in AWS's words) unless all of `wanted` is allowed."""

    def release(self) -> None:
        """Make temporary credentials invalid, once the work that they were made for has ended."""


class Evaluator(Protocol):
    """Decides by IAM policies; each method raises NotAllowedError where something is not allowed."""

    def require(self, access_key: str, need: Need) -> None:
        """Check that the holder of an access key has a permission; no signature is checked."""

    def verify(self, scope: Mapping[str, Any], body: bytes, need: Need) -> None:
        """Check the signature of an HTTP request (ASGI scope and body), then its signer's permission."""

    def key_of(self, headers: Mapping[str, str]) -> str:
        """The access key id in the headers of a signed request."""

    def assume(self, role_arn: str, service: str, session: str) -> dict[str, str]:
        """Temporary credentials of a role for a service (`sagemaker.amazonaws.com`), as environment variables."""

    def forget(self, access_key: str) -> None:
        """Make temporary credentials invalid."""

    def access(self) -> dict[str, Any]:
        """{"allowed": {role: actions}, "denied": the last denials}, since the start."""


class Identities(Protocol):
    """Finds out which identity something is done as."""

    def assume(self, role_arn: str | None, session: str = "SageMaker") -> Identity:
        """SageMaker acting as a role; ApiError if the role does not exist or does not trust SageMaker."""

    def caller(self, headers: Mapping[str, str]) -> Identity:
        """The sender of a request whose signature has been checked already."""

    def admit(self, scope: Mapping[str, Any], body: bytes, operation: str, request: Mapping[str, Any]) -> None:
        """Check a request that MiniStack does not see (ASGI scope and body); ApiError if it is not allowed."""

    def access(self) -> dict[str, Any] | None:
        """What was allowed and denied since the start, as in Evaluator.access; None if IAM is not enforced."""


def authorize(identity: Identity, operation: str, request: Mapping[str, Any], settings: Settings) -> None:
    """Raise ApiError unless the identity has the permissions that a SageMaker operation with this request needs."""
    identity.require(needs(operation, request, Place(identity.account or settings.account, settings.region)))


class Owner:
    """The account's owner, who is allowed everything and has no temporary credentials."""

    account: str | None = None

    def __init__(self, client: Callable[[str], Any]) -> None:
        self.client = client

    @property
    def variables(self) -> Mapping[str, str]:
        """Empty: each process has the owner's variables."""
        return {}

    def require(self, wanted: Iterable[Need]) -> None:
        """Allow everything: the owner needs no permission."""

    def release(self) -> None:
        """Do nothing: there are no temporary credentials."""


class Unenforced:
    """Identities where IAM is not enforced: everything is done as the owner."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self._owner = Owner(client)

    def assume(self, role_arn: str | None, session: str = "SageMaker") -> Identity:
        """The owner, whatever the role."""
        return self._owner

    def caller(self, headers: Mapping[str, str]) -> Identity:
        """The owner, whichever key signed the request."""
        return self._owner

    def admit(self, scope: Mapping[str, Any], body: bytes, operation: str, request: Mapping[str, Any]) -> None:
        """Return: every signed request is allowed."""

    def access(self) -> dict[str, Any] | None:
        """None: decisions are not recorded."""
        return None


class _KeyHolder:
    """The identity of an access key: a role with temporary credentials, or the sender of a request."""

    account: str | None = None

    def __init__(self, evaluator: Evaluator, settings: Settings, credentials: Mapping[str, str]) -> None:
        self._evaluator, self._settings = evaluator, settings
        self._credentials = credentials
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}

    @property
    def variables(self) -> Mapping[str, str]:
        """The temporary credentials, as environment variables."""
        return self._credentials

    def client(self, service: str) -> Any:
        """A client with the temporary credentials; one for each service."""
        with self._lock:
            if service not in self._clients:
                names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
                key, secret, token = (self.variables[name] for name in names)
                self._clients[service] = connect(service, self._settings, key, secret, token)
            return self._clients[service]

    def require(self, wanted: Iterable[Need]) -> None:
        """Ask the evaluator for each permission; ApiError at the first that is denied."""
        for need in wanted:
            try:
                self._evaluator.require(self.variables["AWS_ACCESS_KEY_ID"], need)
            except NotAllowedError as error:
                raise _refusal(error) from None

    def release(self) -> None:
        """Make the temporary credentials invalid."""
        self._evaluator.forget(self.variables["AWS_ACCESS_KEY_ID"])


class Enforced:
    """Identities where IAM is enforced: each is held to the policies of its role or user."""

    def __init__(self, evaluator: Evaluator, settings: Settings) -> None:
        self._evaluator, self._settings = evaluator, settings

    def assume(self, role_arn: str | None, session: str = "SageMaker") -> Identity:
        """The role with new temporary credentials; ApiError without a role, or if it may not be assumed."""
        if role_arn is None:
            raise ApiError("ValidationException", "A role is required where IAM is enforced: give its ARN.")
        try:
            credentials = self._evaluator.assume(role_arn, SAGEMAKER, session)
        except NotAllowedError as error:
            raise ApiError(error.code, str(error)) from None
        return _KeyHolder(self._evaluator, self._settings, credentials)

    def caller(self, headers: Mapping[str, str]) -> Identity:
        """The holder of the access key in the headers; ApiError if there is none."""
        try:
            key = self._evaluator.key_of(headers)
        except NotAllowedError as error:
            raise _refusal(error) from None
        return _KeyHolder(self._evaluator, self._settings, {"AWS_ACCESS_KEY_ID": key})

    def admit(self, scope: Mapping[str, Any], body: bytes, operation: str, request: Mapping[str, Any]) -> None:
        """Check signature and each permission; ApiError with status 403 at the first failure."""
        try:
            for need in needs(operation, request, Place(self._settings.account, self._settings.region)):
                self._evaluator.verify(scope, body, need)
        except NotAllowedError as error:
            raise ApiError(error.code, str(error), 403) from None

    def access(self) -> dict[str, Any] | None:
        """What the evaluator recorded."""
        return self._evaluator.access()


def _refusal(error: NotAllowedError) -> ApiError:
    return ApiError(error.code, str(error))
