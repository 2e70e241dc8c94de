"""Carries a plan out: writes the data set, claims the alarm, and starts the pipeline, once for each alarm.

The claim is an object that S3 writes only while there is none of its name. Whoever finds one starts with what it says:
of several deliveries at the same time, or after a crash between claim and start, all start the same execution, and the
token makes SageMaker start it once.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from .dataset import Dataset
from .plan import Outcome, Plan, token
from .reading import Clients, document, record_key

logger = logging.getLogger(__name__)

_REFUSALS = {"ValidationException", "ResourceNotFound"}


def execute(plan: Plan, clients: Clients, now: datetime) -> str:
    """The ARN of the execution that was started; "" when there was nothing to start, or SageMaker refused it."""
    if plan.outcome is not Outcome.START or plan.dataset is None:
        return ""
    record = _claim(plan, plan.dataset, clients, now)
    if record.get("execution"):
        return str(record["execution"])
    try:
        started = clients.sagemaker.start_pipeline_execution(
            PipelineName=clients.stage,
            PipelineExecutionDisplayName=f"retrain-{token(plan.alarm)[:12]}",
            PipelineExecutionDescription=str(record["parameters"].get("Reason", ""))[:1024],
            PipelineParameters=[{"Name": name, "Value": value} for name, value in sorted(record["parameters"].items())],
            ClientRequestToken=token(plan.alarm),
        )["PipelineExecutionArn"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in _REFUSALS:
            raise  # Lambda delivers the event again, and the claim is found
        logger.exception("The training for the alarm %s was refused", plan.alarm)
        _put(clients, record_key(plan.alarm), {**record, "refused": str(error)})
        return ""
    _put(clients, record_key(plan.alarm), {**record, "execution": started})
    return str(started)


def _claim(plan: Plan, dataset: Dataset, clients: Clients, now: datetime) -> dict[str, Any]:
    """Writes the data set and the record of this retraining; the record that counts, which may be an earlier one."""
    clients.s3.put_object(Bucket=clients.bucket, Key=dataset.index_key, Body=dataset.index)
    clients.s3.put_object(Bucket=clients.bucket, Key=dataset.manifest_key, Body=dataset.manifest(clients.bucket))
    record = {
        "alarm": plan.alarm,
        "time": now.isoformat(),
        "photos": [[name, truth] for name, truth, _ in dataset.entries],
        "parameters": {**plan.parameters, "LabelledPhotos": f"s3://{clients.bucket}/{dataset.manifest_key}"},
    }
    try:
        clients.s3.put_object(
            Bucket=clients.bucket, Key=record_key(plan.alarm), Body=json.dumps(record).encode(), IfNoneMatch="*"
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"PreconditionFailed", "ConditionalRequestConflict", "412"}:
            raise
        return document(clients, record_key(plan.alarm)) or record
    return record


def _put(clients: Clients, key: str, content: Any) -> None:
    clients.s3.put_object(Bucket=clients.bucket, Key=key, Body=json.dumps(content).encode())
