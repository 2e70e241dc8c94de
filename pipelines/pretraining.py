"""Builds the definition of the pre-training pipeline: Others, Pretrain. Calls no service.

Written as the document itself, without the SDK, as that of monitoring is. Schema:
https://aws-sagemaker-mlops.github.io/sagemaker-model-building-pipeline-definition-JSON-schema-V1.0/

    Others     Stage's job writes records of the photos of all classes that are not asked for
    Pretrain   training/pretrain.py makes the weights to start from of them

Both steps are cached: the same photos, code and parameters give the weights that were made before.
"""

from __future__ import annotations

import json
from typing import Any

from pipelines.settings import Settings

SUFFIX = "-pretraining"
"""What its name has after the stage's."""
TRAIN = "Pretrain"
"""The step that gives the weights."""
EPOCHS = 18
"""As pretrain.py's own default."""
_PLACE = "/opt/ml/processing"
_CACHE = {"Enabled": True, "ExpireAfter": "P30D"}
_RETRY = {
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


def build(settings: Settings) -> str:
    """The pipeline definition as JSON text with sorted keys: the same settings give the same bytes."""
    document: Document = {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [
            {"Name": "InputData", "Type": "String"},
            {"Name": "Classes", "Type": "String", "DefaultValue": "bicycle,motorcycle"},
            {"Name": "Epochs", "Type": "Integer", "DefaultValue": EPOCHS},
            {"Name": "Seed", "Type": "Integer", "DefaultValue": 1},
            {"Name": "ProcessingInstanceType", "Type": "String", "DefaultValue": "ml.m5.large"},
            {"Name": "TrainingInstanceType", "Type": "String", "DefaultValue": "ml.c5.xlarge"},
        ],
        # No experiment and trial for each execution: nobody looks at them.
        "PipelineExperimentConfig": None,
        "Steps": [_step("Others", "Processing", _others(settings)), _step(TRAIN, "Training", _pretrain(settings))],
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _step(name: str, kind: str, arguments: Document) -> Document:
    return {"Name": name, "Type": kind, "Arguments": arguments, "CacheConfig": _CACHE, "RetryPolicies": [_RETRY]}


def _get(path: str) -> Document:
    return {"Get": path}


def _text(path: str) -> Document:
    return {"Std:Join": {"On": "", "Values": [_get(path)]}}


def _place(settings: Settings, name: str) -> Document:
    """An S3 address of this execution's own."""
    base = f"s3://{settings.bucket}/pipelines/{settings.name}{SUFFIX}"
    return {"Std:Join": {"On": "/", "Values": [base, _get("Execution.PipelineExecutionId"), name]}}


def _others(settings: Settings) -> Document:
    """Stage's job, which writes the photos of all other classes as those to learn from."""
    network: Document = {"EnableNetworkIsolation": True} if settings.isolated else {}
    if settings.encrypted_traffic:
        network["EnableInterContainerTrafficEncryption"] = True
    if settings.subnets:
        network["VpcConfig"] = _vpc(settings)
    return {
        "RoleArn": settings.role,
        "AppSpecification": {
            "ImageUri": settings.image,
            "ContainerEntrypoint": ["python3", f"{_PLACE}/input/code/{settings.stage.rpartition('/')[2]}"],
            "ContainerArguments": [
                "--input", f"{_PLACE}/input/data",
                "--others", f"{_PLACE}/others",
                "--classes", _get("Parameters.Classes"),
                "--seed", _text("Parameters.Seed"),
            ],
        },
        "ProcessingInputs": [
            _input("code", settings.stage, "input/code"),
            _input("data", _get("Parameters.InputData"), "input/data"),
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "others",
                    "S3Output": {
                        "S3Uri": _place(settings, "others"),
                        "LocalPath": f"{_PLACE}/others",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ],
            **({"KmsKeyId": settings.key} if settings.key else {}),
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": _get("Parameters.ProcessingInstanceType"),
                "VolumeSizeInGB": 30,
                **({"VolumeKmsKeyId": settings.key} if settings.key else {}),
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **({"NetworkConfig": network} if network else {}),
    }  # fmt: skip


def _pretrain(settings: Settings) -> Document:
    """The training job: the classic script-mode contract, as in the training pipeline."""
    channels = [_channel("train", _get("Steps.Others.ProcessingOutputConfig.Outputs['others'].S3Output.S3Uri"))]
    code = settings.training
    if settings.isolated:  # a container without a network is given its code as a channel
        folder, _, archive = settings.training.rpartition("/")
        channels.append(_channel("code", f"{folder}/"))
        code = f"/opt/ml/input/data/code/{archive}"
    return {
        "RoleArn": settings.role,
        "AlgorithmSpecification": {"TrainingImage": settings.image, "TrainingInputMode": "File"},
        # The toolkit takes values that are JSON.
        "HyperParameters": {
            "sagemaker_program": "pretrain.py",
            "sagemaker_submit_directory": code,
            "epochs": _text("Parameters.Epochs"),
            "seed": _text("Parameters.Seed"),
        },
        "InputDataConfig": channels,
        "OutputDataConfig": {
            "S3OutputPath": _place(settings, "pretrain"),
            **({"KmsKeyId": settings.key} if settings.key else {}),
        },
        "ResourceConfig": {
            "InstanceCount": 1,
            "InstanceType": _get("Parameters.TrainingInstanceType"),
            "VolumeSizeInGB": 30,
            **({"VolumeKmsKeyId": settings.key} if settings.key else {}),
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 6 * 3600},
        "EnableNetworkIsolation": settings.isolated,
        **({"VpcConfig": _vpc(settings)} if settings.subnets else {}),
    }


def _vpc(settings: Settings) -> Document:
    return {"Subnets": [*settings.subnets], "SecurityGroupIds": [*settings.security_groups]}


def _input(name: str, uri: Any, folder: str) -> Document:
    return {
        "InputName": name,
        "AppManaged": False,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"{_PLACE}/{folder}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }


def _channel(name: str, uri: Any) -> Document:
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
    }
