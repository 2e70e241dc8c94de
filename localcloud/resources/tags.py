"""AddTags, ListTags, DeleteTags: the tags of any resource, by its ARN."""

from typing import Any

from localcloud.api import operation, page, validation_error
from localcloud.api.tags import KIND, given, tags_of
from localcloud.cloud import Cloud

_MOST = 50


@operation("AddTags")
def add_tags(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Set tags; those with the same key are replaced. A version of a model package takes none: tag its group."""
    with cloud.store.transaction():
        tags = tags_of(cloud.store, request["ResourceArn"])
        tags.update(given(request["Tags"]))
        if len(tags) > _MOST:
            raise validation_error(f"A resource can have {_MOST} tags; this one would have {len(tags)}.")
        cloud.store.put(KIND, request["ResourceArn"], tags)
    return {"Tags": _listed(tags)}


@operation("ListTags")
def list_tags(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List the tags of a resource, by key."""
    tags = _listed(tags_of(cloud.store, request["ResourceArn"]))
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
    """Delete tags by key; keys that the resource does not have are ignored."""
    with cloud.store.transaction():
        tags = tags_of(cloud.store, request["ResourceArn"])
        for key in request["TagKeys"]:
            tags.pop(key, None)
        cloud.store.put(KIND, request["ResourceArn"], tags)


def _listed(tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
