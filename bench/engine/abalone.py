"""A pipeline of the public's shape, as a user runs it: `.venv/bin/python bench/engine/abalone.py`, into docs/engine.md.

Preprocessing, training, evaluation and registration if the error is low enough, on a small table with scikit-learn:
the shape of AWS's abalone template, written with SDK v2 (tests/sdk_pipelines), unmodified, after `localcloud up` and
`localcloud env`. `make pipelines` sets the SDK up. The environments of the images are made before anything is counted.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.engine.run import machine, put_part, spread  # noqa: E402
from tests.sdk_pipelines.sdk_kit import LOCALCLOUD, Cloud, environment  # noqa: E402

HEADING = "# A pipeline of the public's shape"
COMMAND = "the program, with the SDK's import and uploads"
RUN, AGAIN = "the execution", "again, preprocessing and training from the step cache"


def ended(client: Any, arn: str) -> float:
    """Wait for an execution's end, which must be a success; the seconds that it took by its own record."""
    while True:
        execution = client.describe_pipeline_execution(PipelineExecutionArn=arn)
        if execution["PipelineExecutionStatus"] == "Succeeded":
            return float((execution["LastModifiedTime"] - execution["CreationTime"]).total_seconds())
        if execution["PipelineExecutionStatus"] != "Executing":
            raise RuntimeError(f"{arn} ended as {execution['PipelineExecutionStatus']}")
        time.sleep(0.1)


def measure(rounds: int, cloud: Cloud) -> dict[str, list[float]]:
    """Seconds of each round by row, after one round that is not counted."""
    found: dict[str, list[float]] = {}
    client = cloud.client("sagemaker")
    for number in range(rounds + 1):
        name = f"abalone-{number}"
        began = time.perf_counter()
        cloud.run("v2", "conditional_registration", name)
        took = {COMMAND: time.perf_counter() - began}
        newest = client.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"][0]
        arn = newest["PipelineExecutionArn"]
        took[RUN] = ended(client, arn)
        for step in reversed(client.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]):
            took[f"- {step['StepName']}"] = (step["EndTime"] - step["StartTime"]).total_seconds()
        took[AGAIN] = ended(client, client.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"])
        print(took, file=sys.stderr)
        if number:
            for row, seconds in took.items():
                found.setdefault(row, []).append(seconds)
    return found


def page(found: dict[str, list[float]], rounds: int, load: float) -> str:
    """The part of the page."""
    lines = [
        HEADING,
        "",
        "Written by `.venv/bin/python bench/engine/abalone.py`; do not edit. Preprocessing, training, evaluation and",
        "registration if the error is low enough, on a small table with scikit-learn: the shape of AWS's abalone",
        "template, the program of `tests/sdk_pipelines/v2` as it is, with SDK v2. Seconds: median (lowest to highest).",
        "",
        "The SDK's own local mode has no figure here. It needs Docker, which this machine has not; its documentation",
        "gives no times, and it has no registry: a pipeline with this one's last step does not run in it.",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine()}, {rounds} rounds after one that is not counted, "
        f"load average {load:.1f} at the start.",
        "",
        "| what | seconds |",
        "|---|---|",
        *(f"| {row.removeprefix('- ')} | {spread(values)} |" for row, values in found.items()),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "engine.md")
    options = parser.parse_args()
    if not environment("v2").name.startswith(".venv-sdk"):
        sys.exit("SDK v2 is not set up: run `make .venv-sdk2/sdk.stamp` first.")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-abalone-") as folder:
        cloud = Cloud(Path(folder) / "home")
        subprocess.run([LOCALCLOUD, "up", "--home", cloud.home, "--port", "0"], check=True, capture_output=True)
        try:
            found = measure(options.rounds, cloud)
        finally:
            subprocess.run([LOCALCLOUD, "down", "--home", cloud.home], check=True, capture_output=True)
    put_part(options.output, page(found, options.rounds, load))
    figures = {"machine": machine(), "rounds": options.rounds, "load": load, "seconds": found}
    options.output.with_name("engine-abalone.json").write_text(json.dumps(figures, indent=2) + "\n")
    print({row: statistics.median(values) for row, values in found.items()})


if __name__ == "__main__":
    main()
