"""The handler of WatchStream, `watch_stream.app.handler`: a task of the monitoring pipeline in, its outputs out."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from . import metrics, periods, queue, sampling
from .collecting import collect
from .reading import Clients, NotReadable, document, write

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logging.basicConfig(level=logging.INFO)  # without effect in Lambda, whose runtime has set a handler
logging.getLogger("botocore").setLevel(logging.WARNING)
logger = logging.getLogger(__name__)

_MAX_SUBJECT = 100  # SNS's
_MOST_HOURS = 87_600


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`{"task": "collect" | "publish" | "announce", ...}` in; the step's output parameters out."""
    clients = Clients(
        *_boto3_clients(),
        endpoint=os.environ["ENDPOINT_NAME"],
        bucket=os.environ["BUCKET_NAME"],
        topic=os.environ["ALARMS_TOPIC_ARN"],
        review_queue=os.environ["REVIEW_QUEUE_URL"],
        most_review_hours=float(os.environ["MOST_REVIEW_HOURS"]),
    )
    if event["task"] == "collect":
        window, look_back = _hours(event, "window_hours"), _hours(event, "look_back_hours")
        found = collect(window, look_back, datetime.now(UTC), clients)
        logger.info("%s", found)
        return found
    if event["task"] == "publish":
        return publish(event["report"], event["version"], event["time"], clients)
    return announce(clients)


def publish(report: str, version: str, time: str, clients: Clients) -> dict[str, Any]:
    """Publishes the figures of a period and adds it to the periods before it; how many violations there are, and last.

    `report` is the S3 address of what the Monitor job wrote, `time` that of the period in ISO 8601.
    """
    folder = report.removeprefix(f"s3://{clients.bucket}/").rstrip("/")
    monitoring = document(clients, f"{folder}/monitoring.json")
    violated = document(clients, f"{folder}/constraint_violations.json")
    if monitoring is None or violated is None:
        raise NotReadable(f"{report} holds no monitoring.json with its constraint_violations.json")
    if not monitoring["count"]:  # an hour's files were there, but of the time before the window
        return {"violations": 0, "lasting": 0, "begun": 0}
    age = queue.age_hours(clients, datetime.now(UTC))
    monitoring |= {queue.FIGURE: age}
    found = [one for one in violated["violations"] if one["feature_name"] != queue.VIOLATION]  # of the step repeated
    found += queue.violations(age, clients.most_review_hours)
    write(clients, f"{folder}/monitoring.json", monitoring)
    write(clients, f"{folder}/constraint_violations.json", {"violations": found})
    before = document(clients, periods.KEY) or {}
    latest = periods.period(monitoring, found, version, time)
    all_periods = periods.added(before.get("periods", []), latest)
    sentences = periods.sentences(all_periods)
    drifts = len(sentences.keys() - {queue.VIOLATION})  # a queue that waits is for people, and no reason to train
    alarm = periods.alarm(before.get("alarm", ""), latest, drifts > 0)
    write(clients, periods.KEY, {"periods": all_periods, "sentences": sentences, "alarm": alarm})
    sent = sampling.send(folder, clients)
    logger.info("%d of the accepted photos go to a person", sent)
    metrics.publish(monitoring, len(found), drifts, clients.endpoint)
    return {"violations": len(found), "lasting": len(sentences), "begun": len(periods.begun(all_periods))}


def announce(clients: Clients) -> dict[str, Any]:
    """Tells the topic, a sentence each, which violations have begun to last; the number of sentences."""
    all_periods = (document(clients, periods.KEY) or {}).get("periods", [])
    begun = periods.begun(all_periods) if all_periods else {}
    if begun:
        subject = f"{clients.endpoint}: {', '.join(begun)}"[:_MAX_SUBJECT]
        text = "\n".join(f"{sentence}." for sentence in begun.values())
        clients.sns.publish(TopicArn=clients.topic, Subject=subject, Message=text)
        logger.warning("%s", text)
    return {"sentences": len(begun)}


def _hours(event: dict[str, Any], name: str) -> float:
    """Return a parameter of the pipeline that is a number of hours. ValueError, which the step shows, for another."""
    hours = float(event[name])
    if not 0 < hours <= _MOST_HOURS:  # true for NaN as well
        raise ValueError(f"{name} {event[name]}: must be above 0, and at most {_MOST_HOURS}, which is ten years")
    return hours


@cache
def _boto3_clients() -> tuple[Any, Any, Any, Any, Any]:
    """Make the clients for S3, SageMaker, SNS, SQS and CloudWatch, in this order."""
    config = Config(connect_timeout=2, read_timeout=20, retries={"mode": "standard", "max_attempts": 4})
    return (
        boto3.client("s3", config=config),
        boto3.client("sagemaker", config=config),
        boto3.client("sns", config=config),
        boto3.client("sqs", config=config),
        boto3.client("cloudwatch", config=config),
    )
