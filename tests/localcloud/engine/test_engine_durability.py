"""What a kill -9, a stop and a restart leave of executions and jobs: nothing acknowledged is lost."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.localcloud.pipeline_kit import Kit
from tests.waiting import soon

STOPPED = "InternalServerError: the local cloud was stopped while it ran"
# Waits the first time, and goes through once the object `go` is there: a new try downloads it.
WAITS = """
import os, pathlib, time
print("pid", os.getpid(), flush=True)
while not pathlib.Path("/opt/ml/processing/flag/go").exists():
    time.sleep(0.1)
"""


def waiting_pipeline(kit: Kit) -> tuple[str, str]:
    """Start Before -> Slow -> After, and return once Slow's process runs; the execution's ARN, and Slow's job."""
    kit.put("flag/other", "")
    kit.pipeline(
        kit.processing("Before", "pass"),
        kit.processing("Slow", WAITS, inputs={"flag": kit.uri("flag")}, DependsOn=["Before"]),
        kit.processing("After", "pass", DependsOn=["Slow"]),
    )
    arn = kit.start()
    return arn, kit.wait_running(arn, "Slow")


def runs(home: Path, job: str) -> bool:
    """Whether a process of a job runs: each has a mount namespace of its own in which its directory is /opt/ml."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"{home / 'jobs' / 'processing' / job}/" in (entry / "mountinfo").read_text():
                    return True
            except OSError:
                continue
    return False


def ends(home: Path, job: str) -> bool:
    """Whether all processes of a job end within some seconds."""
    return soon(lambda: not runs(home, job))


def interrupted(cloud: Any) -> Generator[None, None, tuple[str, str, dict[str, Any], str]]:
    """A pipeline whose second step waits: the kit's prefix, the execution, its first step, and the second one's job."""
    kit = Kit(cloud)
    arn, job = waiting_pipeline(kit)
    before = kit.steps(arn)["Before"]
    assert runs(cloud.home, job)
    yield
    yield
    assert ends(cloud.home, job), "a job outlives the cloud that ran it"
    return kit.prefix, arn, before, job


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("kill", marks=pytest.mark.restarted(interrupted, "kill")),
        pytest.param("stop", marks=pytest.mark.restarted(interrupted, "stop")),
    ],
)
def test_an_execution_goes_on_after_a_restart(restarted: tuple[Any, Any], end: str) -> None:
    cloud, (prefix, arn, before, old) = restarted
    again = Kit(cloud)
    again.prefix = prefix
    assert soon(lambda: again.steps(arn)["Slow"]["AttemptCount"] >= 2)
    job = again.sm.describe_processing_job(ProcessingJobName=old)
    assert (job["ProcessingJobStatus"], job["FailureReason"]) == ("Failed", STOPPED)
    new = again.wait_running(arn, "Slow")
    assert (runs(cloud.home, old), runs(cloud.home, new)) == (False, True)
    again.sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert again.wait(arn)["PipelineExecutionStatus"] == "Stopped"
    again.put("flag/go", "")
    again.sm.retry_pipeline_execution(PipelineExecutionArn=arn)
    assert again.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert again.steps(arn)["Before"] == before


def goes_through(cloud: Any) -> Generator[None, None, str]:
    """A pipeline whose second step waits, and goes through in its next try; the execution."""
    kit = Kit(cloud)
    arn, _ = waiting_pipeline(kit)
    yield
    kit.put("flag/go", "")
    return arn


@pytest.mark.restarted(goes_through, "kill")
def test_what_is_resumed_runs_to_its_end(restarted: tuple[Any, str]) -> None:
    again, arn = Kit(restarted[0]), restarted[1]
    assert again.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    assert list(again.steps(arn)) == ["Before", "Slow", "After"]


def stopping(cloud: Any) -> Generator[None, None, tuple[str, bool]]:
    """An execution that is stopping, and whether its job ended with the cloud."""
    kit = Kit(cloud)
    ignore = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('pid', flush=True)\ntime.sleep(600)"
    )
    kit.pipeline(kit.processing("Stubborn", ignore))
    arn = kit.start()
    job = kit.wait_running(arn, "Stubborn")
    yield
    kit.sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert kit.sm.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"] == "Stopping"
    yield
    return arn, ends(cloud.home, job)


@pytest.mark.restarted(stopping, "kill")
def test_an_execution_that_was_stopping_is_stopped_after_a_restart(restarted: tuple[Any, tuple[str, bool]]) -> None:
    again, (arn, ended) = Kit(restarted[0]), restarted[1]
    assert again.wait(arn)["PipelineExecutionStatus"] == "Stopped"
    assert again.steps(arn)["Stubborn"]["StepStatus"] == "Stopped"
    assert ended


def running_job(cloud: Any) -> Generator[None, None, tuple[str, bool]]:
    """A job of its own that was running, and whether it ended with the cloud."""
    kit = Kit(cloud)
    job = kit.processing_job("print('pid', flush=True)\nimport time; time.sleep(600)")
    kit.wait_log(job, "pid")
    assert runs(cloud.home, job)
    yield
    yield
    return job, ends(cloud.home, job)


@pytest.mark.restarted(running_job, "kill")
def test_a_job_of_its_own_that_was_running_is_marked_with_the_reason(restarted: tuple[Any, tuple[str, bool]]) -> None:
    again, (job, ended) = Kit(restarted[0]), restarted[1]
    assert again.wait_job(job)["FailureReason"] == STOPPED
    assert ended


def cached(cloud: Any) -> tuple[str, str]:
    """A pipeline whose step is kept in the cache: the kit's prefix, and the execution."""
    kit = Kit(cloud)
    kit.pipeline(kit.processing("A", "pass", CacheConfig={"Enabled": True}))
    arn = kit.start()
    kit.wait(arn)
    return kit.prefix, arn


@pytest.mark.restarted(cached, "kill")
def test_the_cache_survives_a_kill(restarted: tuple[Any, tuple[str, str]]) -> None:
    again, (prefix, arn) = Kit(restarted[0]), restarted[1]
    again.prefix = prefix
    second = again.start()
    again.wait(second)
    assert again.steps(second)["A"]["CacheHitResult"] == {"SourcePipelineExecutionArn": arn}


def training(cloud: Any) -> Generator[None, None, tuple[str, str]]:
    """Two training jobs that wait; the first one has a retry strategy."""
    kit = Kit(cloud)
    waits = WAITS.replace("/opt/ml/processing/flag/go", "/opt/ml/input/data/train/go")
    kit.put("data/train/wait.py", waits)
    entry = ["python3", "/opt/ml/input/data/train/wait.py"]
    bare = {"TrainingImage": "image", "TrainingInputMode": "File", "ContainerEntrypoint": entry}
    job = kit.training_job("", AlgorithmSpecification=bare, RetryStrategy={"MaximumRetryAttempts": 1})
    once = kit.training_job("", AlgorithmSpecification=bare)
    for name in (job, once):
        kit.wait_log(name, "pid", "Training")
    yield
    kit.put("data/train/go", "")
    return job, once


@pytest.mark.restarted(training, "kill")
def test_an_interrupted_job_with_a_retry_strategy_runs_again(restarted: tuple[Any, tuple[str, str]]) -> None:
    kit, (job, once) = Kit(restarted[0]), restarted[1]
    assert kit.wait_job(job, "training")["TrainingJobStatus"] == "Completed"
    statuses = [change["Status"] for change in kit.wait_job(job, "training")["SecondaryStatusTransitions"]]
    assert "Restarting" in statuses
    assert kit.wait_job(once, "training")["FailureReason"] == STOPPED
