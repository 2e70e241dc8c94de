"""Keeps the tags of resources: every operation that creates or deletes something with an ARN calls these."""

from localcloud.api.errors import validation_error
from localcloud.state.store import Store

KIND = "tags"


def remember(store: Store, arn: str, tags: list[dict[str, str]] | None = None) -> None:
    """Make an ARN one that tags can be put on, with the tags of its Create request.

    ValidationException if a key is given twice.
    """
    keys = [tag["Key"] for tag in tags or []]
    if len(set(keys)) < len(keys):
        raise validation_error("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    store.put(KIND, arn, {tag["Key"]: tag["Value"] for tag in tags or []})


def forget(store: Store, arn: str) -> None:
    """Drop the tags of a deleted resource."""
    store.delete(KIND, arn)


def tags_of(store: Store, arn: str) -> dict[str, str]:
    """A resource's tags; ValidationException if there is no such resource."""
    tags = store.get(KIND, arn)
    if tags is None:
        raise validation_error(f'Could not find resource "{arn}".')
    return tags
