"""AddTags, ListTags, DeleteTags. A resource calls `remember` when it is created and `forget` when it is deleted."""

from typing import Any

from localcloud.api import operation, page, validation_error
from localcloud.cloud import Cloud

KIND = "tags"
_MOST = 50


def remember(cloud: Cloud, arn: str, tags: list[dict[str, str]] | None = None) -> None:
    """Make an ARN one that tags can be put on, with the tags of its Create request."""
    keys = [tag["Key"] for tag in tags or []]
    if len(set(keys)) < len(keys):
        raise validation_error("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    cloud.store.put(KIND, arn, {tag["Key"]: tag["Value"] for tag in tags or []})


def forget(cloud: Cloud, arn: str) -> None:
    """Drop the tags of a deleted resource."""
    cloud.store.delete(KIND, arn)


def tags_of(cloud: Cloud, arn: str) -> dict[str, str]:
    """A resource's tags; ValidationException if there is no such resource."""
    tags = cloud.store.get(KIND, arn)
    if tags is None:
        raise validation_error(f'Could not find resource "{arn}".')
    return tags


@operation("AddTags")
def add_tags(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Set tags; those with the same key are replaced."""
    with cloud.store.transaction():
        tags = tags_of(cloud, request["ResourceArn"])
        tags.update({tag["Key"]: tag["Value"] for tag in request["Tags"]})
        if len(tags) > _MOST:
            raise validation_error(f"A resource can have {_MOST} tags; this one would have {len(tags)}.")
        cloud.store.put(KIND, request["ResourceArn"], tags)
    return {"Tags": _listed(tags)}


@operation("ListTags")
def list_tags(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """The tags of a resource, by key."""
    tags = _listed(tags_of(cloud, request["ResourceArn"]))
    return page(
        {**request, "SortBy": "Name"},
        tags,
        member="Tags",
        summary=dict,
        name="Key",
        identity="Key",
        default_order="Ascending",
        default_size=_MOST,
    )


@operation("DeleteTags")
def delete_tags(cloud: Cloud, request: dict[str, Any]) -> None:
    """Remove tags by key; keys that are not there do not matter."""
    with cloud.store.transaction():
        tags = tags_of(cloud, request["ResourceArn"])
        for key in request["TagKeys"]:
            tags.pop(key, None)
        cloud.store.put(KIND, request["ResourceArn"], tags)


def _listed(tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
