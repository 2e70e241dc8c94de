"""A cloud in memory for the tests of DeployModel: registry, endpoints, events, refusals, verification and history.

Requests are checked against botocore's own model, so what passes here is at least well-formed for AWS.
"""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

ACCOUNT = "arn:aws:sagemaker:us-east-1:000000000000"
STARTED = datetime(2026, 11, 3, tzinfo=UTC)
OURS = "arn:aws:sts::000000000000:assumed-role/role/loadingbay-deploy-model"
NAME, TRIAL = "loadingbay", "loadingbay-verify"
RESTS = {"InService": "IN_SERVICE", "Failed": "FAILED"}


@cache
def _model(service: str = "sagemaker") -> Any:
    return botocore.session.get_session().get_service_model(service)


def refusal(operation: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": "ValidationException", "Message": message}}, operation)


class MemorySageMaker:
    """What DeployModel sees of AWS: it is SageMaker, Lambda, S3 and CloudWatch in one.

    `broken` versions never come into service, `wrong` ones answer wrongly there; no endpoint starts without
    `machines`, and VerifyEndpoint fails itself without `verifiable`. No more than `quota` of them are handed out: an
    endpoint has one, two while it is updated, and keeps it until its deletion has ended.
    """

    def __init__(self) -> None:
        self.packages: dict[int, dict[str, Any]] = {}
        self.broken: set[int] = set()
        self.wrong: set[int] = set()
        self.machines = self.verifiable = True
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens while the next verification is made."""
        self.quota = 10
        self.ringing = False
        self.models: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, dict[str, Any]] = {}
        self.served: list[int] = []
        """Every version that the endpoint came to serve."""
        self.rejected: set[int] = set()
        """Every version that DeployModel rejected."""
        self.updates: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.clock = STARTED

    # ------------------------------------------------------------ what people and SageMaker do
    def register(self, *faults: str) -> int:
        version = len(self.packages) + 1
        self.packages[version] = {
            "ModelPackageArn": self.arn(version),
            "ModelPackageVersion": version,
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": "PendingManualApproval",
            "CreationTime": STARTED + timedelta(minutes=version),
            "CustomerMetadataProperties": {"accuracy": "0.9300"},
            "ModelMetrics": {"ModelQuality": {"Statistics": {"S3Uri": f"s3://b/{version}/evaluation.json"}}},
        }
        self.broken |= {version} if "broken" in faults else set()
        self.wrong |= {version} if "wrong" in faults else set()
        self._package_event(version)
        return version

    def decide(self, version: int, status: str, by: str = "arn:aws:iam::000000000000:user/ada") -> None:
        self.packages[version] |= {"ModelApprovalStatus": status, "LastModifiedBy": {"IamIdentity": {"Arn": by}}}
        self._package_event(version)

    def settle(self) -> None:
        """The endpoints come to rest, and say so; a deletion ends without a word."""
        for name, endpoint in list(self.endpoints.items()):
            if endpoint["status"] == "Deleting":
                del self.endpoints[name]
            elif endpoint["status"] in {"Creating", "Updating"}:
                self._settle(name, endpoint)

    def _settle(self, name: str, endpoint: dict[str, Any]) -> None:
        version = self._version_of(endpoint["next"])
        works = self.machines and version not in self.broken
        if works:
            endpoint["config"] = endpoint["next"]
            if name == NAME:
                self.served.append(version)
        fell_back = not works and endpoint["status"] == "Updating"
        fault = "The container did not pass the ping health check."
        shortage = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."
        self.clock += timedelta(seconds=7)
        endpoint |= {
            "status": "InService" if works or fell_back else "Failed",
            "reason": "" if works else fault if self.machines else shortage,
            "changed": self.clock,
        }
        detail = {"EndpointName": name, "EndpointStatus": RESTS[endpoint["status"]]}
        self.events.append({"detail-type": "SageMaker Endpoint State Change", "detail": detail})

    def vanish(self) -> None:
        """Someone deletes the endpoint by hand."""
        if self.endpoints.get(NAME, {}).get("status") in RESTS:
            self.endpoints[NAME]["status"] = "Deleting"

    @property
    def busy(self) -> bool:
        return any(endpoint["status"] not in RESTS for endpoint in self.endpoints.values())

    @property
    def endpoint(self) -> dict[str, Any] | None:
        return self.endpoints.get(NAME)

    @property
    def live(self) -> int | None:
        """The version in service."""
        if self.endpoint is None or self.endpoint["status"] not in {"InService", "Updating"}:
            return None
        return self._version_of(self.endpoint["config"])

    @property
    def status(self) -> dict[int, str]:
        return {version: package["ModelApprovalStatus"] for version, package in self.packages.items()}

    def metadata(self, version: int) -> dict[str, str]:
        return self.packages[version]["CustomerMetadataProperties"]

    def approved(self) -> list[int]:
        return [version for version, status in self.status.items() if status == "Approved"]

    def history(self) -> list[dict[str, Any]]:
        return [record for _, record in sorted(self.objects.items())]

    def _version_of(self, config: str) -> int:
        model = self.models[self.configs[config]["ProductionVariants"][0]["ModelName"]]
        return int(model["PrimaryContainer"]["ModelPackageName"].rsplit("/", 1)[1])

    def _package_event(self, version: int) -> None:
        detail = {"ModelPackageArn": self.arn(version), "ModelApprovalStatus": self.status[version]}
        self.events.append({"detail-type": "SageMaker Model Package State Change", "detail": detail})

    @staticmethod
    def arn(version: int) -> str:
        return f"{ACCOUNT}:model-package/loadingbay/{version}"

    # ------------------------------------------------------------ what boto3 offers
    def _check(self, operation: str, request: dict[str, Any], service: str = "sagemaker") -> None:
        shape = _model(service).operation_model(operation).input_shape
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), report.generate_report()
        self.calls.append(operation)

    def get_paginator(self, name: str) -> "_Pages":
        return _Pages(self, name)

    def describe_model_package(self, **request: Any) -> dict[str, Any]:
        self._check("DescribeModelPackage", request)
        version = int(request["ModelPackageName"].rsplit("/", 1)[1])
        if version not in self.packages:
            raise refusal("DescribeModelPackage", f"ModelPackage {request['ModelPackageName']} does not exist.")
        return self.packages[version]

    def describe_endpoint(self, **request: Any) -> dict[str, Any]:
        self._check("DescribeEndpoint", request)
        name = request["EndpointName"]
        endpoint = self._there("DescribeEndpoint", name)
        reason = {"FailureReason": endpoint["reason"]} if endpoint.get("reason") else {}
        config = {} if endpoint["status"] == "Failed" else {"EndpointConfigName": endpoint["config"]}
        return {
            "EndpointArn": f"{ACCOUNT}:endpoint/{name}", "EndpointStatus": endpoint["status"], **config, **reason,
            "LastModifiedTime": endpoint["changed"],
        }  # fmt: skip

    def create_model(self, **request: Any) -> None:
        self._check("CreateModel", request)
        if request["ModelName"] in self.models:
            raise refusal(
                "CreateModel", f'Cannot create already existing model "{ACCOUNT}:model/{request["ModelName"]}".'
            )
        self.models[request["ModelName"]] = request

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
        name = request["EndpointName"]
        if name in self.endpoints:
            raise refusal("CreateEndpoint", "Cannot create already existing endpoint.")
        config = self._known_config("CreateEndpoint", request)
        self._one_more_machine("CreateEndpoint")
        tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        self.endpoints[name] = {
            "status": "Creating", "config": config, "next": config, "tags": tags, "changed": self.clock,
        }  # fmt: skip

    def update_endpoint(self, **request: Any) -> None:
        self._check("UpdateEndpoint", request)
        endpoint = self.endpoints.get(request["EndpointName"])
        if endpoint is None or endpoint["status"] != "InService":
            raise refusal("UpdateEndpoint", f'Cannot update in-progress endpoint "{ACCOUNT}:endpoint/loadingbay".')
        self._one_more_machine("UpdateEndpoint")
        self.updates.append(request)
        endpoint.update(status="Updating", next=self._known_config("UpdateEndpoint", request))

    def delete_endpoint(self, **request: Any) -> None:
        self._check("DeleteEndpoint", request)
        endpoint = self._there("DeleteEndpoint", request["EndpointName"])
        if endpoint["status"] not in RESTS:
            raise refusal("DeleteEndpoint", "Cannot update in-progress endpoint.")
        endpoint["status"] = "Deleting"

    def update_model_package(self, **request: Any) -> None:
        self._check("UpdateModelPackage", request)
        version = int(request["ModelPackageArn"].rsplit("/", 1)[1])
        package = self.packages[version]
        package["CustomerMetadataProperties"] |= request.get("CustomerMetadataProperties", {})
        package["LastModifiedBy"] = {"IamIdentity": {"Arn": OURS}}
        if "ModelApprovalStatus" in request:
            package["ApprovalDescription"] = request["ApprovalDescription"]
            self.rejected.add(version)
            self.decide(version, request["ModelApprovalStatus"], by=OURS)

    def add_tags(self, **request: Any) -> None:
        self._check("AddTags", request)
        endpoint = self.endpoints[request["ResourceArn"].rsplit("/", 1)[1]]
        endpoint["tags"].update({tag["Key"]: tag["Value"] for tag in request["Tags"]})

    def invoke(self, **request: Any) -> dict[str, Any]:
        """VerifyEndpoint, asked about the version that the trial endpoint serves."""
        self._check("Invoke", request, "lambda")
        assert json.loads(request["Payload"])["evaluation"].endswith("/evaluation.json")
        trial = self.endpoints.get(TRIAL)
        if not self.verifiable or trial is None or trial["status"] != "InService":
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorMessage": "the endpoint is away"}')}
        wrong = self._version_of(trial["config"]) in self.wrong
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        gone = self.endpoints.get(TRIAL) is not trial or trial["status"] != "InService"
        reason = "it answered 1 of 40 right (by 2,5 %)" if wrong else "it answered with an error" if gone else ""
        verdict = {
            "passed": not reason, "reason": reason, "photos": 40,
            "accuracy": 0.025 if wrong else 0.95, "evaluated_accuracy": 0.95, "milliseconds": 4.5,
        }  # fmt: skip
        return {"Payload": io.BytesIO(json.dumps(verdict).encode())}

    def describe_alarms(self, **request: Any) -> dict[str, Any]:
        self._check("DescribeAlarms", request, "cloudwatch")
        return {"MetricAlarms": [{"AlarmName": request["AlarmNames"][0]}] if self.ringing else []}

    def put_object(self, **request: Any) -> None:
        self._check("PutObject", request, "s3")
        self.objects[request["Key"]] = json.loads(request["Body"])

    def _one_more_machine(self, operation: str) -> None:
        used = sum(1 + (endpoint["status"] == "Updating") for endpoint in self.endpoints.values())
        if used >= self.quota:
            message = f"The account-level service limit 'ml.m5.large for endpoint usage' is {self.quota} Instances."
            raise ClientError({"Error": {"Code": "ResourceLimitExceeded", "Message": message}}, operation)

    def _there(self, operation: str, name: str) -> dict[str, Any]:
        if name not in self.endpoints:
            raise refusal(operation, f'Could not find endpoint "{name}".')
        return self.endpoints[name]

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
            tags = self._cloud.endpoints[request["ResourceArn"].rsplit("/", 1)[1]]["tags"]
            return [{"Tags": [{"Key": key, "Value": value}]} for key, value in tags.items()]
        self._cloud._check("ListModelPackages", request)
        wanted = request["ModelApprovalStatus"]
        kept = ("ModelPackageArn", "ModelPackageVersion", "ModelPackageStatus", "ModelApprovalStatus", "CreationTime")
        return [{"ModelPackageSummaryList": []}] + [
            {"ModelPackageSummaryList": [{key: package[key] for key in kept}]}
            for package in self._cloud.packages.values()
            if package["ModelApprovalStatus"] == wanted
        ]
