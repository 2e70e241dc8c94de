"""Faults of the machine: what a step says when its job cannot run here, and what is tried again."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from localcloud.jobs.failure import sentence
from localcloud.state.retried_writes import RetriedWrites
from tests.localcloud.conftest import RunningCloud, start_cloud
from tests.localcloud.engine.test_engine_outside import function, lambda_step
from tests.localcloud.pipeline_kit import Kit, job_of
from tests.waiting import Gate, soon

RETRY: dict[str, Any] = {
    "RetryPolicies": [
        {
            "ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"],
            "IntervalSeconds": 1,
            "BackoffRate": 1.0,
            "MaxAttempts": 20,
        }
    ]
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, image: tuple[Path, Path]) -> Iterator[RunningCloud]:
    """A cloud that these tests break and mend."""
    running = start_cloud(tmp_path_factory.mktemp("faults"), *image)
    yield running
    running.stop()


@pytest.fixture
def broken(own: RunningCloud) -> Kit:
    """The cloud, which cannot make directories for processing jobs."""
    place = own.home / "jobs" / "processing"
    shutil.rmtree(place, ignore_errors=True)
    place.write_text("in the way")
    return Kit(own)


def mend(kit: Kit) -> None:
    (kit.cloud.home / "jobs" / "processing").unlink()


def failed(kit: Kit, arn: str) -> dict[str, Any]:
    """The step A as it was when a job of it had failed."""
    found = soon(lambda: kit.steps(arn).get("A", {}).get("Metadata") and kit.steps(arn)["A"])
    assert found
    assert kit.wait_job(job_of(found))["ProcessingJobStatus"] == "Failed"
    return found


def test_a_job_that_the_machine_cannot_run_fails_with_a_sentence(broken: Kit) -> None:
    status, steps = broken.run(broken.processing("A", "pass"))
    assert status == "Failed"
    assert steps["A"]["AttemptCount"] == 1
    assert steps["A"]["FailureReason"].startswith("InternalServerError: Not a directory (")


def test_a_retry_policy_tries_again_until_it_works(broken: Kit) -> None:
    broken.pipeline(broken.processing("A", "pass", **RETRY))
    arn = broken.start()
    first = failed(broken, arn)
    mend(broken)
    assert broken.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    step = broken.steps(arn)["A"]
    assert step["AttemptCount"] >= 2
    assert step["StartTime"] == first["StartTime"]
    assert step["Metadata"] != first["Metadata"]
    assert "FailureReason" not in step


def test_a_retry_policy_gives_up_after_its_attempts(broken: Kit) -> None:
    policy = {**RETRY["RetryPolicies"][0], "IntervalSeconds": 0, "MaxAttempts": 2}
    status, steps = broken.run(broken.processing("A", "pass", RetryPolicies=[policy]))
    assert status == "Failed"
    assert steps["A"]["AttemptCount"] == 3


def test_a_failure_that_no_policy_names_is_not_tried_again(cloud: Any) -> None:
    kit = Kit(cloud)
    status, steps = kit.run(kit.processing("A", "raise SystemExit(1)", **RETRY))
    assert (status, steps["A"]["AttemptCount"]) == ("Failed", 1)


def test_a_step_that_waits_for_a_retry_is_stopped_at_once(broken: Kit) -> None:
    policy = {**RETRY["RetryPolicies"][0], "IntervalSeconds": 600}
    broken.pipeline(broken.processing("A", "pass", RetryPolicies=[policy]))
    arn = broken.start()
    failed(broken, arn)
    broken.sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert broken.wait(arn)["PipelineExecutionStatus"] == "Stopped"
    assert broken.steps(arn)["A"]["StepStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("number", "words"), [(28, "is full (/home/x); free some space"), (30, "is read-only (/home/x); make it writable")]
)
def test_a_full_or_read_only_disk_is_told_in_a_sentence(number: int, words: str) -> None:
    assert words in sentence(OSError(number, "", "/home/x"))


def test_a_state_is_written_once_the_disk_takes_it() -> None:
    full = sqlite3.OperationalError("database or disk is full")
    answers: Iterator[Exception | str] = iter([full, full, "stored"])

    def write() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    retried = RetriedWrites(pause=0)
    told: list[str | None] = []

    def stop() -> bool:
        told.append(retried.refused)
        return len(told) > 2

    assert retried.until_stored(write, stop) == "stored"
    assert told == [None, "Its state cannot be stored (database or disk is full): free some space, then it goes on."]
    assert retried.refused is None


def test_a_state_that_cannot_be_written_is_given_up_when_the_cloud_ends() -> None:
    def write() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(sqlite3.OperationalError):
        RetriedWrites(pause=0).until_stored(write, lambda: True)


def test_an_execution_that_cannot_be_stored_says_so_and_goes_on(own: RunningCloud) -> None:
    kit, process = Kit(own), psutil.Process(own.process.pid)
    with Gate() as gate:
        # A function: a job whose own state cannot be stored fails.
        waits = f"{gate.source}\ndef handler(*_):\n    pass_gate()\n    return {{}}\n"
        kit.pipeline(lambda_step("A", function(kit, waits), {}, Arguments={}))
        arn = kit.start()
        gate.arrived()
        # The kernel refuses to let a file grow beyond this, as it refuses on a full disk.
        process.rlimit(psutil.RLIMIT_FSIZE, (1, psutil.RLIM_INFINITY))
    while not (told := kit.sm.describe_pipeline_execution(PipelineExecutionArn=arn)).get("FailureReason"):
        time.sleep(0.05)
    process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))

    assert told["PipelineExecutionStatus"] == "Executing"
    assert "cannot be stored" in told["FailureReason"]
    ended = kit.wait(arn)
    assert (ended["PipelineExecutionStatus"], ended.get("FailureReason")) == ("Succeeded", None)
