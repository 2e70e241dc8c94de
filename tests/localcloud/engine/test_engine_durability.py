"""What a kill -9, a stop and a restart leave of executions and jobs: nothing acknowledged is lost."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.localcloud.pipeline_kit import Kit, job_of
from tests.waiting import soon

STOPPED = "InternalServerError: the local cloud was stopped while it ran"
# Waits the first time, and goes through once the object `go` is there: a new try downloads it.
WAITS = """
import os, pathlib, time
print("pid", os.getpid(), flush=True)
while not pathlib.Path("/opt/ml/processing/flag/go").exists():
    time.sleep(0.1)
"""


def waiting_pipeline(kit: Kit) -> str:
    """Start Before -> Slow -> After, and return once Slow's process runs; the execution's ARN."""
    kit.put("flag/other", "")
    kit.pipeline(
        kit.processing("Before", "pass"),
        kit.processing("Slow", WAITS, inputs={"flag": kit.uri("flag")}, DependsOn=["Before"]),
        kit.processing("After", "pass", DependsOn=["Slow"]),
    )
    arn = kit.start()
    while "ProcessingJob" not in kit.steps(arn).get("Slow", {}).get("Metadata", {}):
        time.sleep(0.02)
    kit.wait_log(job_of(kit.steps(arn)["Slow"]), "pid")
    return arn


def jobs_below(home: Path) -> int:
    """How many jobs of this home run: each has a mount namespace of its own in which its directory is /opt/ml."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"{home / 'jobs'}/" in (entry / "mountinfo").read_text():
                    found.add((entry / "ns" / "mnt").readlink())
            except OSError:
                continue
    return len(found)


def no_job_below(home: Path) -> bool:
    """Whether every job of this home ends within some seconds."""
    return soon(lambda: not jobs_below(home))


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_an_execution_goes_on_after_a_restart(own_cloud: Callable[[], Any], end: str) -> None:
    first = own_cloud()
    kit = Kit(first)
    arn = waiting_pipeline(kit)
    before, interrupted = kit.steps(arn)["Before"], job_of(kit.steps(arn)["Slow"])
    assert jobs_below(first.home) == 1
    getattr(first, end)()
    assert no_job_below(first.home), "a job outlives the cloud that ran it"

    again = Kit(own_cloud())
    again.prefix = kit.prefix
    while again.steps(arn)["Slow"]["AttemptCount"] < 2:
        time.sleep(0.02)
    job = again.sm.describe_processing_job(ProcessingJobName=interrupted)
    assert (job["ProcessingJobStatus"], job["FailureReason"]) == ("Failed", STOPPED)
    again.wait_log(job_of(again.steps(arn)["Slow"]), "pid")
    assert jobs_below(first.home) == 1
    again.sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert again.wait(arn)["PipelineExecutionStatus"] == "Stopped"
    again.put("flag/go", "")
    again.sm.retry_pipeline_execution(PipelineExecutionArn=arn)
    assert again.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert again.steps(arn)["Before"] == before


def test_what_is_resumed_runs_to_its_end(own_cloud: Callable[[], Any]) -> None:
    first = own_cloud()
    kit = Kit(first)
    arn = waiting_pipeline(kit)
    kit.put("flag/go", "")
    first.kill()
    again = Kit(own_cloud())
    assert again.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert list(again.steps(arn)) == ["Before", "Slow", "After"]


def test_an_execution_that_was_stopping_is_stopped_after_a_restart(own_cloud: Callable[[], Any]) -> None:
    first = own_cloud()
    kit = Kit(first)
    ignore = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('pid', flush=True)\ntime.sleep(600)"
    )
    kit.pipeline(kit.processing("Stubborn", ignore))
    arn = kit.start()
    while "ProcessingJob" not in kit.steps(arn).get("Stubborn", {}).get("Metadata", {}):
        time.sleep(0.02)
    kit.wait_log(job_of(kit.steps(arn)["Stubborn"]), "pid")
    kit.sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert kit.sm.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"] == "Stopping"
    first.kill()
    again = Kit(own_cloud())
    assert again.wait(arn)["PipelineExecutionStatus"] == "Stopped"
    assert again.steps(arn)["Stubborn"]["StepStatus"] == "Stopped"
    assert no_job_below(first.home)


def test_a_job_of_its_own_that_was_running_is_marked_with_the_reason(own_cloud: Callable[[], Any]) -> None:
    first = own_cloud()
    kit = Kit(first)
    job = kit.processing_job("print('pid', flush=True)\nimport time; time.sleep(600)")
    kit.wait_log(job, "pid")
    first.kill()
    again = Kit(own_cloud())
    assert again.wait_job(job)["FailureReason"] == STOPPED
    assert no_job_below(first.home)


def test_the_cache_survives_a_kill(own_cloud: Callable[[], Any]) -> None:
    first = own_cloud()
    kit = Kit(first)
    kit.pipeline(kit.processing("A", "pass", CacheConfig={"Enabled": True}))
    arn = kit.start()
    kit.wait(arn)
    first.kill()
    again = Kit(own_cloud())
    again.prefix = kit.prefix
    second = again.start()
    again.wait(second)
    assert again.steps(second)["A"]["CacheHitResult"] == {"SourcePipelineExecutionArn": arn}


def test_an_interrupted_job_with_a_retry_strategy_runs_again(own_cloud: Callable[[], Any]) -> None:
    cloud = own_cloud()
    kit = Kit(cloud)
    waits = WAITS.replace("/opt/ml/processing/flag/go", "/opt/ml/input/data/train/go")
    kit.put("data/train/wait.py", waits)
    entry = ["python3", "/opt/ml/input/data/train/wait.py"]
    bare = {"TrainingImage": "image", "TrainingInputMode": "File", "ContainerEntrypoint": entry}
    job = kit.training_job("", AlgorithmSpecification=bare, RetryStrategy={"MaximumRetryAttempts": 1})
    once = kit.training_job("", AlgorithmSpecification=bare)
    for name in (job, once):
        kit.wait_log(name, "pid", "Training")
    kit.put("data/train/go", "")
    cloud.kill()
    kit = Kit(own_cloud())
    assert kit.wait_job(job, "training")["TrainingJobStatus"] == "Completed"
    statuses = [change["Status"] for change in kit.wait_job(job, "training")["SecondaryStatusTransitions"]]
    assert "Restarting" in statuses
    assert kit.wait_job(once, "training")["FailureReason"] == STOPPED
