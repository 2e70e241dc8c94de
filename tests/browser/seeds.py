"""Puts into the local cloud what would take hours to come: photos that wait, periods of monitoring, a search."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from loadingbay.learning.labels import Label, store
from loadingbay.registry import evaluations
from loadingbay.registry import versions as registry
from loadingbay.stack.deploy import outputs
from pipelines import aws, executions

STUDY = "0a1b2c3d"


def fill_the_queue(console: Any, count: int, name: str) -> None:
    """Photos for a person, of that name, as the state machine puts them there."""
    stack = outputs(console.target)
    sqs, s3 = console.target.client("sqs"), console.target.client("s3")
    sqs.purge_queue(QueueUrl=stack["ReviewQueueUrl"])
    photo = next((console.folder / "runs").glob("*/photos/*.png")).read_bytes()
    for number in range(count):
        key = f"photos/{number}-{name}.png"
        s3.put_object(Bucket=stack["BucketName"], Key=key, Body=photo)
        body = {
            "inference_id": f"waiting-{number}",
            "photo": {"bucket": stack["BucketName"], "key": key},
            "prediction": {"label": "bicycle", "confidence": 0.6, "threshold": 0.9},
        }
        sqs.send_message(QueueUrl=stack["ReviewQueueUrl"], MessageBody=json.dumps(body))


def labels(console: Any) -> dict[str, str]:
    """The labels in S3: inference id to truth."""
    stack, s3, found = outputs(console.target), console.target.client("s3"), {}
    for item in s3.list_objects_v2(Bucket=stack["BucketName"], Prefix="labels/").get("Contents", []):
        for line in s3.get_object(Bucket=stack["BucketName"], Key=item["Key"])["Body"].read().splitlines():
            entry = json.loads(line)
            found[entry["eventMetadata"]["eventId"]] = entry["groundTruthData"]["data"]
    return found


def search(console: Any) -> None:
    """Two trials of a search with the parameters of the first and the last run: their steps come from the cache."""
    sagemaker = console.target.client("sagemaker")
    found, _ = executions.page(sagemaker, console.target.stage, 10)
    for number, run in enumerate((found[-1], found[0]), 1):
        given: Any = executions.values(sagemaker, run.arn)
        title = f"{executions.TRIAL}{STUDY}-{number:03}"
        arn = executions.start(sagemaker, given, console.target.stage, steps=("Stage", "Train"), title=title)
        for _ in executions.follow(sagemaker, console.target.client("logs"), arn):
            pass


def monitored(console: Any) -> None:
    """Put a day of monitoring periods, of versions 1 and 2, and 40 labelled answers into the stage's bucket."""
    stack, s3 = outputs(console.target), console.target.client("s3")
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    periods = []
    for hour in range(24):
        swing = (hour * 7 % 5 - 2) / 100
        accepted, right = 0.78 + swing + (0.1 if hour > 13 else -hour / 200), 0.9 - swing + (0.04 if hour > 13 else 0)
        estimate = {"value": right, "low": right - 0.07, "high": right + 0.05, "labelled": 60}
        periods.append({
            "time": (now - timedelta(hours=23 - hour)).isoformat(),
            "version": "2" if hour > 13 else "1",
            "count": 400 + 10 * hour,
            "share_above": accepted,
            "threshold": 0.8,
            "violations": {},
            "estimates": {"accuracy": None if hour in {5, 6} else estimate},
        })  # fmt: skip
    put(s3, stack["BucketName"], "monitoring/periods.json", {"periods": periods, "alarm": "", "sentences": {}})
    for number in range(40):
        confidence = 0.5 + number / 80
        entry = {
            "answer": "bicycle",
            "truth": "motorcycle" if number % 6 == 0 else "bicycle",
            "confidence": confidence,
            "accepted": confidence >= 0.8,
            "source": "review",
            "inference_time": datetime.now(UTC).isoformat(),
        }
        put(s3, stack["BucketName"], f"labelled/entries/{number}.json", entry)


def shadowed(console: Any) -> None:
    """Requests with the labelled photos of version 1, which it and its shadow answer."""
    stack, s3, now = outputs(console.target), console.target.client("s3"), datetime.now(UTC)
    version = registry.numbered(console.target, 1)
    known = evaluations.verification_labels(console.target, version)
    for name in known:
        bucket, key = aws.split_s3(evaluations.verification_photo(version, name))
        console.target.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=stack["EndpointName"],
            Body=s3.get_object(Bucket=bucket, Key=key)["Body"].read(),
            ContentType="image/png",
            InferenceId=f"request-{name}",
        )
    given = [Label(f"request-{name}", truth, "known", "ada", now) for name, truth in known.items()]
    store(s3, stack["BucketName"], given)


def put(s3: Any, bucket: str, key: str, document: Any) -> None:
    """Stores a document as JSON."""
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(document).encode())
