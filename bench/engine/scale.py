"""The engine's own cost a step: `.venv/bin/python bench/engine/scale.py` writes the last part of docs/engine.md.

Pipelines of N steps, half of them a chain and half side by side, once as conditions (no job: the engine alone) and once
as processing jobs that run `true`. Wall time from StartPipelineExecution to Succeeded, asked every 20 ms, divided by N.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.engine import ours  # noqa: E402
from bench.engine.run import machine, spread  # noqa: E402

HEADING = "# What a step costs"
ROLE = "arn:aws:iam::000000000000:role/bench"


def condition() -> dict[str, Any]:
    """A step that the engine does by itself."""
    comparison = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}
    return {"Type": "Condition", "Arguments": {"Conditions": [comparison], "IfSteps": [], "ElseSteps": []}}


def job() -> dict[str, Any]:
    """A step that runs the smallest of jobs."""
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    arguments = {
        "ProcessingResources": {"ClusterConfig": cluster},
        "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": ["true"]},
    }
    return {"Type": "Processing", "Arguments": arguments}


def definition(count: int, step: dict[str, Any]) -> str:
    """`count` steps: the first half a chain, the other half side by side after the chain's first step."""
    chain = count // 2
    steps = [{"Name": f"S{n}", **step, "DependsOn": [f"S{n - 1}" if n < chain else "S0"]} for n in range(1, count)]
    return json.dumps({"Version": "2020-12-01", "Steps": [{"Name": "S0", **step}, *steps]})


def seconds(client: Any, name: str) -> float:
    """From the start of an execution to its end, which must be a success."""
    began = time.perf_counter()
    arn = client.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    while True:
        status = client.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"]
        if status != "Executing":
            if status != "Succeeded":
                steps = client.list_pipeline_execution_steps(PipelineExecutionArn=arn, MaxResults=100)
                reasons = {step.get("FailureReason") for step in steps["PipelineExecutionSteps"]}
                raise RuntimeError(f"{name} ended as {status}: {sorted(filter(None, reasons))[:3]}")
            return time.perf_counter() - began
        time.sleep(0.02)


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds a step of each round, by row."""
    found: dict[str, list[float]] = {}
    folder = Path(tempfile.mkdtemp(prefix="bench-scale-"))
    try:
        with ours.running(folder / "cloud") as cloud:
            for kind, step, counts in (("conditions", condition(), (50, 200, 500)), ("jobs", job(), (50, 200))):
                for count in counts:
                    name = f"{kind}-{count}"
                    text = definition(count, step)
                    cloud.client.create_pipeline(PipelineName=name, PipelineDefinition=text, RoleArn=ROLE)
                    label = f"{count} {kind}"
                    for _ in range(rounds):
                        found.setdefault(label, []).append(seconds(cloud.client, name) / count * 1000)
                    print(label, found[label], file=sys.stderr)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def page(found: dict[str, list[float]], rounds: int, load: float) -> str:
    """The part of the page."""
    lines = [
        HEADING,
        "",
        "Written by `.venv/bin/python bench/engine/scale.py`; do not edit. Half of the steps are a chain, half",
        "run side by side. Conditions are the engine alone; jobs run `true`, each with its sandbox and log.",
        "Milliseconds a step: median (lowest to highest).",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine()}, {rounds} rounds, "
        f"load average {load:.1f} at the start.",
        "",
        "| steps | ms a step |",
        "|---|---|",
        *(f"| {label} | {spread(values)} |" for label, values in found.items()),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "engine.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    found = measure(options.rounds)
    part = page(found, options.rounds, load)
    before = options.output.read_text().partition(HEADING)[0] if options.output.exists() else ""
    options.output.write_text(before.rstrip("\n") + ("\n\n" if before.strip() else "") + part)
    figures = options.output.with_name("engine-steps.json")
    report = {"machine": machine(), "rounds": options.rounds, "load": load, "milliseconds_a_step": found}
    figures.write_text(json.dumps(report, indent=2) + "\n")
    medians = {label: statistics.median(values) for label, values in found.items()}
    print(json.dumps(medians))


if __name__ == "__main__":
    main()
