"""The engine's own cost a step: `.venv/bin/python bench/engine/scale.py` writes the last part of docs/engine.md.

Pipelines of N steps, half of them a chain and half side by side, once as conditions (no job: the engine alone) and once
as processing jobs that run `python3 -c pass`. What such a command takes without a cloud, in the same shape and by the
same Python, is measured in turn with it and subtracted: the rest is the overhead of a step. `--beside CHECKOUT` runs
another checkout's local cloud in turn with this one's.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from bench.engine import ours  # noqa: E402
from bench.engine.run import PEERS, clean_environment, install, machine, put_part, seconds, spread  # noqa: E402

HEADING = "# What a step costs"
ROLE = "arn:aws:iam::000000000000:role/bench"
COMMAND = ["python3", "-c", "pass"]
AT_A_TIME = 2  # jobs, by default
CONDITIONS, JOBS, BARE = "conditions", "jobs", "the commands alone"
Figures = dict[str, list[tuple[float, float]]]
"""By name, of each round: milliseconds a step, and milliseconds of processor time a step."""


def condition() -> dict[str, Any]:
    """A step that the engine does by itself."""
    comparison = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}
    return {"Type": "Condition", "Arguments": {"Conditions": [comparison], "IfSteps": [], "ElseSteps": []}}


def job() -> dict[str, Any]:
    """A step that runs the smallest of jobs."""
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    arguments = {
        "ProcessingResources": {"ClusterConfig": cluster},
        "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": COMMAND},
    }
    return {"Type": "Processing", "Arguments": arguments}


def definition(count: int, step: dict[str, Any]) -> str:
    """`count` steps: the first half a chain, the other half side by side after the chain's first step."""
    chain = count // 2
    steps = [{"Name": f"S{n}", **step, "DependsOn": [f"S{n - 1}" if n < chain else "S0"]} for n in range(1, count)]
    return json.dumps({"Version": "2020-12-01", "Steps": [{"Name": "S0", **step}, *steps]})


def run_steps(cloud: ours.Ours, name: str) -> float:
    """Seconds from the start of an execution to its end, which must be a success, by the times that it records."""
    client = cloud.client
    arn = client.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    while True:
        execution = client.describe_pipeline_execution(PipelineExecutionArn=arn)
        status = execution["PipelineExecutionStatus"]
        if status == "Succeeded":
            return float((execution["LastModifiedTime"] - execution["CreationTime"]).total_seconds())
        if status != "Executing":
            steps = client.list_pipeline_execution_steps(PipelineExecutionArn=arn, MaxResults=100)
            reasons = {step.get("FailureReason") for step in steps["PipelineExecutionSteps"]}
            raise RuntimeError(f"{name} ended as {status}: {sorted(filter(None, reasons))[:3]}")
        time.sleep(0.2)


def run_alone(count: int) -> float:
    """Seconds that the commands of so many steps take without a cloud: half one by one, half two at a time."""
    python = ROOT / ".venv-image" / "bin" / COMMAND[0]

    def run(_: int) -> None:
        subprocess.run([python, *COMMAND[1:]], check=True)

    began = time.perf_counter()
    for number in range(count // 2):
        run(number)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(run, range(count - count // 2)))
    return time.perf_counter() - began


def cloud_processor_seconds(process: int) -> float:
    """Processor time of a local cloud and all that it started, also of what has ended."""
    cloud, total = psutil.Process(process), 0.0
    for one in (cloud, *cloud.children(recursive=True)):
        with suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def own_processor_seconds() -> float:
    """Processor time of the processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(rounds: int, counts: dict[str, list[int]], checkouts: dict[str, Path]) -> dict[str, Figures]:
    """The figures by row, such as "200 jobs"; in each round the checkouts, and the commands alone, take turns."""
    found: dict[str, Figures] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-scale-")))
        clouds = {
            name: stack.enter_context(ours.running(folder / str(number), checkout))
            for number, (name, checkout) in enumerate(checkouts.items())
        }
        for kind, step in ((CONDITIONS, condition()), (JOBS, job())):
            # A small one first, which is not counted: the first job of a cloud loads and writes more.
            for count in (4, *counts[kind]):
                for cloud in clouds.values():
                    text = definition(count, step)
                    cloud.client.create_pipeline(PipelineName=f"{kind}-{count}", PipelineDefinition=text, RoleArn=ROLE)
                works: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {
                    name: (
                        partial(run_steps, cloud, f"{kind}-{count}"),
                        partial(cloud_processor_seconds, cloud.process),
                    )
                    for name, cloud in clouds.items()
                }
                if kind == JOBS:
                    works[BARE] = partial(run_alone, count), own_processor_seconds
                for _ in range(rounds):
                    for name, (work, processor) in works.items():
                        before = processor()
                        took = work()
                        figures = (took / count * 1000, (processor() - before) / count * 1000)
                        if count > 4:
                            found.setdefault(f"{count} {kind}", {}).setdefault(name, []).append(figures)
                            print(f"{count} {kind}, {name}: {figures}", file=sys.stderr)
    return found


def _median(values: list[tuple[float, float]], part: int) -> float:
    return statistics.median(value[part] for value in values)


def rows(found: dict[str, Figures], part: int) -> list[str]:
    """The rows of a table: what each cloud takes a step, the commands alone, and the overhead of each."""
    names = [name for name in next(iter(found.values())) if name != BARE]
    lines = [
        "| steps | " + " | ".join([*names, BARE, *(f"overhead, {name}" for name in names)]) + " |",
        "|---" * (2 + 2 * len(names)) + "|",
    ]
    for label, figures in found.items():
        bare = _median(figures[BARE], part) if BARE in figures else 0.0
        medians = [_median(figures[name], part) for name in names]
        cells = [
            *(_spread(figures[name], part) for name in names),
            _spread(figures[BARE], part) if BARE in figures else "none",
            *(f"{median - bare:.1f}" for median in medians),
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def _spread(values: list[tuple[float, float]], part: int) -> str:
    each = [value[part] for value in values]
    return f"{statistics.median(each):.1f} ({min(each):.1f} to {max(each):.1f})"


def page(found: dict[str, Figures], rounds: int, load: float) -> str:
    """The part of the page."""
    lines = [
        HEADING,
        "",
        "Written by `.venv/bin/python bench/engine/scale.py`; do not edit. Half of the steps are a chain, half",
        f"run side by side, {AT_A_TIME} jobs at a time. Conditions are the engine alone; jobs run",
        f"`{' '.join(COMMAND)}`, each with its sandbox and log. The overhead is what is left when the time of the",
        "commands alone is subtracted: run by the same Python in the same shape, without a cloud.",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine()}, {rounds} rounds, "
        f"load average {load:.1f} at the start.",
        "",
        "Milliseconds a step: median (lowest to highest).",
        "",
        *rows(found, 0),
        "",
        "Milliseconds of processor time a step, of the cloud and all that it starts.",
        "",
        *rows(found, 1),
    ]
    return "\n".join(lines) + "\n"


def measure_peers(rounds: int, count: int) -> dict[str, list[float]]:
    """Seconds of the commands that run so many steps by each engine, in turn, after a round that is not counted."""
    found: dict[str, list[float]] = {}
    pythons = {name: install(requirement) for name, (requirement, _, _) in PEERS.items()}
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as name:
        folder = Path(name)
        clean = clean_environment(folder)
        with ours.running(folder / "cloud") as cloud:
            cloud.client.create_pipeline(PipelineName="many", PipelineDefinition=definition(count, job()), RoleArn=ROLE)
            commands = {"Local cloud": ([sys.executable, HERE / "localcloud_run.py", "many"], cloud.environment)}
            for peer, (_, [program, *_], _) in PEERS.items():
                many = program.replace("_five", "_many")
                commands[peer] = ([pythons[peer], HERE / "peers" / many, str(count)], {})
            for number in range(rounds + 1):
                for engine, (command, variables) in commands.items():
                    took = seconds(command, folder, {**clean, **variables})
                    print(f"{count} steps, {engine}: {took}", file=sys.stderr)
                    if number:
                        found.setdefault(engine, []).append(took)
    return found


def peers_table(found: dict[str, list[float]], count: int) -> str:
    """The table of all engines."""
    base = statistics.median(found["Local cloud"])
    lines = [
        "",
        f"{count} steps of the same shape on each engine, Metaflow's four own ones among them: seconds of the command,",
        "median (lowest to highest). The local cloud's jobs run the command above, the others hand a number on.",
        "",
        "| engine | seconds | milliseconds a step | times the local cloud |",
        "|---|---|---|---|",
    ]
    for name, values in found.items():
        label = f"{name} ({PEERS[name][0]})" if name in PEERS else name
        median = statistics.median(values)
        lines.append(f"| {label} | {spread(values)} | {median / count * 1000:.0f} | {median / base:.1f} |")
    return "\n".join(lines) + "\n"


def _counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--conditions", type=_counts, default=[50, 200, 500], help="steps of the pipelines")
    parser.add_argument("--jobs", type=_counts, default=[50, 200, 500], help="steps of the pipelines")
    parser.add_argument("--peers", type=int, default=40, help="steps of the peers' pipelines; 0 leaves them out")
    parser.add_argument("--beside", type=Path, help="another checkout")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "engine.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    checkouts = {"this": ROOT, **({"beside": options.beside.resolve()} if options.beside else {})}
    found = measure(options.rounds, {CONDITIONS: options.conditions, JOBS: options.jobs}, checkouts)
    beside = measure_peers(options.rounds, options.peers) if options.peers else {}
    part = page(found, options.rounds, load) + (peers_table(beside, options.peers) if beside else "")
    put_part(options.output, part)
    figures = options.output.with_name("engine-steps.json")
    report = {
        "machine": machine(),
        "rounds": options.rounds,
        "load": load,
        "milliseconds_a_step": found,
        "peers_seconds": beside,
    }
    figures.write_text(json.dumps(report, indent=2) + "\n")
    print(part)


if __name__ == "__main__":
    main()
