"""The parts of a run that are specific to processing jobs: inputs and outputs at LocalPaths, and the entry point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.jobs.layout import Host, resource_config, write_json
from localcloud.jobs.requests import instances
from localcloud.jobs.run import JobRun
from localcloud.jobs.transfer import Mirror

Document = dict[str, Any]


class Processing:
    """Implements `localcloud.jobs.run.Kind`, which documents the methods, for processing jobs."""

    label = "Processing"
    store_kind = "processing-job"
    message_file = "output/message"
    led = False

    def hosts(self, job: Document) -> int:
        return instances(job["ProcessingResources"]["ClusterConfig"])[1]

    def max_runtime(self, job: Document) -> float | None:
        limit = job.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
        return None if limit is None else float(limit)

    def prepare(self, run: JobRun, job: Document, hosts: list[Host], names: list[str]) -> list[Mirror]:
        """Write each host's configuration and download its inputs; returns the mirrors of Continuous outputs to S3."""
        instance, _ = instances(job["ProcessingResources"]["ClusterConfig"])
        mirrors = []
        for host in hosts:
            write_json(
                host.ml / "config" / "resourceconfig.json",
                resource_config(hosts, host, instance, names),
            )
            write_json(
                host.ml / "config" / "processingjobconfig.json",
                run.sandbox.told({k: v for k, v in job.items() if not k.startswith("_")}, host),
            )
            for item in job.get("ProcessingInputs", []):
                source = item["S3Input"]
                sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
                run.transfer.download(
                    source["S3Uri"],
                    host.path(source["LocalPath"]),
                    manifest=source["S3DataType"] == "ManifestFile",
                    shard=(host.index, len(hosts)) if sharded else (0, 1),
                )
            for output in _outputs(job):
                directory = host.path(output["LocalPath"])
                directory.mkdir(parents=True, exist_ok=True)
                if output["S3UploadMode"] == "Continuous":
                    mirrors.append(Mirror(run.transfer, directory, output["S3Uri"]))
        return mirrors

    def images(self, job: Document) -> list[str | None]:
        return [job["AppSpecification"].get("ImageUri")]

    def command(self, job: Document, host: Host) -> list[str]:
        return [*job["_entrypoint"], *job["AppSpecification"].get("ContainerArguments", [])]

    def variables(self, run: JobRun, job: Document, host: Host, root: str) -> Mapping[str, str]:
        return {"PROCESSING_JOB_NAME": job["ProcessingJobName"], "PROCESSING_JOB_ARN": job["ProcessingJobArn"]}

    def line(self, run: JobRun, text: str) -> None:
        """Ignore a line of the log: processing jobs have no metrics."""

    def deliver(self, run: JobRun, job: Document, hosts: list[Host], complete: bool) -> Document:
        """Upload the outputs with mode EndOfJob of a completed job."""
        if complete:
            for output in _outputs(job):
                if output["S3UploadMode"] == "EndOfJob":
                    for host in hosts:
                        run.transfer.upload(host.path(output["LocalPath"]), output["S3Uri"])
        return {}


def _outputs(job: Document) -> list[Document]:
    outputs = job.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return [output["S3Output"] for output in outputs]
