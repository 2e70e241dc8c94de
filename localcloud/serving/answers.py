"""What is asked of the containers of an instance, and what they answer."""

from collections.abc import Mapping
from dataclasses import dataclass

MOST_BYTES = 6_291_456
"""The longest body of a request or an answer, in bytes."""
TIMEOUT_SECONDS = 60.0
_ANY_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class Limits:
    """How long an answer may be, in bytes, and how many seconds it may take."""

    most_bytes: int = MOST_BYTES
    seconds: float = TIMEOUT_SECONDS


AT_ONCE = Limits()


@dataclass(frozen=True)
class Target:
    """Which of an instance's models and containers a request names, if any."""

    model: str | None = None
    """The path of an archive below the prefix of the container that serves several (TargetModel)."""
    container: str | None = None
    """The only container that the request goes to (TargetContainerHostname)."""


@dataclass(frozen=True)
class Answer:
    """What a container answered: the last one, or the first one that failed."""

    container: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The answer's Content-Type, or that of bytes of any kind."""
        return self.headers.get("Content-Type", _ANY_TYPE)


class LostError(Exception):
    """A container gave no answer; the cause is the HTTP client's error, or a TimeoutError."""

    def __init__(self, container: str, cause: Exception, refused: bool = False, ended: bool = False) -> None:
        """`refused`: there was no connection, so it has not got the request; `ended`: the connection was closed."""
        super().__init__(f"{container}: {cause}")
        self.container, self.cause, self.refused, self.ended = container, cause, refused, ended
