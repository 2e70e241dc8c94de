"""Model package groups: what the numbered versions of one model are registered in."""

from typing import Any

from localcloud.api import ApiError, operation, page, pick, refuse, strict_json, tags, validation_error
from localcloud.cloud import Cloud
from localcloud.state.store import DuplicateError

KIND = "model-package-group"


def find(cloud: Cloud, name_or_arn: str) -> dict[str, Any]:
    """A group by name or ARN; ValidationException in AWS's words if it is not there."""
    group = cloud.store.get(KIND, name_or_arn.rpartition("/")[2])
    if group is None or (":" in name_or_arn and group["ModelPackageGroupArn"] != name_or_arn):
        arn = name_or_arn if ":" in name_or_arn else cloud.arn(KIND, name_or_arn)
        raise validation_error(f"ModelPackageGroup {arn} does not exist.")
    return group


@operation("CreateModelPackageGroup")
def create_model_package_group(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create a model package group."""
    refuse(request, "ManagedConfiguration")
    name = request["ModelPackageGroupName"]
    arn = cloud.arn(KIND, name)
    document = {
        **pick(request, "ModelPackageGroupName", "ModelPackageGroupDescription"),
        "ModelPackageGroupArn": arn,
        "CreationTime": cloud.clock(),
        "CreatedBy": cloud.user(),
        "ModelPackageGroupStatus": "Completed",
    }
    with cloud.store.transaction():
        try:
            cloud.store.insert(KIND, name, document)
        except DuplicateError:
            raise validation_error(f"Model Package Group already exists: {arn}") from None
        tags.remember(cloud.store, arn, request.get("Tags"))
    return {"ModelPackageGroupArn": arn}


@operation("DescribeModelPackageGroup")
def describe_model_package_group(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a model package group."""
    return find(cloud, request["ModelPackageGroupName"])


@operation("ListModelPackageGroups")
def list_model_package_groups(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List model package groups, oldest first by default. No group is shared from another account."""
    groups = [] if request.get("CrossAccountFilterOption") == "CrossAccount" else cloud.store.documents(KIND)
    return page(
        request,
        groups,
        member="ModelPackageGroupSummaryList",
        summary=lambda group: pick(
            group,
            "ModelPackageGroupName",
            "ModelPackageGroupArn",
            "ModelPackageGroupDescription",
            "CreationTime",
            "ModelPackageGroupStatus",
        ),
        name="ModelPackageGroupName",
        default_order="Ascending",
        identity="ModelPackageGroupName",
    )


@operation("DeleteModelPackageGroup")
def delete_model_package_group(cloud: Cloud, request: dict[str, Any]) -> None:
    """Delete a model package group; ConflictException if it has versions."""
    with cloud.store.transaction():
        group = find(cloud, request["ModelPackageGroupName"])
        name, arn = group["ModelPackageGroupName"], group["ModelPackageGroupArn"]
        if cloud.store.count("model-package", name):
            raise ApiError("ConflictException", f"Model Package Group {arn} cannot be deleted: it has model packages.")
        cloud.store.delete(KIND, name)
        tags.forget(cloud.store, arn)


@operation("PutModelPackageGroupPolicy")
def put_model_package_group_policy(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Set the group's resource policy, by which other accounts may read its versions. It must be JSON."""
    try:
        strict_json.loads(request["ResourcePolicy"])
    except ValueError as error:
        raise validation_error(f"ResourcePolicy is not JSON: {error}.") from None
    return _keep_policy(cloud, request["ModelPackageGroupName"], request["ResourcePolicy"])


@operation("GetModelPackageGroupPolicy")
def get_model_package_group_policy(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """The group's resource policy; ValidationException if it has none."""
    group = find(cloud, request["ModelPackageGroupName"])
    if not group.get("_Policy"):
        raise validation_error(f"Cannot find resource policy for: {group['ModelPackageGroupArn']}")
    return {"ResourcePolicy": group["_Policy"]}


@operation("DeleteModelPackageGroupPolicy")
def delete_model_package_group_policy(cloud: Cloud, request: dict[str, Any]) -> None:
    """Delete the group's resource policy."""
    _keep_policy(cloud, request["ModelPackageGroupName"], None)


def policy_for(cloud: Cloud, arn: str) -> str | None:
    """The policy for a group or a version in it, by ARN (a version's may end in `*`); None if there is none."""
    kind, _, name = arn.rpartition(":")[2].partition("/")
    if kind not in (KIND, "model-package") or arn != cloud.arn(kind, name):
        return None
    group = cloud.store.get(KIND, name.partition("/")[0])
    policy: str | None = (group or {}).get("_Policy")
    return policy


def _keep_policy(cloud: Cloud, name_or_arn: str, policy: str | None) -> dict[str, Any]:
    with cloud.store.transaction():
        group = find(cloud, name_or_arn)
        cloud.store.update(KIND, group["ModelPackageGroupName"], {"_Policy": policy})
    return {"ModelPackageGroupArn": group["ModelPackageGroupArn"]}
