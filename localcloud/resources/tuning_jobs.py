"""Tuning jobs: create, describe, list, stop, delete, and their training jobs. `localcloud.jobs.tuning` runs them."""

from typing import Any

from localcloud.api import operation, page, pick
from localcloud.cloud import Cloud
from localcloud.jobs.tuning import summaries
from localcloud.jobs.tuning_requests import KIND, LABEL, tuning_job
from localcloud.resources.job_resource import JobResource

JOBS = JobResource(LABEL, KIND, 'Could not find tuning job "{arn}".')


@operation("CreateHyperParameterTuningJob")
def create_tuning_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create a tuning job, which starts training jobs with the hyperparameters that its strategy proposes."""
    return JOBS.submit(cloud, tuning_job(cloud, request))


@operation("DescribeHyperParameterTuningJob")
def describe_tuning_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a tuning job, with the best training job so far."""
    return JOBS.find(cloud, request)


@operation("ListHyperParameterTuningJobs")
def list_tuning_jobs(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List tuning jobs, by name by default."""
    return page(
        request,
        cloud.store.select(KIND),
        member="HyperParameterTuningJobSummaries",
        summary=lambda job: {
            "Strategy": job["HyperParameterTuningJobConfig"]["Strategy"],
            "ResourceLimits": job["HyperParameterTuningJobConfig"]["ResourceLimits"],
            **pick(
                job,
                "HyperParameterTuningJobName",
                "HyperParameterTuningJobArn",
                "HyperParameterTuningJobStatus",
                "CreationTime",
                "HyperParameterTuningEndTime",
                "LastModifiedTime",
                "TrainingJobStatusCounters",
                "ObjectiveStatusCounters",
            ),
        },
        name="HyperParameterTuningJobName",
        identity="HyperParameterTuningJobName",
        status="HyperParameterTuningJobStatus",
        default_sort="Name",
        default_order="Ascending",
    )


@operation("ListTrainingJobsForHyperParameterTuningJob")
def list_training_jobs_of_tuning_job(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List the training jobs of a tuning job by name, or as SortBy asks."""
    shown = summaries(cloud, JOBS.find(cloud, request)["HyperParameterTuningJobName"])
    by = request.get("SortBy")
    if by == "FinalObjectiveMetricValue":
        # Those without a figure are at the end, whatever the order.
        figures = [one for one in shown if "FinalHyperParameterTuningJobObjectiveMetric" in one]
        rest = [one for one in shown if "FinalHyperParameterTuningJobObjectiveMetric" not in one]
        ascending = sorted(figures, key=lambda one: one["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
        ordered = (ascending[::-1] if request.get("SortOrder") == "Descending" else ascending) + rest
        shown = [{**one, "_place": f"{number:06d}"} for number, one in enumerate(ordered)]
        request = {**request, "SortBy": "Name", "SortOrder": "Ascending"}
    else:
        shown = [{**one, "_place": one["TrainingJobName"]} for one in shown]
    return page(
        request,
        shown,
        member="TrainingJobSummaries",
        summary=lambda one: {name: value for name, value in one.items() if name != "_place"},
        name="_place",
        identity="_place",
        status="TrainingJobStatus",
        default_sort="Name",
        default_order="Ascending",
    )


@operation("StopHyperParameterTuningJob")
def stop_tuning_job(cloud: Cloud, request: dict[str, Any]) -> None:
    """Stop a tuning job with its training jobs; nothing happens to one that has ended."""
    JOBS.stop(cloud, request)


@operation("DeleteHyperParameterTuningJob")
def delete_tuning_job(cloud: Cloud, request: dict[str, Any]) -> None:
    """Delete a tuning job that has ended; its training jobs and their models stay."""
    JOBS.delete(cloud, request)
