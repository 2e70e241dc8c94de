"""Errors that clients see: AWS's code, a sentence that names the value and what to do, and the HTTP status."""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """An error that the client sees: AWS's code, a sentence, and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members
        """Further members of the error's body, e.g. ModelError's OriginalStatusCode."""


def validation_error(message: str) -> ApiError:
    """A request that AWS's rules refuse, in words that name the value and what to do."""
    return ApiError("ValidationException", message)


def not_found(kind: str, name: str) -> ApiError:
    """ResourceNotFound in SageMaker's words, e.g. `Pipeline 'arn:...' does not exist.`"""
    return ApiError("ResourceNotFound", f"{kind} '{name}' does not exist.")


def refuse(request: Mapping[str, Any], *members: str) -> None:
    """ValidationException naming a member that AWS acts on and the local cloud does not. None is ignored."""
    for member in members:
        if request.get(member) not in (None, False):
            raise validation_error(f"The local cloud does not implement {member}; leave it out.")
