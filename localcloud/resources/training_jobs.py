"""Training jobs: create, describe, list, stop, delete. `localcloud.jobs` runs them."""

from typing import Any

from localcloud.api import operation
from localcloud.cloud import Cloud
from localcloud.jobs.requests import training_job
from localcloud.resources.job_resource import JobResource

JOBS = JobResource("Training", "training-job", "Requested resource not found.")


@operation("CreateTrainingJob")
def create_training_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create a training job, which runs when there is room. Rules of debugger and profiler are kept, not evaluated."""
    return JOBS.submit(cloud, training_job(cloud, request))


@operation("DescribeTrainingJob")
def describe_training_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a training job."""
    return JOBS.find(cloud, request)


@operation("ListTrainingJobs")
def list_training_jobs(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List training jobs, oldest first by default."""
    return JOBS.listed(cloud, request, "SecondaryStatus", default_order="Ascending")


@operation("StopTrainingJob")
def stop_training_job(cloud: Cloud, request: dict[str, Any]) -> None:
    """Stop a training job; nothing happens to one that has ended."""
    JOBS.stop(cloud, request)


@operation("DeleteTrainingJob")
def delete_training_job(cloud: Cloud, request: dict[str, Any]) -> None:
    """Delete a training job that has ended; its model and its log stay. Its name is free again."""
    JOBS.delete(cloud, request)
