"""Runs moto's own SageMaker tests on local clouds and prints how many of the fair ones pass: `make moto`.

moto is the version that the tests here use; its tests come from its source archive on the package index, and are not
edited (`plugin.py` says what is provided for them). `unfair.toml` lists the tests that AWS's documentation contradicts,
by reason. Exit code 1 if fewer than 95 % of the fair ones pass, or if a test that is listed as unfair passes.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tomllib
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_WORK = _ROOT / ".loadingbay" / "moto"
_LEAST = 0.95


def main(arguments: list[str]) -> int:
    """Fetch, run, count; `arguments` go to pytest, for example `-k endpoint`."""
    tests, outcomes = _tests(), _WORK / "outcomes.json"
    command = [
        *(sys.executable, "-m", "pytest", "-p", "bench.moto.plugin", "-c", str(_HERE / "pytest.ini")),
        *("--rootdir", str(tests), "--outcomes", str(outcomes), *arguments, str(tests / "tests" / "test_sagemaker")),
    ]
    log = _WORK / "log"
    with log.open("w") as output:
        subprocess.run(
            command, cwd=tests, stdout=output, stderr=output, env={**os.environ, "PYTHONPATH": str(_ROOT)}, check=False
        )
    print(f"moto {version('moto')}; details: {log}")
    return _report(json.loads(outcomes.read_text()))


def _tests() -> Path:
    """The folder with moto's tests, fetched once. The archive is one of those that the lock file names by hash."""
    name = f"moto-{version('moto')}"
    folder = _WORK / name
    if not folder.exists():
        _WORK.mkdir(parents=True, exist_ok=True)
        pip = (_ROOT / ".uv" / "bin" / "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
        subprocess.run([*pip, "--no-binary", "moto", "--dest", _WORK, name.replace("-", "==")], check=True)
        archive = _WORK / f"{name}.tar.gz"
        if hashlib.sha256(archive.read_bytes()).hexdigest() not in (_ROOT / "requirements" / "dev.lock").read_text():
            raise SystemExit(f"{archive} is not the archive that requirements/dev.lock names: delete it and try again.")
        with tarfile.open(archive) as tar:
            kept = ("test_sagemaker/", "__init__.py", "conftest.py")
            wanted = [one for one in tar if one.name.startswith(tuple(f"{name}/tests/{start}" for start in kept))]
            tar.extractall(_WORK, wanted)  # noqa: S202 - the lock file has its hash
    return folder


def _report(outcomes: dict[str, dict[str, Any]]) -> int:
    """Print the table and the fair tests that fail; the exit code."""
    reasons = {
        name: group["reason"]
        for group in tomllib.loads((_HERE / "unfair.toml").read_text())["unfair"]
        for name in group["tests"]
    }
    counts: Counter[str] = Counter()
    failed, stale = [], []
    for node, outcome in outcomes.items():
        name = node.rpartition("test_sagemaker/test_sagemaker_")[2]
        reason = _not_counted(name, outcome) or reasons.get(name)
        counts[reason or outcome["outcome"]] += 1
        if name in reasons and outcome["outcome"] == "passed":
            stale.append(name)
        if reason is None and outcome["outcome"] != "passed":
            failed.append(f"{name}: {outcome['reason'].splitlines()[0][:300]}")
    passed = counts.pop("passed", 0)
    counts.pop("failed", None)
    fair = passed + len(failed)
    print(
        f"{passed} of {fair} fair tests pass ({passed / max(fair, 1):.1%}). Of {len(outcomes)} tests are not counted:"
    )
    for reason, count in counts.most_common():
        print(f"{count:4} {reason}")
    for line in failed:
        print(f"FAILED {line}")
    for name in stale:
        print(f"PASSES, though it is listed as unfair: {name}")
    return int(passed < _LEAST * fair or bool(stale))


def _not_counted(name: str, outcome: dict[str, Any]) -> str | None:
    """Why a test says nothing about the local cloud, if it does not."""
    if outcome["outcome"] == "skipped":
        return "moto skips it on a server: it looks into moto's process, or sets the server's clock"
    if outcome["unserved"]:
        return "it asks for an operation that is not served"
    if "cloudformation" in name and ("notebook" in name or "config0" in name or "config1" in name):
        return "it asks for an operation that is not served"
    if name.startswith("integration.py"):
        return "it asks for another service, Resource Groups Tagging"
    return None if outcome["asked"] else "it asks no cloud"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
