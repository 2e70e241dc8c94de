"""Which permissions a request to SageMaker needs: pairs of an IAM action and a resource. Pure functions.

The resources are those of AWS's service authorization reference; where a list operation has no narrower one, it is `*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

SAGEMAKER = "sagemaker.amazonaws.com"
_IMAGE = re.compile(r"^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([a-z0-9._/-]+)")
PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
LOG = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")


class NotAllowedError(Exception):
    """A request is refused. `code` is AWS's: AccessDeniedException, or the code for missing or invalid credentials."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Need:
    """A permission: one IAM action on one resource ARN, with the condition keys (name: value) that the request sets."""

    action: str
    resource: str
    keys: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """The account and region of resources that are given by name, not by ARN."""

    account: str
    region: str

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a SageMaker resource given by name; an ARN is returned unchanged."""
        return name if name.startswith("arn:") else f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name}"


# Operation: pairs of a kind of resource and the member that names it. All of them must be allowed.
# A member that is not in the request names nothing; without any, the resource is "*".
_EXECUTION = (("pipeline", "PipelineExecutionArn"),)
RESOURCES: dict[str, tuple[tuple[str, str], ...]] = {
    "AddTags": (("", "ResourceArn"),),
    "AddAssociation": (("", "SourceArn"), ("", "DestinationArn")),
    "AssociateTrialComponent": (
        ("experiment-trial-component", "TrialComponentName"),
        ("experiment-trial", "TrialName"),
    ),
    # The packages of the list, see `_group_members`.
    "BatchDescribeModelPackage": (),
    "BatchPutMetrics": (("experiment-trial-component", "TrialComponentName"),),
    "CreateEndpoint": (("endpoint", "EndpointName"), ("endpoint-config", "EndpointConfigName")),
    "CreateEndpointConfig": (("endpoint-config", "EndpointConfigName"),),
    "CreateHyperParameterTuningJob": (("hyper-parameter-tuning-job", "HyperParameterTuningJobName"),),
    "CreateModel": (("model", "ModelName"),),
    "CreateModelCard": (("model-card", "ModelCardName"),),
    "CreateModelPackage": (("model-package", "ModelPackageName"), ("model-package-group", "ModelPackageGroupName")),
    "CreateModelPackageGroup": (("model-package-group", "ModelPackageGroupName"),),
    "CreatePipeline": (("pipeline", "PipelineName"),),
    "CreateProcessingJob": (("processing-job", "ProcessingJobName"),),
    "CreateTrainingJob": (("training-job", "TrainingJobName"),),
    "CreateTransformJob": (("transform-job", "TransformJobName"),),
    "DeleteAssociation": (("", "SourceArn"), ("", "DestinationArn")),
    "DeleteEndpoint": (("endpoint", "EndpointName"),),
    "DeleteEndpointConfig": (("endpoint-config", "EndpointConfigName"),),
    "DeleteHyperParameterTuningJob": (("hyper-parameter-tuning-job", "HyperParameterTuningJobName"),),
    "DeleteModel": (("model", "ModelName"),),
    "DeleteModelCard": (("model-card", "ModelCardName"),),
    "DeleteModelPackage": (("model-package", "ModelPackageName"),),
    "DeleteModelPackageGroup": (("model-package-group", "ModelPackageGroupName"),),
    "DeleteModelPackageGroupPolicy": (("model-package-group", "ModelPackageGroupName"),),
    "DeletePipeline": (("pipeline", "PipelineName"),),
    "DeleteProcessingJob": (("processing-job", "ProcessingJobName"),),
    "DeleteTags": (("", "ResourceArn"),),
    "DeleteTrainingJob": (("training-job", "TrainingJobName"),),
    "DescribeEndpoint": (("endpoint", "EndpointName"),),
    "DescribeEndpointConfig": (("endpoint-config", "EndpointConfigName"),),
    "DescribeHyperParameterTuningJob": (("hyper-parameter-tuning-job", "HyperParameterTuningJobName"),),
    "DescribeModel": (("model", "ModelName"),),
    "DescribeModelCard": (("model-card", "ModelCardName"),),
    "DescribeModelPackage": (("model-package", "ModelPackageName"),),
    "DescribeModelPackageGroup": (("model-package-group", "ModelPackageGroupName"),),
    "DescribePipeline": (("pipeline", "PipelineName"),),
    "DescribePipelineDefinitionForExecution": _EXECUTION,
    "DescribePipelineExecution": _EXECUTION,
    "DescribeProcessingJob": (("processing-job", "ProcessingJobName"),),
    "DescribeTrainingJob": (("training-job", "TrainingJobName"),),
    "DescribeTransformJob": (("transform-job", "TransformJobName"),),
    "GetModelPackageGroupPolicy": (("model-package-group", "ModelPackageGroupName"),),
    "DisassociateTrialComponent": (
        ("experiment-trial-component", "TrialComponentName"),
        ("experiment-trial", "TrialName"),
    ),
    "InvokeEndpoint": (("endpoint", "EndpointName"),),
    "InvokeEndpointAsync": (("endpoint", "EndpointName"),),
    "ListAssociations": (),
    "ListEndpointConfigs": (),
    "ListEndpoints": (),
    "ListHyperParameterTuningJobs": (),
    "ListTrainingJobsForHyperParameterTuningJob": (("hyper-parameter-tuning-job", "HyperParameterTuningJobName"),),
    "StopHyperParameterTuningJob": (("hyper-parameter-tuning-job", "HyperParameterTuningJobName"),),
    "ListModelCardVersions": (("model-card", "ModelCardName"),),
    "ListModelCards": (),
    "ListModelPackageGroups": (),
    # The packages of the group, see `_group_members`.
    "ListModelPackages": (),
    "ListModels": (),
    "ListPipelineExecutionSteps": _EXECUTION,
    "ListPipelineExecutions": (("pipeline", "PipelineName"),),
    "ListPipelineParametersForExecution": _EXECUTION,
    "ListPipelineVersions": (("pipeline", "PipelineName"),),
    "ListPipelines": (),
    "ListProcessingJobs": (),
    "ListTags": (("", "ResourceArn"),),
    "ListTrainingJobs": (),
    "ListTransformJobs": (),
    "PutModelPackageGroupPolicy": (("model-package-group", "ModelPackageGroupName"),),
    "QueryLineage": (),
    "RetryPipelineExecution": _EXECUTION,
    "Search": (),
    # Who holds the token names no execution.
    "SendPipelineExecutionStepFailure": (),
    "SendPipelineExecutionStepSuccess": (),
    "StartPipelineExecution": (("pipeline", "PipelineName"),),
    "StopPipelineExecution": _EXECUTION,
    "StopProcessingJob": (("processing-job", "ProcessingJobName"),),
    "StopTrainingJob": (("training-job", "TrainingJobName"),),
    "StopTransformJob": (("transform-job", "TransformJobName"),),
    "UpdateEndpoint": (("endpoint", "EndpointName"), ("endpoint-config", "EndpointConfigName")),
    "UpdateEndpointWeightsAndCapacities": (("endpoint", "EndpointName"),),
    "UpdateModelCard": (("model-card", "ModelCardName"),),
    "UpdateModelPackage": (("model-package", "ModelPackageArn"),),
    "UpdatePipeline": (("pipeline", "PipelineName"),),
    "UpdatePipelineExecution": _EXECUTION,
    "UpdateTrainingJob": (("training-job", "TrainingJobName"),),
}
_TRACKED = {
    "Experiment": ("experiment", "ExperimentName"),
    "Trial": ("experiment-trial", "TrialName"),
    "TrialComponent": ("experiment-trial-component", "TrialComponentName"),
    "Artifact": ("artifact", "ArtifactArn"),
    "Action": ("action", "ActionName"),
    "Context": ("context", "ContextName"),
}
for _name, _named in _TRACKED.items():
    RESOURCES.update({f"{verb}{_name}": (_named,) for verb in ("Create", "Describe", "Update", "Delete")})
    RESOURCES[f"List{_name}s"] = ()
_ROLES = ("RoleArn", "ExecutionRoleArn")


def needs(operation: str, request: Mapping[str, Any], place: Place) -> list[Need]:
    """What the caller of an operation must be allowed; `request` fits botocore's model.

    Beside the operation's own action: iam:PassRole for each role that the request hands to SageMaker, AddTags where it
    gives tags, and, for a model made from a model package, reading that package.
    """
    return list(_needs(operation, request, place))


def _needs(operation: str, request: Mapping[str, Any], place: Place) -> Iterator[Need]:
    """Yield the permissions that a request needs, see `needs`."""
    named = [place.arn(kind, request[member]) for kind, member in RESOURCES.get(operation, ()) if request.get(member)]
    named += _group_members(operation, request, place)
    tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags") or []}
    keys: dict[str, Any] = {f"aws:RequestTag/{name}": value for name, value in tags.items()}
    if tags:
        keys["aws:TagKeys"] = list(tags)
    # An artifact's ARN, for one, is made by the operation.
    named = named or ["*"]
    for resource in named:
        yield Need(f"sagemaker:{operation}", resource, keys)
    if tags and operation.startswith("Create"):
        # On what is created: it is named first, but a version of a group after its group.
        yield Need("sagemaker:AddTags", named[-1 if operation == "CreateModelPackage" else 0], keys)
    for member in _ROLES:
        if request.get(member):
            yield Need("iam:PassRole", request[member], {"iam:PassedToService": SAGEMAKER})
    if operation == "CreateModel":
        for container in [request.get("PrimaryContainer") or {}, *(request.get("Containers") or [])]:
            if container.get("ModelPackageName"):
                yield Need("sagemaker:DescribeModelPackage", place.arn("model-package", container["ModelPackageName"]))


def _group_members(operation: str, request: Mapping[str, Any], place: Place) -> list[str]:
    """The packages of a request; of creating or listing versions `model-package/<group>/*`, as no number is known."""
    if operation == "BatchDescribeModelPackage":
        return list(request.get("ModelPackageArnList", []))
    group = request.get("ModelPackageGroupName")
    if operation not in ("CreateModelPackage", "ListModelPackages") or not group:
        return []
    arn = place.arn("model-package-group", group)
    return [f"{arn.replace(':model-package-group/', ':model-package/')}/*"]


def image_needs(image: str | None) -> list[Need]:
    """What a role must be allowed to pull an image from a private ECR registry; nothing for other images."""
    match = _IMAGE.match(image or "")
    if match is None:
        return []
    account, region, repository = match.groups()
    arn = f"arn:aws:ecr:{region}:{account}:repository/{repository}"
    return [Need("ecr:GetAuthorizationToken", "*"), *(Need(action, arn) for action in PULL)]


def log_needs(group: str, stream: str, place: Place) -> list[Need]:
    """What a role must be allowed to have its container's output in a log stream."""
    arn = f"arn:aws:logs:{place.region}:{place.account}:log-group:{group}"
    on_stream = ("logs:CreateLogStream", "logs:PutLogEvents")
    return [Need(action, f"{arn}:log-stream:{stream}" if action in on_stream else arn) for action in LOG]
