"""A kind of resource that is changed while a local cloud is killed: its one value, written and read as text."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"
BUCKET, VERSIONED, TOPIC, QUEUE, FUNCTION, ROLE_OF_POLICIES = (
    "kinds-plain", "kinds-versioned", "kinds-topic", "kinds-queue", "kinds-function", "kinds-role",
)  # fmt: skip
_GONE = (
    "NotFound", "NotFoundException", "ResourceNotFoundException", "NoSuchEntity", "NoSuchKey", "ResourceNotFound",
    "NoSuchLifecycleConfiguration", "NoSuchTagSet", "404", "QueueDoesNotExist", "ParameterNotFound",
    "AWS.SimpleQueueService.NonExistentQueue", "StateMachineDoesNotExist",
)  # fmt: skip


class StackError(Exception):
    """A stack does not become what it was told to be: the cloud was killed, or it hangs."""


SMALL = tuple(str(number) for number in range(1, 800))

Clients = Callable[[str], Any]
Value = str | None


@dataclass(frozen=True)
class Kind:
    """A kind of resource: `write(clients, name, old, new)` and `read(clients, name)`.

    `between` are values that a write may be interrupted at; `values` are all that are written, if not any number.
    """

    write: Callable[[Clients, str, Value, Value], None]
    read: Callable[[Clients, str], Value]
    removed: bool = True
    between: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


def read(kind: Kind, clients: Clients, name: str) -> Value:
    """The value of a resource; None if it is not there."""
    try:
        return kind.read(clients, name)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE or "does not exist" in str(error):
            return None
        raise


def topic_arn(name: str) -> str:
    return f"arn:aws:sns:us-east-1:{ACCOUNT}:{name}"


def queue_arn(name: str) -> str:
    return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"
