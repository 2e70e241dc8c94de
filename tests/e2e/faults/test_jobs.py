"""Jobs that do not want to end, beside other processes and another local cloud: each ends, and nothing else does.

`FAULTS_STARTS` says how many jobs are started: 40 if it is not set, 300 in `make faults`.
"""

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.localcloud.conftest import start_cloud
from tests.waiting import soon

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parents[3]
STARTS = int(os.environ.get("FAULTS_STARTS", "40"))
AT_ONCE = 10
HOSTILE = {
    "daemon": "setsid sh -c 'sleep 3000; true {mark}' & exit 0",
    "two-forks": "(setsid sh -c 'trap \"\" TERM HUP; sleep 3000; true {mark}' &) ; exit 0",
    "kills-its-parent": "kill -9 $PPID; exit 0",
    # Where jobs are not isolated these two must not be tried: they would end the session of whoever runs the test.
    "kills-all-it-sees": "if [ -e /proc/{stranger} ]; then exit 1; fi; kill -9 -1; exit 0",
    "kills-the-cloud": "if [ -e /proc/{stranger} ]; then exit 1; fi; kill -9 {clouds}; exit 0",
    "reads-the-home": "if cat {home}/credentials; then exit 1; fi; exit 0",
    "unmounts": "umount {home}; if cat {home}/credentials; then exit 1; fi; exit 0",
    "other-path": "exit 0",
}
TOO_MANY = "for number in $(seq 9000); do sleep 60 & done; wait"
ENVIRONMENT = {"other-path": {"PATH": "/nowhere", "LD_PRELOAD": "/opt/ml/nothing.so", "LD_LIBRARY_PATH": "/opt/ml"}}
STARTED = ("true", "setsid sleep 3000 & true", "(sleep 3000 &) ; true", "sleep 0.05")


class Jobs:
    """Processing jobs of one local cloud, each a shell script; `mark` is in the command line of what they start."""

    def __init__(self, cloud: Any, mark: str) -> None:
        self.sagemaker, self._mark = cloud.client("sagemaker"), mark

    def start(self, name: str, script: str, variables: dict[str, str] | None = None) -> None:
        """Start a job that runs a script."""
        self.sagemaker.create_processing_job(
            ProcessingJobName=name,
            RoleArn="arn:aws:iam::000000000000:role/any",
            AppSpecification={"ImageUri": "image", "ContainerEntrypoint": ["/bin/sh", "-c", script, self._mark]},
            ProcessingResources={
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
            },
            Environment=variables or {},
        )  # fmt: skip

    def status(self, name: str) -> str:
        """The job's status now."""
        return str(self.sagemaker.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"])

    def end(self, name: str) -> str:
        """The job's status once it has ended."""
        soon(lambda: self.status(name) not in ("InProgress", "Stopping"), 120)
        return self.status(name)

    def run(self, name: str, script: str) -> str:
        """Start a job and wait for its end; its status."""
        self.start(name, script)
        return self.end(name)


def marked(mark: str) -> list[str]:
    """The command lines of processes that have the mark."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if mark in line:
            found.append(line)
    return found


@pytest.fixture
def strangers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes of the same user that have nothing to do with a local cloud."""
    processes = [subprocess.Popen(["sleep", "3000"], start_new_session=own) for own in (False, True)]
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def test_jobs_end_whole_and_touch_no_other_process(tmp_path: Path, strangers: list[subprocess.Popen[bytes]]) -> None:
    image = ROOT / ".venv-image", ROOT / "container"
    other = start_cloud(tmp_path / "other", *image)
    cloud = start_cloud(tmp_path / "home", *image)
    mark, others_mark = f"job-{uuid.uuid4().hex}", f"other-{uuid.uuid4().hex}"
    try:
        others, jobs = Jobs(other, others_mark), Jobs(cloud, mark)
        others.start("bystander", "sleep 3000; true")
        assert soon(lambda: bool(marked(others_mark)), 60)
        known = {"mark": mark, "home": tmp_path / "home", "stranger": strangers[0].pid,
                 "clouds": f"{cloud.process.pid} {other.process.pid}"}  # fmt: skip
        for name, script in HOSTILE.items():
            jobs.start(name, script.format(**known), ENVIRONMENT.get(name))
        jobs.start("ignores-sigterm", "trap '' TERM INT HUP; while :; do sleep 1; done")
        assert {name: jobs.end(name) for name in HOSTILE} == dict.fromkeys(HOSTILE, "Completed")
        assert jobs.run("too-many-processes", TOO_MANY) == "Failed"
        reason = jobs.sagemaker.describe_processing_job(ProcessingJobName="too-many-processes")["FailureReason"]
        assert reason.startswith("AlgorithmError: The local cloud ended it: its processes and threads were "), reason
        assert soon(lambda: jobs.status("ignores-sigterm") == "InProgress" and bool(marked(mark)), 60)
        jobs.sagemaker.stop_processing_job(ProcessingJobName="ignores-sigterm")
        assert jobs.end("ignores-sigterm") == "Stopped"
        assert soon(lambda: not marked(mark), 10), marked(mark)

        with ThreadPoolExecutor(6) as pool:
            ends = list(pool.map(lambda n: jobs.run(f"start-{n}", STARTED[n % len(STARTED)]), range(STARTS)))
        failed = len(ends) - ends.count("Completed")

        for number in range(AT_ONCE):
            jobs.start(f"runs-{number}", f"setsid sh -c 'sleep 3000; true {mark}' & trap '' TERM; sleep 3000; true")
        assert soon(lambda: bool(marked(mark)), 60)
        cloud.kill()
        cloud = start_cloud(tmp_path / "home", *image)
        jobs = Jobs(cloud, mark)
        ended = {jobs.end(f"runs-{number}") for number in range(AT_ONCE)}
        soon(lambda: not marked(mark), 10)
        left, touched = len(marked(mark)), sum(stranger.poll() is not None for stranger in strangers)
        touched += others.status("bystander") != "InProgress" or not marked(others_mark)

        target = os.environ.get("FAULTS_REPORT")
        if target:
            told = {"hostile": len(HOSTILE) + 1, "starts": STARTS, "failed": failed, "at_once": AT_ONCE,
                    "left": left, "touched": touched}  # fmt: skip
            (Path(target) / "jobs.json").write_text(json.dumps(told, indent=1) + "\n")
        assert (failed, ended, left, touched) == (0, {"Failed"}, 0, 0)
    finally:
        cloud.stop()
        other.stop()
