"""Measures each page of the console with 200 versions, 100,000 captures and 1,000 executions, on a cloud of its own.

    .venv/bin/python -m bench.console.pages [--versions 200] [--captures 100000] [--executions 1000] [--times 20]

Prints, of so many requests a page, one after the other, the median and the slowest in milliseconds from the request to
the last byte, and the processor time of one in the console and in the local cloud. The goal is under 200 ms for each
page. Nothing else should be running on the machine; processor time is the same where something is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx

from bench.console.started import cloud, console, processor_seconds
from loadingbay.stack.deploy import outputs
from loadingbay.stack.local_cloud import health
from loadingbay.target import Target
from pipelines import executions

PAGES = ("/", "/versions", "/versions?skip=100", "/versions?skip=175", "/versions/7", "/versions/compare?v=3&v=4",
         "/review", "/photos", "/runs", "OLDER RUNS", "/runs/new", "A RUN", "/history")  # fmt: skip
LINES = 500  # captures in a file


def main() -> None:
    """Seeds, measures, prints, and stops what it started."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=200)
    parser.add_argument("--captures", type=int, default=100_000)
    parser.add_argument("--executions", type=int, default=1000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--port", type=int, default=18806)
    options = parser.parse_args()
    with cloud(options.port) as made:
        target = made.target
        _seed(target, options.versions, options.captures)
        _seed_executions(target, options.executions)
        with console(made) as (pid, address):
            _measure(target, pid, address, options.times)


def _seed(target: Target, versions: int, captures: int) -> None:
    """Register `versions` rejected versions and put `captures` captured requests into S3, as a stage in long use has
    them.
    """
    stack, s3, sagemaker = outputs(target), target.client("s3"), target.client("sagemaker")
    bucket = stack["BucketName"]
    # Each registration is an event; here nobody is to follow hundreds of them at once.
    events = target.client("events")
    for rule in events.list_rules()["Rules"]:
        events.disable_rule(Name=rule["Name"])
    correct = [number % 14 != 0 for number in range(200)]
    evaluation = {
        "gate": {"accuracy": 0.93, "coverage": 0.8, "accepted_precision": 0.97},
        "confidence_intervals": {
            "accuracy": [0.88, 0.96],
            "coverage": [0.74, 0.85],
            "accepted_precision": [0.93, 0.99],
        },
        "correct": correct,
        "test": {"count": len(correct)},
        "metadata": {"data_sha256": "a", "classes": "bicycle motorcycle"},
        "risk_coverage": {
            "coverage": [n / 100 for n in range(100)],
            "risk": [n / 2000 for n in range(100)],
            "aurc": 0.01,
        },
    }
    s3.put_object(Bucket=bucket, Key="seed/evaluation.json", Body=json.dumps(evaluation).encode())
    s3.put_object(Bucket=bucket, Key="seed/model.tar.gz", Body=b"seed")
    image = f"{stack['ImageRepositoryUri']}:seed"
    for number in range(versions):
        sagemaker.create_model_package(
            ModelPackageGroupName=stack["ModelPackageGroupName"],
            ModelApprovalStatus="Rejected",
            InferenceSpecification={
                "Containers": [{"Image": image, "ModelDataUrl": f"s3://{bucket}/seed/model.tar.gz"}],
                "SupportedContentTypes": ["image/png"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            CustomerMetadataProperties={"accuracy": "0.93", "classes": "bicycle motorcycle", "seed": str(number)},
            ModelMetrics={
                "ModelQuality": {
                    "Statistics": {"ContentType": "application/json", "S3Uri": f"s3://{bucket}/seed/evaluation.json"}
                }
            },
        )
    place = f"data-capture/{stack['EndpointName']}/AllTraffic/{datetime.now(UTC):%Y/%m/%d/%H}"
    body = b"".join(_capture(number) for number in range(LINES))
    with ThreadPoolExecutor(8) as pool:
        puts = [
            pool.submit(s3.put_object, Bucket=bucket, Key=f"{place}/{number:06}.jsonl", Body=body)
            for number in range(max(1, captures // LINES))
        ]
        for put in puts:
            put.result()


def _capture(number: int) -> bytes:
    answer = {"predictions": [{"label": "bicycle", "confidence": 0.5 + number % 50 / 100}], "threshold": 0.8}
    about = {"eventId": f"seed-{number}", "inferenceTime": datetime.now(UTC).isoformat()}
    capture: dict[str, Any] = {"endpointOutput": {"data": json.dumps(answer), "encoding": "JSON"}}
    return json.dumps({"captureData": capture, "eventMetadata": about}).encode() + b"\n"


def _seed_executions(target: Target, count: int) -> None:
    """Let the stage's pipeline have one condition only, and run it so many times."""
    sagemaker = target.client("sagemaker")
    condition = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}
    step = {
        "Name": "Gate",
        "Type": "Condition",
        "Arguments": {"Conditions": [condition], "IfSteps": [], "ElseSteps": []},
    }
    definition = json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": [step]})
    sagemaker.update_pipeline(PipelineName=target.stage, PipelineDefinition=definition)

    def start(number: int) -> None:
        sagemaker.start_pipeline_execution(PipelineName=target.stage, PipelineExecutionDisplayName=f"seed-{number:04}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(start, range(count)))
    while sagemaker.list_pipeline_executions(PipelineName=target.stage, SortOrder="Descending")[
        "PipelineExecutionSummaries"
    ][0]["PipelineExecutionStatus"] == "Executing":  # fmt: skip
        time.sleep(0.5)


def _measure(target: Target, pid: int, address: str, times: int) -> None:
    """Ask the console of that process for each page several times, and print what each took.

    `address` has the one-time token.
    """
    found = health(target)
    assert found
    cloud_pid = int(found["pid"])
    first, token = executions.page(target.client("sagemaker"), target.stage, 25)
    places = {"OLDER RUNS": f"/runs?from={token}", "A RUN": f"/runs/{first[0].id}"}
    with httpx.Client(
        base_url=address.split("/enter")[0], trust_env=False, follow_redirects=True, timeout=60
    ) as client:
        client.get(address).raise_for_status()
        print(f"{'page':<28} {'median':>8} {'slowest':>8} {'console':>8} {'cloud':>8}   milliseconds")
        for page in PAGES:
            place = places.get(page, page)
            client.get(place).raise_for_status()
            taken = []
            used = processor_seconds(pid), processor_seconds(cloud_pid)
            for _ in range(times):
                began = time.perf_counter()
                client.get(place).raise_for_status()
                taken.append(1000 * (time.perf_counter() - began))
            each = [
                1000 * (processor_seconds(of) - before) / times
                for of, before in zip((pid, cloud_pid), used, strict=True)
            ]
            print(
                f"{page:<28} {statistics.median(taken):>8.0f} {max(taken):>8.0f} {each[0]:>8.0f} {each[1]:>8.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
