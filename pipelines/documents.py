"""Parts of definitions that are written as documents, without the SDK: references, and a processing job. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

PLACE = "/opt/ml/processing"
RETRY = {
    "ExceptionType": [
        "SageMaker.CAPACITY_ERROR",
        "SageMaker.JOB_INTERNAL_ERROR",
        "Step.SERVICE_FAULT",
        "Step.THROTTLING",
    ],
    "BackoffRate": 2.0,
    "IntervalSeconds": 10,
    "MaxAttempts": 3,
}

Document = dict[str, Any]


class JobSettings(Protocol):
    """What the jobs of every pipeline are given; see `pipelines.settings.Settings`."""

    @property
    def role(self) -> str: ...
    @property
    def image(self) -> str: ...
    @property
    def subnets(self) -> Sequence[str]: ...
    @property
    def security_groups(self) -> Sequence[str]: ...
    @property
    def key(self) -> str: ...
    @property
    def isolated(self) -> bool: ...


def get(path: str) -> Document:
    """A reference to a parameter, a variable of the execution or a property of a step."""
    return {"Get": path}


def join(on: str, *values: Any) -> Document:
    """A text made of these values, with `on` between them."""
    return {"Std:Join": {"On": on, "Values": list(values)}}


def vpc(settings: JobSettings) -> Document:
    """The member VpcConfig of a job."""
    return {"Subnets": [*settings.subnets], "SecurityGroupIds": [*settings.security_groups]}


def processing_input(name: str, uri: Any, folder: str, kind: str = "S3Prefix") -> Document:
    """An input of a processing job: what lies at the S3 address `uri`, mounted as `folder` below PLACE."""
    return {
        "InputName": name,
        "AppManaged": False,
        "S3Input": {"S3Uri": uri, "LocalPath": f"{PLACE}/{folder}", "S3DataType": kind, "S3InputMode": "File"},
    }


def processing_job(
    settings: JobSettings,
    code: str,
    arguments: Sequence[Any],
    inputs: Sequence[Document],
    outputs: Mapping[str, Any],
    *,
    encrypted_traffic: bool = False,
) -> Document:
    """The request of a processing job that runs the file at the S3 address `code` with these arguments.

    `outputs` are S3 addresses by name; each is a folder of that name below PLACE, uploaded when the job ends.
    """
    network: Document = {"EnableNetworkIsolation": True} if settings.isolated else {}
    if encrypted_traffic:
        network["EnableInterContainerTrafficEncryption"] = True
    if settings.subnets:
        network["VpcConfig"] = vpc(settings)
    return {
        "RoleArn": settings.role,
        "AppSpecification": {
            "ImageUri": settings.image,
            "ContainerEntrypoint": ["python3", f"{PLACE}/input/code/{code.rpartition('/')[2]}"],
            "ContainerArguments": list(arguments),
        },
        "ProcessingInputs": [processing_input("code", code, "input/code"), *inputs],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": name,
                    "S3Output": {"S3Uri": uri, "LocalPath": f"{PLACE}/{name}", "S3UploadMode": "EndOfJob"},
                }
                for name, uri in outputs.items()
            ],
            **({"KmsKeyId": settings.key} if settings.key else {}),
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": get("Parameters.ProcessingInstanceType"),
                "VolumeSizeInGB": 30,
                **({"VolumeKmsKeyId": settings.key} if settings.key else {}),
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **({"NetworkConfig": network} if network else {}),
    }
