"""Compares model servers side by side: `.venv/bin/python bench/serving/run.py` writes docs/serving.md and a JSON file.

All servers get the same artifact, cores and client. Peers are installed into environments of their own in the cache,
`wrk` by apt-get where it is missing. Each round starts every server anew, one after the other. At the end one server
answers `--requests` photos while its memory is watched. About twelve minutes; leave the machine to it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from bench.serving import client, contenders, material, report, server  # noqa: E402


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def measure(
    one: contenders.Contender, stuff: material.Material, venv: Path, expected: list[str], options: argparse.Namespace
) -> dict[str, Any]:
    """One round of one server."""
    photos = [path.read_bytes() for path in stuff.photos]
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as name:
        folder, port = Path(name), server.free_port()
        bodies = client.write_bodies([one.body(photo) for photo in photos], folder / "bodies")
        start = one.plan(stuff.forms[one.form], folder, port, venv, options.workers)
        with server.running(one, start, port, folder, photos[0]) as running:
            same = not one.answers or server.same_answers(running, photos, expected)
            client.run(port, bodies, one.content_type, 8, 2)  # warm
            loads = {}
            for connections in options.connections:
                load = client.run(port, bodies, one.content_type, connections, options.seconds)
                loads[str(connections)] = load.as_json()
                say(
                    f"  {one.name}, {connections} connections: {load.requests_per_second:,.0f}/s, p99 {load.p99:.1f} ms"
                )
            return {
                "name": one.name,
                "note": one.note,
                "classifies": one.answers,
                "loads": loads,
                "memory": running.memory(),
                "healthy_after": running.healthy_after,
                "answers_after": running.answers_after,
                "same_answers": same,
            }


def endurance(stuff: material.Material, venv: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Memory of our server, and its errors, while it answers `options.requests` photos over 32 connections."""
    one, photos = contenders.OURS, [path.read_bytes() for path in stuff.photos]
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as name:
        folder, port = Path(name), server.free_port()
        bodies = client.write_bodies(photos, folder / "bodies")
        start = one.plan(stuff.forms[one.form], folder, port, venv, options.workers)
        with server.running(one, start, port, folder, photos[0]) as running:
            client.run(port, bodies, one.content_type, 32, 3)  # every batch size has its memory
            answered, errors, steps = 0, 0, [{"answered": 0, "memory": running.memory()}]
            while answered < options.requests:
                load = client.run(port, bodies, one.content_type, 32, 5)
                answered, errors = answered + load.answered, errors + load.errors
                steps.append({"answered": answered, "memory": running.memory()})
                say(f"  {answered:,} photos answered: {steps[-1]['memory'] / 1e6:.1f} MB")
                if not load.answered:
                    raise SystemExit("the server no longer answers")
            return {"answered": answered, "errors": errors, "steps": steps}


def limits(artifact: Path, photos: list[Path], seconds: int) -> dict[str, float]:
    """Images a second without a server; see limits.py."""
    command = [str(material.PYTHON), "-W", "ignore", str(HERE / "limits.py"), str(artifact), str(seconds)]
    environment = {**os.environ, **contenders.TUNING}
    result = subprocess.run(
        [*command, *map(str, photos)], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def cpu() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def main() -> int:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="artifact to serve: model.tar.gz or a folder (default: trains one)")
    parser.add_argument("--epochs", type=int, help="of that training (default: as many as the pipeline's)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=int, default=5, help="for each cell")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=200_000, help="for the memory's sake, at the end (0: skip)")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", nargs="+", help="names of servers (default: all)")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/loadingbay/bench-serving")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/serving.md", help="the JSON goes beside it")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    uv = shutil.which("uv") or str(ROOT / ".uv/bin/uv")
    client.ensure_wrk()
    chosen = [one for one in contenders.ALL if not options.only or one.name in options.only]
    environments = {one.name: one.environment(options.cache, uv) for one in (*chosen, contenders.OURS)}
    stuff = material.prepare(options.cache, options.model, options.epochs, say)
    expected = {form: server.labels(material.PYTHON, path, stuff.photos) for form, path in stuff.forms.items()}
    rounds: dict[str, list[dict[str, Any]]] = {one.name: [] for one in chosen}
    for number in range(1, options.rounds + 1):
        say(f"round {number} of {options.rounds}")
        for one in chosen:
            rounds[one.name].append(measure(one, stuff, environments[one.name], expected[one.form], options))
    photos = [path.stat().st_size for path in stuff.photos]
    say("limits")
    result = {
        "setting": {
            "date": datetime.datetime.now(datetime.UTC).strftime("%d %B %Y"),
            "cores": len(os.sched_getaffinity(0)),
            "cpu": cpu(),
            "connections": options.connections,
            "seconds": options.seconds,
            "rounds": options.rounds,
            "workers": options.workers,
            "data": stuff.data,
            "photos": len(photos),
            "bytes": round(sum(photos) / len(photos)),
        },
        "network": json.loads((stuff.forms["whole"] / "int8.json").read_text()),
        "limits": {form: limits(path, stuff.photos, options.seconds) for form, path in stuff.forms.items()},
        "endurance": endurance(stuff, environments[contenders.OURS.name], options) if options.requests else None,
        "servers": [report.summarise(rounds[one.name]) for one in chosen],
        "rounds": rounds,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    options.output.write_text(report.markdown(result))
    say(f"written: {options.output} and {options.output.with_suffix('.json').name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
