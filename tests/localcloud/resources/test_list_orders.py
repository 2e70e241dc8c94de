"""The order of each list, where the documentation names one and the request does not."""

import re
import time
from typing import Any

import pytest

from localcloud.api.shapes import service_model

ROLE = "arn:aws:iam::000000000000:role/any"
# Of ListModelPackages the documentation and AWS's own samples contradict each other (see the page of operations).
LISTS = {
    "ListModelPackageGroups": ("create_model_package_group", "ModelPackageGroupName", "ModelPackageGroupSummaryList"),
    "ListEndpointConfigs": ("create_endpoint_config", "EndpointConfigName", "EndpointConfigs"),
    "ListModels": ("create_model", "ModelName", "Models"),
    "ListProcessingJobs": ("create_processing_job", "ProcessingJobName", "ProcessingJobSummaries"),
    "ListTrainingJobs": ("create_training_job", "TrainingJobName", "TrainingJobSummaries"),
    "ListExperiments": ("create_experiment", "ExperimentName", "ExperimentSummaries"),
    "ListTrials": ("create_trial", "TrialName", "TrialSummaries"),
    "ListTrialComponents": ("create_trial_component", "TrialComponentName", "TrialComponentSummaries"),
}
RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
VARIANT = {"VariantName": "A", "ModelName": "orders-a", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
MORE: dict[str, dict[str, Any]] = {
    "create_model": {"PrimaryContainer": {"Image": "image"}, "ExecutionRoleArn": ROLE},
    "create_endpoint_config": {"ProductionVariants": [VARIANT]},
    "create_trial": {"ExperimentName": "orders-a"},
    "create_processing_job": {
        "RoleArn": ROLE, "ProcessingResources": {"ClusterConfig": RESOURCES},
        "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["true"]},
    },
    "create_training_job": {
        "RoleArn": ROLE, "ResourceConfig": RESOURCES, "OutputDataConfig": {"S3OutputPath": "s3://bucket/models"},
        "AlgorithmSpecification": {
            "TrainingImage": "image", "TrainingInputMode": "File", "ContainerEntrypoint": ["true"]
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def sagemaker(cloud: Any) -> Any:
    """A client of a cloud that holds `orders-a`, and then `orders-b`, of each kind."""
    client = cloud.client("sagemaker")
    creations = sorted({create: name for create, name, _ in LISTS.values()}.items(), key=lambda one: "config" in one[0])
    for suffix in ("a", "b"):
        for create, name in creations:
            getattr(client, create)(**{name: f"orders-{suffix}"}, **MORE.get(create, {}))
        time.sleep(0.01)  # times are told to the millisecond
    return client


@pytest.mark.parametrize("operation", LISTS)
def test_a_list_begins_with_what_is_documented(sagemaker: Any, operation: str) -> None:
    documentation = service_model("sagemaker").operation_model(operation).input_shape.members["SortOrder"].documentation
    documented = re.search(r"default(?: value)? is (?:<code>)?(\w+)", documentation)
    assert documented, documentation
    _, name, member = LISTS[operation]

    call = getattr(sagemaker, re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower())
    found = [one[name] for one in call(MaxResults=100)[member] if one[name] in ("orders-a", "orders-b")]

    assert found == (["orders-a", "orders-b"] if documented[1] == "Ascending" else ["orders-b", "orders-a"])
