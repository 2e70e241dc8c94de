"""Measures each page of the console with 200 versions and 100,000 captures, on a local cloud of its own.

    .venv/bin/python -m bench.console.pages [--versions 200] [--captures 100000] [--times 20]

Prints the median and the slowest of so many requests a page, in milliseconds, from the request to the last byte, one
after the other. The goal is under 200 ms for each page. Nothing else should be running on the machine.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from loadingbay.stack.deploy import outputs
from loadingbay.target import Target, choose

PAGES = ("/", "/versions", "/versions?skip=100", "/versions/7", "/versions/compare?v=3&v=4", "/runs", "/runs/new",
         "/photos", "/history")  # fmt: skip
LINES = 500  # captures in a file


def main() -> None:
    """Seeds, measures, prints, and stops what it started."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=200)
    parser.add_argument("--captures", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--port", type=int, default=18806)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-console-") as folder:
        environment = {"LOADINGBAY_FOLDER": folder, "LOADINGBAY_PORT": str(options.port), "PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-m", "loadingbay.cli"]
        subprocess.run([*command, "up"], env=environment, check=True, stdout=subprocess.DEVNULL)
        try:
            subprocess.run([*command, "deploy"], env=environment, check=True, stdout=subprocess.DEVNULL)
            target = choose(environment, Path(folder))
            _seed(target, options.versions, options.captures)
            console = subprocess.Popen(
                [*command, "console", "--no-open", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True
            )
            try:
                _measure(console, options.times)
            finally:
                console.terminate()
                console.wait(20)
        finally:
            subprocess.run([*command, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)


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


def _measure(console: subprocess.Popen[str], times: int) -> None:
    """Ask the started console for each page several times and print the median and the slowest answer in milliseconds.

    The address, with its password for the first visit, is read from what the console prints.
    """
    assert console.stderr is not None
    address = re.search(r"http://\S+", console.stderr.readline())
    assert address
    base = address.group().split("/enter")[0]
    with httpx.Client(base_url=base, trust_env=False, follow_redirects=True, timeout=60) as client:
        client.get(address.group()).raise_for_status()
        print(f"{'page':<28} {'median':>8} {'slowest':>8}   milliseconds")
        for page in PAGES:
            client.get(page).raise_for_status()
            taken = []
            for _ in range(times):
                began = time.perf_counter()
                client.get(page).raise_for_status()
                taken.append(1000 * (time.perf_counter() - began))
            print(f"{page:<28} {statistics.median(taken):>8.0f} {max(taken):>8.0f}")


if __name__ == "__main__":
    main()
