"""Transform jobs: create, describe, list, stop. `localcloud.jobs` runs them."""

from typing import Any

from localcloud.api import operation, page, pick, validation_error
from localcloud.cloud import Cloud
from localcloud.jobs.events import announce
from localcloud.jobs.requests import insert, transform_job

KIND = "transform-job"


@operation("CreateTransformJob")
def create_transform_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create a transform job, which runs when there is room: every file of the input goes through the model."""
    job = transform_job(cloud, request)
    insert(cloud, KIND, "Transform", job)
    announce(cloud, "Transform", job)
    cloud.jobs.submit(KIND, job["TransformJobName"])
    return {"TransformJobArn": job["TransformJobArn"]}


@operation("DescribeTransformJob")
def describe_transform_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a transform job."""
    job = _job(cloud, request["TransformJobName"])
    return {name: value for name, value in job.items() if name != "LastModifiedTime"}


@operation("ListTransformJobs")
def list_transform_jobs(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List transform jobs, newest first by default."""
    return page(
        request,
        cloud.store.select(KIND),
        member="TransformJobSummaries",
        summary=lambda job: pick(
            job,
            "TransformJobName",
            "TransformJobArn",
            "CreationTime",
            "TransformEndTime",
            "LastModifiedTime",
            "TransformJobStatus",
            "FailureReason",
        ),
        name="TransformJobName",
        identity="TransformJobName",
        status="TransformJobStatus",
    )


@operation("StopTransformJob")
def stop_transform_job(cloud: Cloud, request: dict[str, Any]) -> None:
    """Stop a transform job; nothing happens to one that has ended."""
    job = _job(cloud, request["TransformJobName"])
    cloud.jobs.stop(KIND, job["TransformJobName"])


def _job(cloud: Cloud, name: str) -> dict[str, Any]:
    job = cloud.store.get(KIND, name)
    if job is None:
        raise validation_error(f'Could not find transform job "{cloud.arn(KIND, name)}".')
    return job
