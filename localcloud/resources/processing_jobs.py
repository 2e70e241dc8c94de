"""Processing jobs: create, describe, list, stop. `localcloud.jobs` runs them."""

from typing import Any

from localcloud.api import operation, page, pick, validation_error
from localcloud.cloud import Cloud
from localcloud.jobs.events import announce
from localcloud.jobs.requests import insert, processing_job

KIND = "processing-job"


@operation("CreateProcessingJob")
def create_processing_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create a processing job, which runs when there is room."""
    job = processing_job(cloud, request)
    insert(cloud, KIND, "Processing", job)
    announce(cloud, "Processing", job)
    cloud.jobs.submit(KIND, job["ProcessingJobName"])
    return {"ProcessingJobArn": job["ProcessingJobArn"]}


@operation("DescribeProcessingJob")
def describe_processing_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a processing job."""
    return _job(cloud, request["ProcessingJobName"])


@operation("ListProcessingJobs")
def list_processing_jobs(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List processing jobs, oldest first by default."""
    return page(
        request,
        cloud.store.select(KIND),
        member="ProcessingJobSummaries",
        summary=lambda job: pick(
            job,
            "ProcessingJobName",
            "ProcessingJobArn",
            "CreationTime",
            "ProcessingEndTime",
            "LastModifiedTime",
            "ProcessingJobStatus",
            "FailureReason",
            "ExitMessage",
        ),
        name="ProcessingJobName",
        identity="ProcessingJobName",
        status="ProcessingJobStatus",
        default_order="Ascending",
    )


@operation("StopProcessingJob")
def stop_processing_job(cloud: Cloud, request: dict[str, Any]) -> None:
    """Stop a processing job; nothing happens to one that has ended."""
    job = _job(cloud, request["ProcessingJobName"])
    cloud.jobs.stop(KIND, job["ProcessingJobName"])


def _job(cloud: Cloud, name: str) -> dict[str, Any]:
    job = cloud.store.get(KIND, name)
    if job is None:
        raise validation_error(f"Could not find requested job with name: {name}")
    return job
