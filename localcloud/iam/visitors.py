"""Requests of other accounts: allowed is what the policies of this account's resources allow them, as on AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from localcloud.api import ApiError
from localcloud.iam.access import Need


class Visitor:
    """The owner of another account, as an Identity.

    `allows(account, need)` tells whether a policy of the resource lets that account do what is needed.
    """

    def __init__(self, account: str, allows: Callable[[str, Need], bool]) -> None:
        self.account: str | None = account
        self.arn = f"arn:aws:iam::{account}:root"
        self._allows = allows

    @property
    def variables(self) -> Mapping[str, str]:
        """Empty: nothing runs here in the name of another account."""
        return {}

    def client(self, service: str) -> Any:
        """ApiError: nothing is done here in the name of another account."""
        raise self._refusal(f"{service}:*", "*")

    def require(self, wanted: Iterable[Need]) -> None:
        """Raise ApiError at the first permission that no policy of the resource gives."""
        for need in wanted:
            if not self._allows(str(self.account), need):
                raise self._refusal(need.action, need.resource)

    def release(self) -> None:
        """Do nothing: there are no temporary credentials."""

    def _refusal(self, action: str, resource: str) -> ApiError:
        """Return AWS's error for an action that no resource policy gives to another account."""
        return ApiError(
            "AccessDeniedException",
            f"User: {self.arn} is not authorized to perform: {action} on resource: {resource} because no "
            f"resource-based policy allows the {action} action",
        )
