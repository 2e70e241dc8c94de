"""A SageMaker in memory for the tests of DeployModel: its registry, its endpoint, its events and its refusals.

Requests are checked against botocore's own model, so what passes here is at least well-formed for AWS.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

ACCOUNT = "arn:aws:sagemaker:us-east-1:000000000000"
STARTED = datetime(2026, 11, 3, tzinfo=UTC)


@cache
def _model() -> Any:
    return botocore.session.get_session().get_service_model("sagemaker")


def refusal(operation: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": "ValidationException", "Message": message}}, operation)


class MemorySageMaker:
    """What DeployModel sees of SageMaker. `broken` versions never come into service, others not without `machines`."""

    def __init__(self) -> None:
        self.status: dict[int, str] = {}
        self.broken: set[int] = set()
        self.machines = True
        self.models: dict[str, str] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.endpoint: dict[str, Any] | None = None
        self.descriptions: dict[str, str] = {}
        self.calls: list[str] = []
        self.events: list[dict[str, Any]] = []

    # ------------------------------------------------------------ what people and SageMaker do
    def register(self) -> int:
        version = len(self.status) + 1
        self.status[version] = "PendingManualApproval"
        self._package_event(version)
        return version

    def decide(self, version: int, status: str) -> None:
        self.status[version] = status
        self._package_event(version)

    def settle(self) -> None:
        """The endpoint comes to rest, and says so; a deletion ends without a word."""
        if self.endpoint is None or not self.busy:
            return
        if self.endpoint["status"] == "Deleting":
            self.endpoint = None
            return
        works = self.machines and self._version_of(self.endpoint["next"]) not in self.broken
        if works:
            self.endpoint["config"] = self.endpoint["next"]
        fell_back = not works and self.endpoint["status"] == "Updating"
        self.endpoint["status"] = "InService" if works or fell_back else "Failed"
        fault = "The container did not pass the ping health check."
        shortage = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."
        self.endpoint["reason"] = "" if works else fault if self.machines else shortage
        word = {"InService": "IN_SERVICE", "Failed": "FAILED"}[self.endpoint["status"]]
        detail = {"EndpointName": "loadingbay", "EndpointStatus": word}
        self.events.append({"detail-type": "SageMaker Endpoint State Change", "detail": detail})

    @property
    def busy(self) -> bool:
        return self.endpoint is not None and self.endpoint["status"] in {"Creating", "Updating", "Deleting"}

    @property
    def live(self) -> int | None:
        """The version in service."""
        if self.endpoint is None or self.endpoint["status"] not in {"InService", "Updating"}:
            return None
        return self._version_of(self.endpoint["config"])

    def approved(self) -> list[int]:
        return [version for version, status in self.status.items() if status == "Approved"]

    def _version_of(self, config: str) -> int:
        model = self.configs[config]["ProductionVariants"][0]["ModelName"]
        return int(self.models[model].rsplit("/", 1)[1])

    def _package_event(self, version: int) -> None:
        detail = {"ModelPackageArn": self.arn(version), "ModelApprovalStatus": self.status[version]}
        self.events.append({"detail-type": "SageMaker Model Package State Change", "detail": detail})

    @staticmethod
    def arn(version: int) -> str:
        return f"{ACCOUNT}:model-package/loadingbay/{version}"

    # ------------------------------------------------------------ what boto3 offers
    def _check(self, operation: str, request: dict[str, Any]) -> None:
        shape = _model().operation_model(operation).input_shape
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), report.generate_report()
        self.calls.append(operation)

    def get_paginator(self, name: str) -> "_Pages":
        return _Pages(self, name)

    def describe_endpoint(self, **request: Any) -> dict[str, Any]:
        self._check("DescribeEndpoint", request)
        if self.endpoint is None:
            raise refusal("DescribeEndpoint", 'Could not find endpoint "loadingbay".')
        shown = {"EndpointArn": f"{ACCOUNT}:endpoint/loadingbay", "EndpointStatus": self.endpoint["status"]}
        reason = {"FailureReason": self.endpoint["reason"]} if self.endpoint.get("reason") else {}
        return {**shown, **reason, "EndpointConfigName": self.endpoint["config"]}

    def create_model(self, **request: Any) -> None:
        self._check("CreateModel", request)
        if request["ModelName"] in self.models:
            raise refusal(
                "CreateModel", f'Cannot create already existing model "{ACCOUNT}:model/{request["ModelName"]}".'
            )
        self.models[request["ModelName"]] = request["PrimaryContainer"]["ModelPackageName"]

    def create_endpoint_config(self, **request: Any) -> None:
        self._check("CreateEndpointConfig", request)
        name = request["EndpointConfigName"]
        if name in self.configs:
            raise refusal("CreateEndpointConfig", f'Cannot create already existing endpoint configuration "{name}".')
        if request["ProductionVariants"][0]["ModelName"] not in self.models:
            raise refusal("CreateEndpointConfig", "Could not find model.")
        self.configs[name] = request

    def create_endpoint(self, **request: Any) -> None:
        self._check("CreateEndpoint", request)
        if self.endpoint is not None:
            raise refusal("CreateEndpoint", "Cannot create already existing endpoint.")
        config = self._known_config("CreateEndpoint", request)
        tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        self.endpoint = {"status": "Creating", "config": config, "next": config, "tags": tags}

    def update_endpoint(self, **request: Any) -> None:
        self._check("UpdateEndpoint", request)
        if self.endpoint is None or self.endpoint["status"] != "InService":
            raise refusal("UpdateEndpoint", f'Cannot update in-progress endpoint "{ACCOUNT}:endpoint/loadingbay".')
        self.endpoint.update(status="Updating", next=self._known_config("UpdateEndpoint", request))

    def delete_endpoint(self, **request: Any) -> None:
        self._check("DeleteEndpoint", request)
        if self.endpoint is None or self.endpoint["status"] == "Deleting":
            raise refusal("DeleteEndpoint", 'Could not find endpoint "loadingbay".')
        if self.busy:
            raise refusal("DeleteEndpoint", "Cannot delete in-progress endpoint.")
        self.endpoint["status"] = "Deleting"

    def update_model_package(self, **request: Any) -> None:
        self._check("UpdateModelPackage", request)
        self.decide(int(request["ModelPackageArn"].rsplit("/", 1)[1]), request["ModelApprovalStatus"])
        self.descriptions[request["ModelPackageArn"]] = request["ApprovalDescription"]

    def add_tags(self, **request: Any) -> None:
        self._check("AddTags", request)
        assert self.endpoint is not None
        self.endpoint["tags"].update({tag["Key"]: tag["Value"] for tag in request["Tags"]})

    def _known_config(self, operation: str, request: dict[str, Any]) -> str:
        name: str = request["EndpointConfigName"]
        if name not in self.configs:
            raise refusal(operation, f'Could not find endpoint configuration "{name}".')
        return name


class _Pages:
    def __init__(self, cloud: MemorySageMaker, name: str) -> None:
        self._cloud, self._name = cloud, name

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        if self._name == "list_tags":
            self._cloud._check("ListTags", request)
            assert self._cloud.endpoint is not None
            return [{"Tags": [{"Key": key, "Value": value}]} for key, value in self._cloud.endpoint["tags"].items()]
        self._cloud._check("ListModelPackages", request)
        wanted = request["ModelApprovalStatus"]
        return [{"ModelPackageSummaryList": []}] + [
            {
                "ModelPackageSummaryList": [
                    {
                        "ModelPackageArn": self._cloud.arn(version),
                        "ModelPackageVersion": version,
                        "ModelPackageStatus": "Completed",
                        "ModelApprovalStatus": status,
                        "CreationTime": STARTED + timedelta(minutes=version),
                    }
                ]
            }
            for version, status in self._cloud.status.items()
            if status == wanted
        ]
