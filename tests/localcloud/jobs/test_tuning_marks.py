"""What a restart makes of tuning jobs that were running when the local cloud was killed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from localcloud.jobs.tuning import mark_interrupted
from localcloud.jobs.tuning_requests import KIND
from localcloud.state.store import Store

ARN = "arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/t"
GOAL = {"Type": "Minimize", "MetricName": "loss"}


def training(name: str, status: str, loss: float | None) -> dict[str, Any]:
    """The document of a training job of the tuning job, with this loss."""
    metrics = [{"MetricName": "loss", "Value": loss}] if loss is not None else []
    return {
        "TrainingJobName": name,
        "TrainingJobArn": f"arn:{name}",
        "TrainingJobStatus": status,
        "CreationTime": 1.0,
        "TuningJobArn": ARN,
        "FinalMetricDataList": metrics,
        "_tuned": {"parameters": {"x": "1"}, "definition": None},
    }


def test_a_running_tuning_job_is_failed_and_its_training_jobs_are_counted(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    cloud: Any = SimpleNamespace(store=store, clock=lambda: 9.0, arn=lambda *_: ARN)
    store.put(
        KIND,
        "t",
        {
            "HyperParameterTuningJobName": "t",
            "HyperParameterTuningJobStatus": "InProgress",
            "HyperParameterTuningJobConfig": {"HyperParameterTuningJobObjective": GOAL},
            "TrainingJobDefinition": {},
        },
    )
    for number, (status, loss) in enumerate([("Completed", 0.5), ("Failed", None)]):
        store.put("training-job", f"t-{number}", training(f"t-{number}", status, loss))

    mark_interrupted(cloud)

    job = store.get(KIND, "t") or {}
    store.close()
    assert (job["HyperParameterTuningJobStatus"], job["_interrupted"]) == ("Failed", True)
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 1, "Pending": 0, "Failed": 1}
