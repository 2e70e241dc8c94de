"""A SageMaker in memory for unit tests: registry, models, endpoints, tags, and prepared answers for all else.

Every request is checked against botocore's own model, and so is every member of an answer: what passes here is at
least well formed for AWS. An operation that is neither modelled here nor prepared by the test fails with its name.

    sagemaker = FakeSageMaker()
    sagemaker.decide(sagemaker.register(), "Approved")
    sagemaker.answer("DescribeTrainingJob", {"TrainingJobStatus": "Completed"})      # or a function of the request
    sagemaker.requests("DescribeTrainingJob")                                       # what was asked, in order
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from tests.fakes.service_models import check_request, operations, service_model, unknown_members

ACCOUNT = "arn:aws:sagemaker:us-east-1:000000000000"
STARTED = datetime(2026, 11, 3, tzinfo=UTC)
OURS = "arn:aws:sts::000000000000:assumed-role/role/loadingbay-deploy-model"
NAME = "loadingbay"
EVENT_STATUS = {"InService": "IN_SERVICE", "Failed": "FAILED"}
"""How the state-change event spells the states in which an endpoint rests."""

Answer = dict[str, Any] | Callable[..., dict[str, Any]]


def refusal(operation: str, message: str, code: str = "ValidationException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class FakeSageMaker:
    """The client that `boto3.client("sagemaker")` would be, and beside it what people and SageMaker itself do.

    `broken` versions never come into service, and no endpoint starts without `machines`. At most `quota` of them are
    handed out: an endpoint has one, two while it is updated, and keeps it until its deletion has ended. Each change of
    state adds its EventBridge event to `events`.
    """

    def __init__(self) -> None:
        self.packages: dict[int, dict[str, Any]] = {}
        self.broken: set[int] = set()
        self.machines = True
        self.quota = 10
        self.models: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.served: list[int] = []
        """Every version that the endpoint NAME came to serve."""
        self.shadowed: list[int] = []
        """Every version that came to get copies of the requests to the endpoint NAME."""
        self.refused_shadows: set[int] = set()
        """Every version whose approval as a shadow was withdrawn through UpdateModelPackage."""
        self.rejected_by_code: set[int] = set()
        """Every version that was rejected through UpdateModelPackage, not through `decide`."""
        self.updates: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.clock = STARTED
        self._asked: list[tuple[str, dict[str, Any]]] = []
        self._answers: dict[str, Answer] = {}

    # ------------------------------------------------------------ what a test prepares, and looks at afterwards
    def answer(self, operation: str, answer: Answer) -> None:
        """Prepare what an operation answers: a response, or a function of the request that returns or raises."""
        service_model("sagemaker").operation_model(operation)
        self._answers[operation] = answer

    def requests(self, operation: str) -> list[dict[str, Any]]:
        """The requests for an operation, in their order."""
        return [request for asked, request in self._asked if asked == operation]

    # ------------------------------------------------------------ what people and SageMaker do
    def register(self, *faults: str, **members: Any) -> int:
        """A new version, pending; `members` replace those of its description. Returns its number."""
        version = len(self.packages) + 1
        self.packages[version] = {
            "ModelPackageName": NAME,
            "ModelPackageGroupName": NAME,
            "ModelPackageArn": self.arn(version),
            "ModelPackageVersion": version,
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": "PendingManualApproval",
            "CreationTime": STARTED + timedelta(minutes=version),
            "CustomerMetadataProperties": {"accuracy": "0.9300"},
            "InferenceSpecification": {
                "Containers": [{"Image": "image", "ModelDataUrl": f"s3://b/{version}/m.tar.gz"}]
            },
            "ModelMetrics": {"ModelQuality": {"Statistics": {"S3Uri": f"s3://b/{version}/evaluation.json"}}},
            **members,
        }
        self.broken |= {version} if "broken" in faults else set()
        self._package_event(version, [])
        return version

    def decide(self, version: int, status: str, by: str = "arn:aws:iam::000000000000:user/ada") -> None:
        """Somebody approves or rejects a version."""
        self.packages[version] |= {"ModelApprovalStatus": status, "LastModifiedBy": {"IamIdentity": {"Arn": by}}}
        self._package_event(version, ["ModelApprovalStatus"])

    def shadow_with(self, version: int, share: str = "1", by: str = "arn:aws:iam::000000000000:user/ada") -> None:
        """Somebody lets a version get copies of the requests."""
        self.packages[version] |= {
            "ModelApprovalStatus": "PendingManualApproval",
            "ModelLifeCycle": {"Stage": "Shadow", "StageStatus": "Approved"},
            "LastModifiedBy": {"IamIdentity": {"Arn": by}},
        }
        self.metadata(version)["shadow_share"] = share
        self._package_event(version, ["CustomerMetadataProperties", "ModelApprovalStatus", "ModelLifeCycle"])

    def settle(self) -> None:
        """The endpoints come to rest, and say so; a deletion ends without a word."""
        for name, endpoint in list(self.endpoints.items()):
            if endpoint["status"] == "Deleting":
                del self.endpoints[name]
            elif endpoint["status"] in {"Creating", "Updating"}:
                self._settle(name, endpoint)

    def _settle(self, name: str, endpoint: dict[str, Any]) -> None:
        """End a change of an endpoint: it serves the new configuration, or says why not."""
        version, shadow = self._version_of(endpoint["next"]), self._shadow_of(endpoint["next"])
        works = self.machines and not {version, shadow} & self.broken
        if works:
            endpoint["config"] = endpoint["next"]
            if name == NAME:
                self.served.append(version)
                self.shadowed += [shadow] if shadow else []
        fell_back = not works and endpoint["status"] == "Updating"
        fault = "The container did not pass the ping health check."
        shortage = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."
        self.clock += timedelta(seconds=7)
        endpoint |= {
            "status": "InService" if works or fell_back else "Failed",
            "reason": "" if works else fault if self.machines else shortage,
            "changed": self.clock,
        }
        detail = {"EndpointName": name, "EndpointStatus": EVENT_STATUS[endpoint["status"]]}
        self.events.append({"detail-type": "SageMaker Endpoint State Change", "detail": detail})

    def vanish(self) -> None:
        """Someone deletes the endpoint by hand."""
        if self.endpoints.get(NAME, {}).get("status") in EVENT_STATUS:
            self.endpoints[NAME]["status"] = "Deleting"

    @property
    def busy(self) -> bool:
        return any(endpoint["status"] not in EVENT_STATUS for endpoint in self.endpoints.values())

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
    def shadow(self) -> int | None:
        """The version that gets copies of the requests to the endpoint."""
        return self._shadow_of(self.endpoint["config"]) if self.endpoint and self.live else None

    @property
    def status(self) -> dict[int, str]:
        return {version: package["ModelApprovalStatus"] for version, package in self.packages.items()}

    def metadata(self, version: int) -> dict[str, str]:
        return self.packages[version]["CustomerMetadataProperties"]

    def approved(self) -> list[int]:
        return [version for version, status in self.status.items() if status == "Approved"]

    def shadows(self) -> list[int]:
        """The versions that are to get copies of the requests."""
        stage = {"Stage": "Shadow", "StageStatus": "Approved"}.items()
        pending = [version for version, status in self.status.items() if status == "PendingManualApproval"]
        return [one for one in pending if stage <= self.packages[one].get("ModelLifeCycle", {}).items()]

    def _version_of(self, config: str) -> int:
        return self._version(self.configs[config]["ProductionVariants"][0])

    def _shadow_of(self, config: str) -> int | None:
        variants = self.configs[config].get("ShadowProductionVariants", [])
        return self._version(variants[0]) if variants else None

    def _version(self, variant: dict[str, Any]) -> int:
        model = self.models[variant["ModelName"]]
        return int(model["PrimaryContainer"]["ModelPackageName"].rsplit("/", 1)[1])

    def _package_event(self, version: int, updated: list[str]) -> None:
        """As on AWS, every update of a version is told, whatever it changed."""
        told = ("ModelPackageArn", "ModelApprovalStatus", "ModelLifeCycle", "CustomerMetadataProperties")
        detail = {key: value for key, value in self.packages[version].items() if key in told}
        detail |= {"UpdatedModelPackageFields": updated} if updated else {}
        self.events.append({"detail-type": "SageMaker Model Package State Change", "detail": detail})

    @staticmethod
    def arn(version: int) -> str:
        return f"{ACCOUNT}:model-package/{NAME}/{version}"

    # ------------------------------------------------------------ what boto3 offers
    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        """An operation with a prepared answer."""
        operation = operations().get(method)
        if operation is None:
            raise AttributeError(method)
        if operation not in self._answers:
            raise AssertionError(f"{operation} was called, and the test prepared no answer: sagemaker.answer(...)")

        def call(**request: Any) -> dict[str, Any]:
            self._check(operation, request)
            answer = self._answers[operation]
            answered = answer(**request) if callable(answer) else answer
            output = service_model("sagemaker").operation_model(operation).output_shape
            unknown = list(unknown_members(output, answered)) if output else []
            assert not unknown, f"{operation} has no {', '.join(unknown)} in its answer"
            return answered

        return call

    def _check(self, operation: str, request: dict[str, Any], service: str = "sagemaker") -> None:
        check_request(operation, request, service)
        self.calls.append(operation)
        self._asked.append((operation, request))

    def get_paginator(self, method: str) -> "_Pages":
        return _Pages(self, method)

    def list_model_packages(self, **request: Any) -> dict[str, Any]:
        self._check("ListModelPackages", request)
        wanted = request.get("ModelApprovalStatus")
        kept = ("ModelPackageArn", "ModelPackageVersion", "ModelPackageStatus", "ModelApprovalStatus", "CreationTime")
        found = [
            {key: package[key] for key in (*kept, "ModelLifeCycle") if key in package}
            for package in self.packages.values()
            if wanted in {None, package["ModelApprovalStatus"]}
        ]
        # By creation time, the newest first unless the request says otherwise.
        found = found if request.get("SortOrder") == "Ascending" else found[::-1]
        return {"ModelPackageSummaryList": found[: request.get("MaxResults")]}

    def list_tags(self, **request: Any) -> dict[str, Any]:
        self._check("ListTags", request)
        tags = self.endpoints[request["ResourceArn"].rsplit("/", 1)[1]]["tags"]
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

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
            "EndpointName": name, "EndpointArn": f"{ACCOUNT}:endpoint/{name}", "EndpointStatus": endpoint["status"],
            **config, **reason, "LastModifiedTime": endpoint["changed"],
        }  # fmt: skip

    def describe_endpoint_config(self, **request: Any) -> dict[str, Any]:
        self._check("DescribeEndpointConfig", request)
        return self.configs[self._known_config("DescribeEndpointConfig", request)]

    def describe_model(self, **request: Any) -> dict[str, Any]:
        self._check("DescribeModel", request)
        if request["ModelName"] not in self.models:
            raise refusal("DescribeModel", f'Could not find model "{request["ModelName"]}".')
        return self.models[request["ModelName"]]

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
        shadows = request.get("ShadowProductionVariants", [])
        if any(variant["ModelName"] not in self.models for variant in request["ProductionVariants"] + shadows):
            raise refusal("CreateEndpointConfig", "Could not find model.")
        if shadows and any("ServerlessConfig" in variant for variant in request["ProductionVariants"]):
            raise refusal("CreateEndpointConfig", "A serverless endpoint has no shadow variant.")
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
        if endpoint["status"] not in EVENT_STATUS:
            raise refusal("DeleteEndpoint", "Cannot update in-progress endpoint.")
        endpoint["status"] = "Deleting"

    def update_model_package(self, **request: Any) -> None:
        """As AWS: each update raises an event, which names the members that were given."""
        self._check("UpdateModelPackage", request)
        version = int(request["ModelPackageArn"].rsplit("/", 1)[1])
        package = self.packages[version]
        package["CustomerMetadataProperties"] |= request.get("CustomerMetadataProperties", {})
        package["LastModifiedBy"] = {"IamIdentity": {"Arn": OURS}}
        if request.get("ModelApprovalStatus") == "Rejected":
            self.rejected_by_code.add(version)
        if request.get("ModelLifeCycle", {}).get("StageStatus") == "Rejected":
            self.refused_shadows.add(version)
        changed = ("ModelApprovalStatus", "ApprovalDescription", "ModelLifeCycle")
        package |= {name: request[name] for name in changed if name in request}
        self._package_event(version, [name for name in request if name != "ModelPackageArn"])

    def list_models(self, **request: Any) -> dict[str, Any]:
        self._check("ListModels", request)
        return {"Models": [{"ModelName": name} for name in self.models if request.get("NameContains", "") in name]}

    def delete_model(self, **request: Any) -> None:
        self._check("DeleteModel", request)
        if self.models.pop(request["ModelName"], None) is None:
            raise refusal("DeleteModel", f'Could not find model "{request["ModelName"]}".')

    def list_endpoint_configs(self, **request: Any) -> dict[str, Any]:
        self._check("ListEndpointConfigs", request)
        found = [name for name in self.configs if request.get("NameContains", "") in name]
        return {"EndpointConfigs": [{"EndpointConfigName": name} for name in found]}

    def delete_endpoint_config(self, **request: Any) -> None:
        self._check("DeleteEndpointConfig", request)
        del self.configs[self._known_config("DeleteEndpointConfig", request)]

    def add_tags(self, **request: Any) -> None:
        self._check("AddTags", request)
        endpoint = self.endpoints[request["ResourceArn"].rsplit("/", 1)[1]]
        endpoint["tags"].update({tag["Key"]: tag["Value"] for tag in request["Tags"]})

    def _one_more_machine(self, operation: str) -> None:
        used = sum(1 + (endpoint["status"] == "Updating") for endpoint in self.endpoints.values())
        if used >= self.quota:
            message = f"The account-level service limit 'ml.m5.large for endpoint usage' is {self.quota} Instances."
            raise refusal(operation, message, "ResourceLimitExceeded")

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
    """A paginator: the answer cut into pages of one item, behind an empty first one, as AWS may answer."""

    def __init__(self, sagemaker: FakeSageMaker, method: str) -> None:
        self._sagemaker, self._method = sagemaker, method

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        most = request.pop("PaginationConfig", {}).get("MaxItems")  # botocore's own: AWS is not told
        answer = getattr(self._sagemaker, self._method)(**request)
        lists = [key for key, value in answer.items() if isinstance(value, list)]
        yield {**answer, **{key: [] for key in lists}}
        items = ((key, item) for key in lists for item in answer[key])
        for owner, item in islice(items, most):
            yield {key: [item] if key == owner else [] for key in lists}
