"""Transform jobs: create, describe, list, stop. `localcloud.jobs` runs them."""

from typing import Any

from localcloud.api import operation
from localcloud.cloud import Cloud
from localcloud.jobs.requests import transform_job
from localcloud.resources.job_resource import JobResource

JOBS = JobResource("Transform", "transform-job", "Could not find transform job '{arn}'.")


@operation("CreateTransformJob")
def create_transform_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create a transform job, which runs when there is room: every file of the input goes through the model."""
    return JOBS.submit(cloud, transform_job(cloud, request))


@operation("DescribeTransformJob")
def describe_transform_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a transform job."""
    return {name: value for name, value in JOBS.find(cloud, request).items() if name != "LastModifiedTime"}


@operation("ListTransformJobs")
def list_transform_jobs(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List transform jobs, newest first by default."""
    return JOBS.listed(cloud, request, "FailureReason")


@operation("StopTransformJob")
def stop_transform_job(cloud: Cloud, request: dict[str, Any]) -> None:
    """Stop a transform job; nothing happens to one that has ended."""
    JOBS.stop(cloud, request)
