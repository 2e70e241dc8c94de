"""What processing, training, transform and tuning jobs have in common: create, find, list, stop, delete."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.api import ApiError, page, pick, tags, validation_error
from localcloud.cloud import Cloud
from localcloud.jobs.events import announce
from localcloud.jobs.requests import insert

Document = dict[str, Any]


@dataclass(frozen=True)
class JobResource:
    """A kind of job.

    `label` begins the names of its members (`TrainingJobName`), `kind` is its place in ARNs and in the store, and
    `missing` is AWS's message where there is no such job, with `{name}` or `{arn}` in it.
    """

    label: str
    kind: str
    missing: str

    def submit(self, cloud: Cloud, job: Document) -> Document:
        """Store a new job, publish its state, and queue it; the answer of Create. ApiError if its name is taken."""
        insert(cloud, self.kind, self.label, job)
        announce(cloud, self.label, job)
        cloud.jobs.submit(self.kind, job[f"{self.label}JobName"])
        return pick(job, f"{self.label}JobArn")

    def find(self, cloud: Cloud, request: Document) -> Document:
        """The job that a request names; ValidationException in AWS's words if it is not there."""
        name = request[f"{self.label}JobName"]
        job = cloud.store.get(self.kind, name)
        if job is None:
            raise validation_error(self.missing.format(name=name, arn=cloud.arn(self.kind, name)))
        return job

    def stop(self, cloud: Cloud, request: Document) -> None:
        """Stop the job that a request names; nothing happens to one that has ended."""
        cloud.jobs.stop(self.kind, self.find(cloud, request)[f"{self.label}JobName"])

    def delete(self, cloud: Cloud, request: Document) -> None:
        """Delete the job that a request names; what it wrote stays. ResourceInUse while it runs."""
        with cloud.store.transaction():
            job = self.find(cloud, request)
            arn, status = job[f"{self.label}JobArn"], job[f"{self.label}JobStatus"]
            if status in ("InProgress", "Stopping"):
                raise ApiError("ResourceInUse", f"The job {arn} is {status}. Delete it when it has ended.")
            cloud.store.delete(self.kind, job[f"{self.label}JobName"])
            tags.forget(cloud.store, arn)

    def listed(
        self,
        cloud: Cloud,
        request: Document,
        *members: str,
        default_order: str = "Descending",
        where: Callable[[Document], bool] = lambda job: True,
    ) -> Document:
        """A page of a List operation, filtered after it is cut.

        `members` are those of a summary beside name, ARN, times and status; `where` is a filter of this list only.
        """
        label = self.label
        summary = (f"{label}JobName", f"{label}JobArn", "CreationTime", f"{label}EndTime", "LastModifiedTime")
        return page(
            request,
            cloud.store.select(self.kind),
            member=f"{label}JobSummaries",
            summary=lambda job: pick(job, *summary, f"{label}JobStatus", *members),
            name=f"{label}JobName",
            identity=f"{label}JobName",
            status=f"{label}JobStatus",
            default_order=default_order,
            where=where,
            cut_first=True,
        )
