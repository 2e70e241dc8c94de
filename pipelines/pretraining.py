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

from pipelines.documents import PLACE, RETRY, Document, get, join, processing_input, processing_job, vpc
from pipelines.settings import Settings

SUFFIX = "-pretraining"
"""What its name has after the stage's."""
TRAIN = "Pretrain"
"""The step that gives the weights."""
EPOCHS = 18
"""As pretrain.py's own default."""
_CACHE = {"Enabled": True, "ExpireAfter": "P30D"}


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
    return {"Name": name, "Type": kind, "Arguments": arguments, "CacheConfig": _CACHE, "RetryPolicies": [RETRY]}


def _text(path: str) -> Document:
    return join("", get(path))


def _place(settings: Settings, name: str) -> Document:
    """An S3 address of this execution's own."""
    base = f"s3://{settings.bucket}/pipelines/{settings.name}{SUFFIX}"
    return join("/", base, get("Execution.PipelineExecutionId"), name)


def _others(settings: Settings) -> Document:
    """Stage's job, which writes the photos of all other classes as those to learn from."""
    arguments = [
        "--input", f"{PLACE}/input/data",
        "--others", f"{PLACE}/others",
        "--classes", get("Parameters.Classes"),
        "--seed", _text("Parameters.Seed"),
    ]  # fmt: skip
    inputs = [processing_input("data", get("Parameters.InputData"), "input/data")]
    outputs = {"others": _place(settings, "others")}
    return processing_job(
        settings, settings.stage, arguments, inputs, outputs, encrypted_traffic=settings.encrypted_traffic
    )


def _pretrain(settings: Settings) -> Document:
    """The training job: the classic script-mode contract, as in the training pipeline."""
    channels = [_channel("train", get("Steps.Others.ProcessingOutputConfig.Outputs['others'].S3Output.S3Uri"))]
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
            "InstanceType": get("Parameters.TrainingInstanceType"),
            "VolumeSizeInGB": 30,
            **({"VolumeKmsKeyId": settings.key} if settings.key else {}),
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 6 * 3600},
        "EnableNetworkIsolation": settings.isolated,
        **({"VpcConfig": vpc(settings)} if settings.subnets else {}),
    }


def _channel(name: str, uri: Any) -> Document:
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
    }
