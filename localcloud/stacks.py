"""SageMaker inside the emulator's other services: resources of CloudFormation, integrations of Step Functions."""

from typing import Any

from localcloud.api import ApiError
from localcloud.cloud import Cloud
from localcloud.emulator import Emulator
from localcloud.resources import tags


def register(emulator: Emulator, cloud: Cloud) -> None:
    """Add AWS::SageMaker::ModelPackageGroup to CloudFormation."""
    groups = _ModelPackageGroups(cloud)
    emulator.register_resource_type("AWS::SageMaker::ModelPackageGroup", groups.create, groups.update, groups.delete)


class _ModelPackageGroups:
    """AWS::SageMaker::ModelPackageGroup: Ref is the ARN, as on AWS."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        """Add the group; ValueError if it cannot be."""
        known = ("ModelPackageGroupName", "ModelPackageGroupDescription", "Tags")
        request = {name: properties[name] for name in known if properties.get(name)}
        request.setdefault("ModelPackageGroupName", f"{stack}-{logical_id}")
        try:
            arn = self._cloud.call("CreateModelPackageGroup", request)["ModelPackageGroupArn"]
        except ApiError as error:
            raise ValueError(error.message) from error
        return self._described(arn)

    def update(self, ref: str, old: dict[str, Any], new: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        """Change tags; anything else is a replacement on AWS, which a group with versions does not survive."""
        for name in ("ModelPackageGroupName", "ModelPackageGroupDescription"):
            if old.get(name) != new.get(name):
                raise ValueError(f"{name} of {ref} cannot be changed: delete the group and create it anew.")
        tags.remember(self._cloud, ref, new.get("Tags"))
        return self._described(ref)

    def delete(self, ref: str, properties: dict[str, Any]) -> None:
        """Remove the group; ValueError while it has versions, as on AWS. One that is gone already is no error."""
        try:
            self._cloud.call("DeleteModelPackageGroup", {"ModelPackageGroupName": ref})
        except ApiError as error:
            if error.code == "ConflictException":
                raise ValueError(error.message) from error

    def _described(self, arn: str) -> tuple[str, dict[str, Any]]:
        group = self._cloud.call("DescribeModelPackageGroup", {"ModelPackageGroupName": arn})
        attributes = ("ModelPackageGroupArn", "ModelPackageGroupStatus", "CreationTime")
        return arn, {name: str(group[name]) for name in attributes}
