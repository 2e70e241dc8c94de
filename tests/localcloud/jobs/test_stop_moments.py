"""A job that is stopped at any moment of its life ends once, in the right status, and leaves nothing behind."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from localcloud.jobs.failure import CancelledError
from localcloud.jobs.processing import Processing
from localcloud.jobs.run import INTERRUPTED, JobRun
from localcloud.jobs.transfer import Transfer
from localcloud.sandbox.process import Launchers
from localcloud.sandbox.sandbox import Sandbox
from tests.localcloud.pipeline_kit import ROLE, Kit
from tests.waiting import soon

JOB = {"ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1}},
       "AppSpecification": {"ImageUri": "image"}, "_entrypoint": ["sleep", "20"],
       "ProcessingJobName": "job", "ProcessingJobArn": "arn"}  # fmt: skip


class Stage(Processing):
    """A processing job during whose life something is done: at its `prepare`, or in its first line of output."""

    def __init__(self, act: Any, moment: str) -> None:
        self.act, self.moment = act, moment

    def prepare(self, run: JobRun, *_: Any) -> Any:
        if self.moment == "prepare":
            self.act(run)
            run.transfer._check_cancelled()
        return []

    def command(self, *_: Any) -> list[str]:
        return ["sh", "-c", "echo begun; sleep 20"] if self.moment == "run" else ["true"]

    def line(self, run: JobRun, text: str) -> None:
        if self.moment == "run":
            threading.Thread(target=self.act, args=(run,)).start()

    def deliver(self, run: JobRun, *_: Any) -> dict[str, Any]:
        if self.moment == "deliver":
            self.act(run)
        return {}


def ended(tmp_path: Path, act: Any, moment: str) -> list[tuple[str, Any]]:
    """The statuses of a job, each with the failure reason, during whose life `act(run)` is called."""
    statuses: list[tuple[str, Any]] = []
    launchers = Launchers()
    settings = SimpleNamespace(
        jobs_dir=tmp_path, account="1", region="r", process_environment=lambda *_: {"PATH": "/usr/bin:/bin"}
    )
    identity = SimpleNamespace(client=lambda _: None, require=lambda _: None, release=lambda: None, variables={})
    cloud: Any = SimpleNamespace(
        settings=settings, s3=None, clock=time.time, logs=SimpleNamespace(put=lambda *_: None),
        identities=SimpleNamespace(assume=lambda _: identity),
        images=SimpleNamespace(prepare=lambda *_: SimpleNamespace(variables={})),
    )  # fmt: skip
    run = JobRun(
        cloud, Sandbox(), launchers, Stage(act, moment), "job",
        lambda status, members: statuses.append((status, members.get("FailureReason"))), lambda _: None,
    )  # fmt: skip
    run.run(JOB)
    launchers.close()
    return statuses


@pytest.mark.parametrize("moment", ["prepare", "run"])
def test_a_stop_before_the_end_is_a_stop(tmp_path: Path, moment: str) -> None:
    assert ended(tmp_path, lambda run: run.stop(), moment)[-1] == ("Stopped", None)


@pytest.mark.parametrize("moment", ["prepare", "run"])
def test_an_interruption_before_the_end_is_a_failure_that_says_so(tmp_path: Path, moment: str) -> None:
    reason = f"InternalServerError: {INTERRUPTED}"

    assert ended(tmp_path, lambda run: run.interrupt(), moment)[-1] == ("Failed", reason)


@pytest.mark.parametrize("moment", ["prepare", "run"])
def test_a_job_that_was_to_be_stopped_is_so_when_the_cloud_closes(tmp_path: Path, moment: str) -> None:
    def act(run: JobRun) -> None:
        run.stop()
        run.interrupt()

    assert ended(tmp_path, act, moment)[-1] == ("Stopped", None)


@pytest.mark.parametrize("act", [JobRun.stop, JobRun.interrupt])
def test_a_job_whose_process_has_ended_completes(tmp_path: Path, act: Any) -> None:
    assert ended(tmp_path, act, "deliver")[-1] == ("Completed", None)


def test_a_download_ends_before_its_next_file_when_it_is_cancelled(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    listed = SimpleNamespace(paginate=lambda **_: [{"Contents": [{"Key": "key"}]}])

    with pytest.raises(CancelledError):
        Transfer(SimpleNamespace(get_paginator=lambda _: listed), cancelled).download("s3://bucket/key", tmp_path)


def test_jobs_stopped_at_moments_of_their_lives_leave_nothing(cloud: Any) -> None:
    kit = Kit(cloud)
    for number in range(10):
        kit.put(f"many/{number}", b"x" * 50_000)
    script = """
import pathlib, subprocess
subprocess.Popen(["sleep", "3000.25"], start_new_session=True)
for number in range(10): pathlib.Path(f"/opt/ml/processing/out/{number}").write_bytes(b"x" * 50_000)
"""
    many = {"many": kit.uri("many")}
    request = kit.processing("job", script, inputs=many)["Arguments"]
    endless = kit.processing("job", f"{script}\nimport time; time.sleep(600)", inputs=many)["Arguments"]

    def stopped_after(seconds: float) -> Any:
        name = f"{kit.prefix}-{int(1000 * seconds)}"
        kit.sm.create_processing_job(ProcessingJobName=name, RoleArn=ROLE, **(request if seconds else endless))
        time.sleep(seconds)
        kit.sm.stop_processing_job(ProcessingJobName=name)
        return kit.wait_job(name)

    with ThreadPoolExecutor(2) as pool:
        jobs = list(pool.map(stopped_after, [number / 20 for number in range(10)]))

    assert {job["ProcessingJobStatus"] for job in jobs} <= {"Stopped", "Completed"}
    assert jobs[0]["ProcessingJobStatus"] == "Stopped"
    assert not [job for job in jobs if "FailureReason" in job]
    names = {job["ProcessingJobName"] for job in jobs}

    def left() -> list[Any]:
        processes = [found for found in psutil.process_iter(["cmdline"]) if "3000.25" in (found.info["cmdline"] or [])]
        return processes + [path for path in (cloud.home / "jobs" / "processing").glob("*") if path.name in names]

    assert soon(lambda: not left())
