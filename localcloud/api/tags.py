"""Keeps the tags of resources: every operation that creates or deletes something with an ARN calls these."""

import re

from localcloud.api.errors import ApiError, validation_error
from localcloud.state.store import Store

KIND = "tags"
_VERSION = re.compile(r"arn:[^/]+:model-package/[^/]+/\d+")


def untaggable_version() -> ApiError:
    """The refusal of tags on a version of a model package group."""
    return validation_error(
        "Tags are not supported on versioned model packages. Put them on the model package group instead."
    )


def remember(store: Store, arn: str, tags: list[dict[str, str]] | None = None) -> None:
    """Make an ARN one that tags can be put on, with the tags of its Create request, as `given` takes them."""
    store.put(KIND, arn, given(tags or []))


def given(tags: list[dict[str, str]]) -> dict[str, str]:
    """The tags of a request; ValidationException if a key is given twice, or begins as those of AWS's own do."""
    keys = [tag["Key"].lower() for tag in tags]
    if len(set(keys)) < len(keys):
        raise validation_error("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    reserved = next((tag["Key"] for tag in tags if tag["Key"].lower().startswith("aws:")), None)
    if reserved is not None:
        raise validation_error(f"The tag key {reserved!r} begins with aws:, which is reserved for AWS: take another.")
    return {tag["Key"]: tag["Value"] for tag in tags}


def shown(store: Store, arn: str) -> dict[str, str]:
    """A resource's tags as its events have them; none for what takes no tags."""
    return store.get(KIND, arn) or {}


def forget(store: Store, arn: str) -> None:
    """Drop the tags of a deleted resource."""
    store.delete(KIND, arn)


def tags_of(store: Store, arn: str) -> dict[str, str]:
    """A resource's tags; ValidationException if there is no such resource, or it is a version, which takes none."""
    if _VERSION.fullmatch(arn):
        raise untaggable_version()
    tags = store.get(KIND, arn)
    if tags is None:
        raise validation_error(f'Could not find resource "{arn}".')
    return tags
