"""Processing jobs: create, describe, list, stop, delete. `localcloud.jobs` runs them."""

from typing import Any

from localcloud.api import operation
from localcloud.cloud import Cloud
from localcloud.jobs.requests import processing_job
from localcloud.resources.job_resource import JobResource

JOBS = JobResource("Processing", "processing-job", "Could not find requested job with name: {name}")


@operation("CreateProcessingJob")
def create_processing_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create a processing job, which runs when there is room."""
    return JOBS.submit(cloud, processing_job(cloud, request))


@operation("DescribeProcessingJob")
def describe_processing_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a processing job."""
    return JOBS.find(cloud, request)


@operation("ListProcessingJobs")
def list_processing_jobs(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List processing jobs, oldest first by default."""
    return JOBS.listed(cloud, request, "FailureReason", "ExitMessage", default_order="Ascending")


@operation("StopProcessingJob")
def stop_processing_job(cloud: Cloud, request: dict[str, Any]) -> None:
    """Stop a processing job; nothing happens to one that has ended."""
    JOBS.stop(cloud, request)


@operation("DeleteProcessingJob")
def delete_processing_job(cloud: Cloud, request: dict[str, Any]) -> None:
    """Delete a processing job that has ended; its outputs and its log stay. Its name is free again."""
    JOBS.delete(cloud, request)
