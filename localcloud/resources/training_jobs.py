"""Training jobs: create, describe, list, stop. `localcloud.jobs` runs them."""

from typing import Any

from localcloud.api import operation, page, pick, validation_error
from localcloud.cloud import Cloud
from localcloud.jobs.events import announce
from localcloud.jobs.requests import insert, training_job

KIND = "training-job"


@operation("CreateTrainingJob")
def create_training_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create a training job, which runs when there is room. The debugger and the profiler have no effect."""
    job = training_job(cloud, request)
    insert(cloud, KIND, "Training", job)
    announce(cloud, "Training", job)
    cloud.jobs.submit(KIND, job["TrainingJobName"])
    return {"TrainingJobArn": job["TrainingJobArn"]}


@operation("DescribeTrainingJob")
def describe_training_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a training job."""
    return _job(cloud, request["TrainingJobName"])


@operation("ListTrainingJobs")
def list_training_jobs(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List training jobs, oldest first by default. MaxResults cuts the page before StatusEquals, as on AWS."""
    status = request.get("StatusEquals") if "MaxResults" in request else None
    answer = page(
        request if status is None else {**request, "StatusEquals": None},
        cloud.store.select(KIND),
        member="TrainingJobSummaries",
        summary=lambda job: pick(
            job,
            "TrainingJobName",
            "TrainingJobArn",
            "CreationTime",
            "TrainingEndTime",
            "LastModifiedTime",
            "TrainingJobStatus",
            "SecondaryStatus",
        ),
        name="TrainingJobName",
        identity="TrainingJobName",
        status="TrainingJobStatus",
        default_order="Ascending",
    )
    if status is not None:
        summaries = answer["TrainingJobSummaries"]
        answer["TrainingJobSummaries"] = [job for job in summaries if job["TrainingJobStatus"] == status]
    return answer


@operation("StopTrainingJob")
def stop_training_job(cloud: Cloud, request: dict[str, Any]) -> None:
    """Stop a training job; nothing happens to one that has ended."""
    job = _job(cloud, request["TrainingJobName"])
    cloud.jobs.stop(KIND, job["TrainingJobName"])


def _job(cloud: Cloud, name: str) -> dict[str, Any]:
    job = cloud.store.get(KIND, name)
    if job is None:
        raise validation_error("Requested resource not found.")
    return job
