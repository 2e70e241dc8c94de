"""Five near-nothing steps on each engine: `.venv/bin/python bench/engine/run.py` writes docs/engine.md and engine.json.

Each round runs the local cloud, KFP's subprocess runner, Metaflow and ZenML once, one after the other, on the same
machine. What is timed is the command that a person types, from its start to its end; for the local cloud also the
time between the API calls. Peers are installed by uv into environments of their own in the cache. Nothing else should
be running.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from bench.engine import ours  # noqa: E402

# Versions of what is compared; change them together with the table.
PEERS = {
    "KFP subprocess runner": ("kfp==2.17.0", ["kfp_five.py"], None),
    "Metaflow": ("metaflow==2.19.39", ["metaflow_five.py", "run"], ["metaflow_five.py", "resume"]),
    "ZenML": ("zenml[local]==0.98.0", ["zenml_five.py"], ["zenml_five.py", "--cache"]),
}
OURS = "Local cloud"
API = "Local cloud, between the API calls"


def install(requirement: str) -> Path:
    """The Python of an environment that holds this requirement; made if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "loadingbay" / "bench-engine"
    environment = cache / requirement.replace("==", "-").replace("[", "-").replace("]", "")
    python = environment / "bin" / "python"
    if not (environment / "complete").exists():
        print(f"installing {requirement}", file=sys.stderr)
        uv = str(ROOT / ".uv" / "bin" / "uv")
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, environment], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", python, requirement], check=True)
        (environment / "complete").touch()
    return python


def seconds(command: list[Any], folder: Path, environment: dict[str, str]) -> float:
    """Wall time of a command that must succeed."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return took


def measure(rounds: int, folder: Path) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of each round by engine: everything run, and a rerun with nothing changed."""
    pythons = {name: install(requirement) for name, (requirement, _, _) in PEERS.items()}
    clean = clean_environment(folder)
    fresh: dict[str, list[float]] = {}
    again: dict[str, list[float]] = {}
    with ours.running(folder / "cloud") as cloud:
        client = [sys.executable, HERE / "localcloud_run.py", "five"]
        environment = {**clean, **cloud.environment}
        # The first round of each makes databases and byte code, and is not counted.
        for number in range(rounds + 1):
            found: dict[str, float] = {}
            cached: dict[str, float] = {}
            cloud.define(cache=False)
            found[API] = cloud.api_seconds()
            found[OURS] = seconds(client, folder, environment)
            cloud.define(cache=True)
            cloud.api_seconds()
            cached[API] = cloud.api_seconds()
            cached[OURS] = seconds(client, folder, environment)
            for name, (_, run, rerun) in PEERS.items():
                found[name] = seconds([pythons[name], HERE / "peers" / run[0], *run[1:]], folder, clean)
                if rerun is not None:
                    if name == "ZenML":
                        seconds([pythons[name], HERE / "peers" / rerun[0], *rerun[1:]], folder, clean)
                    cached[name] = seconds([pythons[name], HERE / "peers" / rerun[0], *rerun[1:]], folder, clean)
            print(f"round {number}: {found} rerun: {cached}", file=sys.stderr)
            if number:
                for target, values in ((fresh, found), (again, cached)):
                    for name, value in values.items():
                        target.setdefault(name, []).append(value)
    return fresh, again


def machine() -> str:
    """The processor, the cores and the system."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if "model name" in line), "unknown")
    return f"{os.cpu_count()} cores of {model}, Linux {platform.release()}, Python {platform.python_version()}"


def table(fresh: dict[str, list[float]], again: dict[str, list[float]], rounds: int, load: float) -> str:
    """The page with the results."""
    base = statistics.median(fresh[OURS])
    lines = [
        "# Five steps that do nearly nothing",
        "",
        "Written by `.venv/bin/python bench/engine/run.py`; do not edit. Each step is handed the number that the one",
        "before it wrote, and writes the next. Wall time of the command in seconds: median (lowest to highest).",
        "A rerun has nothing changed: the local cloud and ZenML take the results from their caches, Metaflow's is",
        "`resume`, KFP's local runner has none.",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine()}, {rounds} rounds after one that is not counted, "
        f"load average {load:.1f} at the start.",
        "",
        "| engine | five steps | times the local cloud | rerun |",
        "|---|---|---|---|",
    ]
    for name in (OURS, API, *PEERS):
        label = f"{name} ({PEERS[name][0]})" if name in PEERS else name
        ratio = statistics.median(fresh[name]) / base
        lines.append(f"| {label} | {spread(fresh[name])} | {ratio:.1f} | {spread(again.get(name, []))} |")
    return "\n".join(lines) + "\n"


def spread(values: list[float]) -> str:
    """Median, lowest and highest."""
    if not values:
        return "none"
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def put_part(page: Path, part: str) -> None:
    """Replace the part of a page that begins with the same heading, or add it at the end."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    parts = [f"# {each.strip()}\n" for each in f"\n{text}".split("\n# ")[1:]]
    headings = [each.partition("\n")[0] for each in parts]
    heading = part.partition("\n")[0]
    if heading in headings:
        parts[headings.index(heading)] = part
    else:
        parts.append(part)
    page.write_text("\n".join(parts), encoding="utf-8")


def clean_environment(folder: Path) -> dict[str, str]:
    """The variables of a peer's command, whose home is `folder`."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "USER": "bench",
        "ZENML_ANALYTICS_OPT_IN": "false",
        "AUTO_OPEN_DASHBOARD": "false",
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "engine.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    folder = Path(tempfile.mkdtemp(prefix="bench-engine-"))
    try:
        fresh, again = measure(options.rounds, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    page = table(fresh, again, options.rounds, load)
    put_part(options.output, page)
    figures = {"machine": machine(), "rounds": options.rounds, "load": load, "seconds": fresh, "rerun_seconds": again}
    options.output.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")
    print(page)


if __name__ == "__main__":
    main()
