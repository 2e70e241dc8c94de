"""Builds the definition of the monitoring pipeline: Collect, Monitor, Publish, Announce. Calls no service.

Written as the document itself, without the SDK: the steps are few, the SDK takes 5 to 10 seconds to import, and this
definition is brought up to date with every run. Schema:
https://aws-sagemaker-mlops.github.io/sagemaker-model-building-pipeline-definition-JSON-schema-V1.0/

    Collect    WatchStream lists the captures, labels and baseline that are to be read
    Captured   when nothing was captured, the execution ends here
    Monitor    the processing job: figures, violations, pictures, and the labelled photos one by one
    Publish    WatchStream makes metrics of the figures and adds them to the periods before
    Lasting    whether a violation was found in two of three periods
    Announce   WatchStream tells the topic what changed, since when and by how much
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.documents import PLACE, RETRY, Document, get, join, processing_input, processing_job

SUFFIX = "-monitoring"
"""What its name has after the stage's."""
_COLLECTED = {
    "captured": "Integer",
    "manifest": "String",
    "evaluation": "String",
    "since": "String",
    "time": "String",
    "version": "String",
    "reason": "String",
}
_PUBLISHED = {"violations": "Integer", "lasting": "Integer", "begun": "Integer"}


@dataclass(frozen=True)
class MonitoringSettings:
    """What the definition depends on beside this module's own text. All addresses are S3 URIs.

    `name` is the stage's. `monitor` is the job's code, `function` the ARN of WatchStream. Jobs run in `subnets` with
    `security_groups`, if there are any, and encrypt disks and outputs with the KMS key `key`, if there is one.
    `isolated`: their containers have no network.
    """

    name: str
    bucket: str
    role: str
    image: str
    monitor: str
    function: str
    subnets: Sequence[str] = ()
    security_groups: Sequence[str] = ()
    key: str = ""
    isolated: bool = False


def build(settings: MonitoringSettings) -> str:
    """The pipeline definition as JSON text with sorted keys: the same settings give the same bytes."""
    document: Document = {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [
            {"Name": "WindowHours", "Type": "Float", "DefaultValue": 24.0},
            {"Name": "LookBackHours", "Type": "Float", "DefaultValue": 168.0},
            {"Name": "ReviewShare", "Type": "Float", "DefaultValue": 0.02},
            {"Name": "Level", "Type": "Float", "DefaultValue": 0.002},
            {"Name": "ProcessingInstanceType", "Type": "String", "DefaultValue": "ml.m5.large"},
        ],
        # No experiment and trial for each execution: nobody looks at them.
        "PipelineExperimentConfig": None,
        "Steps": [
            _function_step(
                settings,
                "Collect",
                {
                    "task": "collect",
                    "window_hours": get("Parameters.WindowHours"),
                    "look_back_hours": get("Parameters.LookBackHours"),
                },
                _COLLECTED,
            ),
            _condition_step(
                "Captured",
                _output("Collect", "captured"),
                [
                    _monitor(settings),
                    _function_step(
                        settings,
                        "Publish",
                        {
                            "task": "publish",
                            "report": get("Steps.Monitor.ProcessingOutputConfig.Outputs['monitoring'].S3Output.S3Uri"),
                            "version": _output("Collect", "version"),
                            "time": _output("Collect", "time"),
                        },
                        _PUBLISHED,
                    ),
                    _condition_step(
                        "Lasting",
                        _output("Publish", "lasting"),
                        [_function_step(settings, "Announce", {"task": "announce"}, {"sentences": "Integer"})],
                    ),
                ],
            ),
        ],
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _output(step: str, name: str) -> Document:
    return get(f"Steps.{step}.OutputParameters['{name}']")


def _function_step(
    settings: MonitoringSettings, name: str, arguments: Document, outputs: Mapping[str, str]
) -> Document:
    """A Lambda step that calls WatchStream; `outputs` are its output parameters, type by name."""
    return {
        "Name": name,
        "Type": "Lambda",
        "FunctionArn": settings.function,
        "Arguments": arguments,
        "OutputParameters": [{"OutputName": output, "OutputType": kind} for output, kind in outputs.items()],
    }


def _condition_step(name: str, count: Document, steps: Sequence[Document]) -> Document:
    """Runs `steps` when the count is at least 1."""
    condition = {"Type": "GreaterThanOrEqualTo", "LeftValue": count, "RightValue": 1}
    return {
        "Name": name,
        "Type": "Condition",
        "Arguments": {"Conditions": [condition], "IfSteps": list(steps), "ElseSteps": []},
    }


def _monitor(settings: MonitoringSettings) -> Document:
    """The Monitor step: a processing job over the requests and labels that Collect listed in its manifest.

    Its report goes to the bucket's `monitoring/`, newly labelled photos to `labelled/`.
    """
    stream = f"{PLACE}/stream"
    arguments = [
        "--captures", f"{stream}/data-capture",
        "--labels", f"{stream}/labels",
        "--evaluation", join("/", stream, _output("Collect", "evaluation")),
        "--since", _output("Collect", "since"),
        "--review-share", join("", get("Parameters.ReviewShare")),
        "--level", join("", get("Parameters.Level")),
        "--output", f"{PLACE}/monitoring",
        "--labelled", f"{PLACE}/labelled",
    ]  # fmt: skip
    inputs = [processing_input("stream", _output("Collect", "manifest"), "stream", "ManifestFile")]
    outputs = {
        "monitoring": join("/", f"s3://{settings.bucket}/monitoring", get("Execution.PipelineExecutionId")),
        "labelled": f"s3://{settings.bucket}/labelled",
    }
    job = processing_job(settings, settings.monitor, arguments, inputs, outputs)
    return {"Name": "Monitor", "Type": "Processing", "Arguments": job, "RetryPolicies": [RETRY]}
