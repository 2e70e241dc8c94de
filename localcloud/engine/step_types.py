"""The types of pipeline steps: which operation each calls, what a step of it may hold, and where its properties are.

Sources: "Pipelines steps" in the SageMaker developer guide, and the definitions that the SDKs v2 and v3 write.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from botocore.model import ServiceModel, Shape

from localcloud.api.shapes import service_model


@dataclass(frozen=True)
class StepType:
    """One type of step.

    `create` is the operation whose request the step's arguments are, `describe` the one whose answer its properties
    are, `name_member` the request member that names what is made; each is empty where there is none. `job` is the label
    of SageMaker's members for a step that runs a job (`Training` in `TrainingJobStatus`), `store_kind` what the job is
    stored as. `members` are those that a step of this type has beside the ones of every step, `checks` those of them
    that say what a check step compares with, and `listed` an operation whose answer's list is a property too.
    `properties` are the properties of a step that are no operation's answer.
    """

    create: str = ""
    describe: str = ""
    name_member: str = ""
    job: str = ""
    store_kind: str = ""
    members: tuple[str, ...] = ()
    listed: str = ""
    checks: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()


_RETRIED = ("RetryPolicies",)
_CACHED = ("CacheConfig",)


def _job(label: str, store_kind: str, members: tuple[str, ...] = ()) -> StepType:
    name = f"{label}Job"
    return StepType(f"Create{name}", f"Describe{name}", f"{name}Name", label, store_kind, _RETRIED + _CACHED + members)


def _check(*parts: str, more: tuple[str, ...]) -> StepType:
    """A step that runs a processing job and compares its result with a baseline of these parts."""
    kind = _job("Processing", "processing-job")
    checks = ("CheckType", "ModelPackageGroupName", "SkipCheck", "FailOnViolation", "RegisterNewBaseline", *more)
    checks += tuple(f"SuppliedBaseline{part}" for part in parts)
    properties = tuple(f"{use}{part}" for use in ("CalculatedBaseline", "BaselineUsedForDriftCheck") for part in parts)
    return replace(kind, describe="", members=kind.members + checks, checks=checks, properties=properties)


STEP_TYPES: dict[str, StepType] = {
    "Processing": _job("Processing", "processing-job", ("PropertyFiles",)),
    "Training": _job("Training", "training-job"),
    "Tuning": replace(
        _job("HyperParameterTuning", "hyper-parameter-tuning-job"),
        listed="ListTrainingJobsForHyperParameterTuningJob",
    ),
    "Transform": _job("Transform", "transform-job"),
    "QualityCheck": _check("Constraints", "Statistics", more=()),
    "ClarifyCheck": _check("Constraints", more=("ModelName",)),
    "Model": StepType("CreateModel", "DescribeModel", "ModelName", members=_RETRIED),
    "EndpointConfig": StepType(
        "CreateEndpointConfig", "DescribeEndpointConfig", "EndpointConfigName", members=_RETRIED + _CACHED
    ),
    "Endpoint": StepType("CreateEndpoint", "DescribeEndpoint", "EndpointName", members=_CACHED),
    "RegisterModel": StepType("CreateModelPackage", "DescribeModelPackage", members=_RETRIED),
    "Lambda": StepType(members=("FunctionArn", "OutputParameters", *_CACHED)),
    "Callback": StepType(members=("SqsQueueUrl", "OutputParameters", *_CACHED)),
    "Condition": StepType(),
    "Fail": StepType(),
}
JOBS = {name: kind for name, kind in STEP_TYPES.items() if kind.job}


@cache
def sagemaker_model() -> ServiceModel:
    """botocore's model of SageMaker, loaded once: it is a file of megabytes."""
    return service_model("sagemaker")


def request_shape(step_type: str) -> Shape | None:
    """The shape of a step's arguments; None for types whose arguments no operation of SageMaker takes."""
    create = STEP_TYPES[step_type].create
    return sagemaker_model().operation_model(create).input_shape if create else None


def properties_shape(step_type: str) -> Shape | None:
    """The shape of a step's properties; None for types that have none of SageMaker's."""
    describe = STEP_TYPES[step_type].describe
    return sagemaker_model().operation_model(describe).output_shape if describe else None


def listed_shape(step_type: str) -> Shape | None:
    """The shape of the further properties of a step that are a list of their own; None for types without."""
    listed = STEP_TYPES[step_type].listed
    return sagemaker_model().operation_model(listed).output_shape if listed else None
