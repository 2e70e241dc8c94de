"""The parts of a run that are specific to training jobs: channels, hyperparameters, checkpoints, metrics, model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.jobs.archive import collect, write_tar_gz
from localcloud.jobs.layout import Host, input_data_config, resource_config, write_json
from localcloud.jobs.metrics import MetricReader
from localcloud.jobs.requests import TENSORBOARD, instances
from localcloud.jobs.run import JobRun
from localcloud.jobs.transfer import Location, Mirror
from localcloud.sandbox.sandbox import OPT_ML

logger = logging.getLogger("localcloud")
Document = dict[str, Any]
METRICS_NAMESPACE = "/aws/sagemaker/TrainingJobs"
_MOST_METRICS_AT_ONCE = 500


class Training:
    """Implements `localcloud.jobs.run.Kind`, which documents the methods, for training jobs."""

    label = "Training"
    store_kind = "training-job"
    message_file = "output/failure"
    led = False

    def hosts(self, job: Document) -> int:
        return instances(job["ResourceConfig"])[1]

    def max_runtime(self, job: Document) -> float | None:
        limit = job.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
        return None if limit is None else float(limit)

    def prepare(self, run: JobRun, job: Document, hosts: list[Host], names: list[str]) -> list[Mirror]:
        """Write each host's configuration and download its channels; returns the mirrors to S3 of what it writes."""
        run.notes["metrics"] = MetricReader(job["AlgorithmSpecification"].get("MetricDefinitions", []), run.cloud.clock)
        channels = job.get("InputDataConfig", [])
        mirrors = []
        for host in hosts:
            config = host.ml / "input" / "config"
            write_json(config / "hyperparameters.json", run.sandbox.told(job.get("HyperParameters", {}), host))
            write_json(config / "inputdataconfig.json", input_data_config(channels))
            instance, _ = instances(job["ResourceConfig"])
            write_json(config / "resourceconfig.json", resource_config(hosts, host, instance, names))
            for channel in channels:
                source = channel["DataSource"]["S3DataSource"]
                sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
                run.transfer.download(
                    source["S3Uri"],
                    host.ml / "input" / "data" / channel["ChannelName"],
                    manifest=source["S3DataType"] == "ManifestFile",
                    shard=(host.index, len(hosts)) if sharded else (0, 1),
                )
            mirrors += [*_checkpoints(run, job, host), *_tensorboard(run, job, host)]
        return mirrors

    def images(self, job: Document) -> list[str | None]:
        return [job["AlgorithmSpecification"].get("TrainingImage")]

    def command(self, job: Document, host: Host) -> list[str]:
        algorithm = job["AlgorithmSpecification"]
        # `docker run IMAGE train` is how SageMaker starts a training container.
        return [*algorithm.get("ContainerEntrypoint", ["train"]), *algorithm.get("ContainerArguments", [])]

    def variables(self, run: JobRun, job: Document, host: Host, root: str) -> Mapping[str, str]:
        """The job's name and ARN, and the path by which it finds /opt/ml; the image's toolkit adds the others."""
        return {
            "TRAINING_JOB_NAME": job["TrainingJobName"],
            "TRAINING_JOB_ARN": job["TrainingJobArn"],
            "SAGEMAKER_BASE_DIR": root,
        }

    def line(self, run: JobRun, text: str) -> None:
        run.notes["metrics"].line(text)

    def deliver(self, run: JobRun, job: Document, hosts: list[Host], complete: bool) -> Document:
        """Upload the files in output/data however the job ended, and the model if it completed or was stopped."""
        output = job["OutputDataConfig"]
        base = Location.parse(output["S3OutputPath"]).join(f"{job['TrainingJobName']}/output")
        members: Document = {}
        data = collect([host.ml / "output" / "data" for host in hosts])
        if data:
            _pack(run, data, base.join("output.tar.gz"))
        model = collect([host.ml / "model" for host in hosts])
        stopped_with_model = not complete and bool(model) and run.cancelled.is_set()
        if complete or stopped_with_model:
            if output.get("CompressionType") == "NONE":
                for name, path in model.items():
                    run.transfer.put(path, base.join(f"model/{name}"))
                members["ModelArtifacts"] = {"S3ModelArtifacts": str(base.join("model/"))}
            else:
                _pack(run, model, base.join("model.tar.gz"))
                members["ModelArtifacts"] = {"S3ModelArtifacts": str(base.join("model.tar.gz"))}
        metrics = run.notes["metrics"].final()
        if metrics:
            members["FinalMetricDataList"] = metrics
            _publish(run, job["TrainingJobName"])
        return members


def _publish(run: JobRun, name: str) -> None:
    """Send the metrics of the log to CloudWatch, where the SDK's `TrainingJobAnalytics` reads them.

    The namespace and the dimension are SageMaker's:
    https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    A failure is logged: the job itself has done its work.
    """
    dimensions = [{"Name": "TrainingJobName", "Value": name}]
    cloudwatch = run.cloud.client("cloudwatch")
    try:
        data = [{**datum, "Dimensions": dimensions} for datum in run.notes["metrics"].data()]
        for start in range(0, len(data), _MOST_METRICS_AT_ONCE):
            part = data[start : start + _MOST_METRICS_AT_ONCE]
            cloudwatch.put_metric_data(Namespace=METRICS_NAMESPACE, MetricData=part)
    except (BotoCoreError, ClientError) as error:
        logger.warning("the metrics of training job %s are not in CloudWatch: %s", name, error)


def _checkpoints(run: JobRun, job: Document, host: Host) -> list[Mirror]:
    """Download existing checkpoints from S3, and return the mirror that uploads new ones while the job runs."""
    config = job.get("CheckpointConfig")
    if config is None:
        return []
    directory = host.path(config.get("LocalPath") or f"{OPT_ML}/checkpoints")
    directory.mkdir(parents=True, exist_ok=True)
    if run.transfer.keys(Location.parse(config["S3Uri"].rstrip("/") + "/")):
        run.transfer.download(config["S3Uri"].rstrip("/") + "/", directory)
    return [Mirror(run.transfer, directory, config["S3Uri"])]


def _tensorboard(run: JobRun, job: Document, host: Host) -> list[Mirror]:
    """The mirror that uploads the files for TensorBoard while the job runs.

    The SDK looks for them below S3OutputPath, in JOB_NAME/tensorboard-output.
    """
    config = job.get("TensorBoardOutputConfig")
    if config is None:
        return []
    directory = host.path(config.get("LocalPath") or TENSORBOARD)
    directory.mkdir(parents=True, exist_ok=True)
    target = Location.parse(config["S3OutputPath"]).join(f"{job['TrainingJobName']}/tensorboard-output")
    return [Mirror(run.transfer, directory, str(target))]


def _pack(run: JobRun, files: Mapping[str, Any], target: Location) -> None:
    archive = run.directory / "archive.tar.gz"
    write_tar_gz(dict(files), archive)
    run.transfer.put(archive, target)
    archive.unlink()
