"""Makes weights to start from, of photos of other things: brings the pipeline up to date, runs it, fetches the file."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadingbay.data import provide
from loadingbay.errors import WorkError
from loadingbay.screen.progress import Screen
from loadingbay.stack import up
from loadingbay.story import training
from loadingbay.target import Target
from pipelines import aws, executions, pretraining
from pipelines.sources import Sources, image_address, image_tag, upload_missing

FILE = "pretrained.params"
MAX_BYTES = 64 << 20  # unpacked; the file that ships has less than one million
DESCRIPTION = "Loading Bay: makes weights to start from, of photos of the classes that are not asked for."


@dataclass(frozen=True)
class Made:
    """The weights: the file that they were written to, and whether the pipeline had made them before."""

    file: Path
    cached: bool
    execution: str

    def document(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return {"file": str(self.file), "cached": self.cached, "execution": self.execution}


def pretrain(
    target: Target,
    screen: Screen,
    *,
    environment: Mapping[str, str],
    data: Path | None,
    values: Mapping[str, str],
    output: Path,
) -> Made:
    """Run the pre-training pipeline on the data that `data` names, and write its weights to `output`.

    `values` are pipeline parameters as text. WorkError with the reason of the part that failed.
    """
    up.start_cloud(target, screen)
    stack = up.deploy_stack(target, screen)
    training.require_image(target, stack)
    found = provide.find(screen, data, environment)
    address = provide.upload(target, stack["BucketName"], found)
    sagemaker, name = target.client("sagemaker"), f"{target.stage}{pretraining.SUFFIX}"
    with screen.part("Pipeline") as part:
        sources = Sources.read()
        upload_missing(target.client("s3"), stack["BucketName"], sources.all(), owner=target.account)
        image = image_address(target.client("ecr"), stack["ImageRepositoryUri"], image_tag())
        settings = sources.settings(stack, region=target.resolved_region, image=image)
        executions.upsert(sagemaker, pretraining.build(settings), settings.role, name, DESCRIPTION)
        chosen = {"InputData": address, **values}
        arn = sagemaker.start_pipeline_execution(
            PipelineName=name,
            PipelineParameters=[{"Name": key, "Value": value} for key, value in chosen.items()],
        )["PipelineExecutionArn"]
        execution = training.follow(target, screen, part, arn)
    training.require_success(execution, found)
    step = execution.step(pretraining.TRAIN)
    if step is None or not step.job:
        raise WorkError(f"the pipeline {name} succeeded, but its step {pretraining.TRAIN} has no job")
    job = sagemaker.describe_training_job(TrainingJobName=step.job.rsplit("/", 1)[-1])
    bucket, key = aws.split_s3(job["ModelArtifacts"]["S3ModelArtifacts"])
    content = weights(target.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    _write(output, content)
    return Made(output, step.cached, execution.id)


def weights(artifact: bytes) -> bytes:
    """The file of weights in a model.tar.gz. WorkError when it is not there, or not a file of a plausible size."""
    try:
        with tarfile.open(fileobj=io.BytesIO(artifact), mode="r:gz") as tar:
            for member in tar:
                if member.name.removeprefix("./") == FILE and member.isreg() and member.size <= MAX_BYTES:
                    content = tar.extractfile(member)
                    return content.read() if content else b""
    except (tarfile.TarError, EOFError, OSError) as error:
        raise WorkError(f"the artifact of the step {pretraining.TRAIN} is damaged: {error}") from error
    raise WorkError(f"the artifact of the step {pretraining.TRAIN} holds no file {FILE} of at most {MAX_BYTES} bytes")


def _write(output: Path, content: bytes) -> None:
    """All or nothing: training must not start from half a file."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=output.parent, suffix=".part", delete=False) as part:
        part.write(content)
    Path(part.name).chmod(0o644)
    Path(part.name).replace(output)
