"""Training jobs: create, describe, list, update, stop, delete. `localcloud.jobs` runs them."""

from typing import Any

from localcloud.api import operation, pick, refuse, validation_error
from localcloud.cloud import Cloud
from localcloud.jobs.requests import profiling, training_job
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
    """List training jobs, oldest first by default. None has a warm pool."""
    plan = request.get("TrainingPlanArnEquals")

    def where(job: dict[str, Any]) -> bool:
        return "WarmPoolStatusEquals" not in request and plan in (None, job["ResourceConfig"].get("TrainingPlanArn"))

    return JOBS.listed(cloud, request, "SecondaryStatus", default_order="Ascending", where=where)


@operation("UpdateTrainingJob")
def update_training_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Change the profiler of a running training job, which is kept without effect. There is no warm pool to change."""
    refuse(request, "RemoteDebugConfig")
    if "ResourceConfig" in request:
        raise validation_error("The training job has no warm pool whose ResourceConfig could be updated.")

    def change(job: dict[str, Any]) -> None:
        if job["TrainingJobStatus"] != "InProgress":
            raise validation_error(f"The training job is {job['TrainingJobStatus']}: only a running one is updated.")
        profiler = {**job.get("ProfilerConfig", {}), **request.get("ProfilerConfig", {})}
        changed = {**pick(job, "DebugRuleConfigurations"), **pick(request, "ProfilerRuleConfigurations")}
        job.update(profiling({**changed, **({"ProfilerConfig": profiler} if profiler else {})}))

    with cloud.store.transaction():
        job = JOBS.find(cloud, request)
        cloud.store.update(JOBS.kind, job["TrainingJobName"], change)
    return pick(job, "TrainingJobArn")


@operation("StopTrainingJob")
def stop_training_job(cloud: Cloud, request: dict[str, Any]) -> None:
    """Stop a training job; nothing happens to one that has ended."""
    JOBS.stop(cloud, request)


@operation("DeleteTrainingJob")
def delete_training_job(cloud: Cloud, request: dict[str, Any]) -> None:
    """Delete a training job that has ended; its model and its log stay. Its name is free again."""
    JOBS.delete(cloud, request)
