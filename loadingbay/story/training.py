"""Trains a version: brings the pipeline up to date, starts an execution, follows it, and reads what it made.

Each function hands on what it made; `loadingbay.story.run`, `tune` and `push` put them together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadingbay.data.acquire import Data
from loadingbay.errors import WorkError
from loadingbay.registry import versions as registry
from loadingbay.registry.versions import Version
from loadingbay.screen.progress import Part, Screen, shown
from loadingbay.stack.locks import alone
from loadingbay.story.summary import Figures
from loadingbay.target import Target
from pipelines import aws, derived, executions
from pipelines.builds import Builder, BuildError
from pipelines.derived import Derived
from pipelines.executions import Execution
from pipelines.parameters import Value
from pipelines.sources import Sources, git_commit, image_address, image_tag, upload_missing


@dataclass(frozen=True)
class Upserted:
    """The pipeline as it now is: its definition as JSON text, and whether it was created, updated or unchanged."""

    definition: str
    result: str


@dataclass(frozen=True)
class Registered:
    """The version that an execution led to. `new` is False when the same inputs had given it before."""

    version: Version
    new: bool


def require_image(target: Target, stack: Mapping[str, str]) -> None:
    """Raises WorkError when the image for jobs is not in the registry: the first job would fail after minutes.

    On this machine jobs need no image: they run in the environment that it would be built from.
    """
    if target.local:
        return
    address = image_address(target.client("ecr"), stack["ImageRepositoryUri"], image_tag())
    if "@" not in address:
        raise WorkError(
            f"the image {address} is not in the registry: `bash workflow/image.sh {stack['ImageRepositoryUri']}` "
            "builds it with Docker and pushes it; then repeat the command"
        )


def definition(target: Target, stack: Mapping[str, str], builder: Builder) -> str:
    """The pipeline's definition, as JSON text, for this target and its stack. WorkError when the SDK refuses it."""
    image = image_address(target.client("ecr"), stack["ImageRepositoryUri"], image_tag())
    settings = Sources.read().settings(stack, region=target.resolved_region, image=image)
    try:
        return builder.definition(settings)
    except BuildError as error:
        raise WorkError(str(error)) from error


def upsert(target: Target, stack: Mapping[str, str], builder: Builder) -> Upserted:
    """Uploads the code that is not there yet, and creates or updates the pipeline and that of monitoring."""
    upload_missing(target.client("s3"), stack["BucketName"], Sources.read().all(), owner=target.account)
    upsert_monitoring(target, stack)
    text = definition(target, stack, builder)
    return Upserted(text, executions.upsert(target.client("sagemaker"), text, stack["PipelineRoleArn"], target.stage))


def upsert_monitoring(target: Target, stack: Mapping[str, str]) -> None:
    """Creates or updates the monitoring pipeline, whose code is uploaded already."""
    image = image_address(target.client("ecr"), stack["ImageRepositoryUri"], image_tag())
    executions.upsert_monitoring(target.client("sagemaker"), Sources.read().monitoring_settings(stack, image=image))


def parameters(
    target: Target, stack: Mapping[str, str], text: str, data: Data, address: str, values: Mapping[str, Value]
) -> Derived:
    """All parameters of an execution of the definition `text` on data that lie at `address`."""
    chosen = {"InputData": address, "DataLabel": data.label, "GitCommit": git_commit(), **values}
    return derived.complete(
        target.client("sagemaker"), target.client("s3"), stack["BucketName"], text, chosen, target.stage
    )


def follow(target: Target, screen: Screen, part: Part, arn: str) -> Execution:
    """Follows an execution on the screen to its end; the ended execution, whatever its status.

    Ctrl-C stops the execution, says which steps are kept, and is raised again.
    """
    sagemaker = target.client("sagemaker")
    screen.note(part, f"execution {arn.rsplit('/', 1)[-1]}")
    ended: Execution | None = None
    try:
        for seen in executions.follow(sagemaker, target.client("logs"), arn, interval=target.interval):
            screen.update(seen)
            if isinstance(seen, Execution):
                if seen.failure and seen.status not in executions.ENDED and seen.failure != part.note:
                    screen.note(part, seen.failure)  # why it waits
                ended = seen
    except KeyboardInterrupt:
        screen.note(part, "stopping")
        status = executions.stop(sagemaker, arn)
        stopped = executions.describe(sagemaker, arn)
        screen.update(stopped)
        finished = [step.name for step in stopped.steps if step.status == "Succeeded"]
        kept = f"finished and kept for the next run: {', '.join(finished)}" if finished else "nothing was finished"
        part.note = f"{status.lower()} on your request; {kept}"
        raise
    return ended or executions.describe(sagemaker, arn)


def evaluation(target: Target, execution: Execution) -> dict[str, Any]:
    """The execution's evaluation.json, also when it missed the gate; {} when there was no evaluation."""
    step = execution.step("Evaluate")
    if step is None or step.status != "Succeeded":
        return {}
    bucket, key = aws.split_s3(executions.output_uri(target.client("sagemaker"), step, "evaluation"))
    document = json.load(target.client("s3").get_object(Bucket=bucket, Key=f"{key}/evaluation.json")["Body"])
    return dict(document)


def figures(target: Target, execution: Execution) -> Figures | None:
    """The figures of evaluation.json, also when they missed the gate; None when there was no evaluation."""
    document = evaluation(target, execution)
    if not document:
        return None
    gate, metadata = document["gate"], document["metadata"]
    return Figures(
        accuracy=gate["accuracy"],
        threshold=float(metadata["threshold"]),
        coverage=gate.get("coverage"),
        accepted_precision=gate.get("accepted_precision"),
        data=metadata["data_label"],
    )


def require_success(execution: Execution, data: Data | None = None) -> None:
    """Raises WorkError with the reason when the execution did not succeed.

    The reason names the file that the user named, where Stage names the object that it was uploaded as.
    """
    if execution.status == "Succeeded":
        return
    reason = why(execution)
    if data is not None and len(data.files) == 1:
        ((name, path),) = data.files
        reason = reason.replace(f"The archive {name}", f"The archive {shown(path)}")
    raise WorkError(reason)


def registered(target: Target, execution: Execution, known: str = "") -> Registered:
    """The version that the execution registered, or else `known`, the ARN of the one that its inputs gave before.

    Raises WorkError when there is neither, or when it was deleted meanwhile.
    """
    step = execution.step("Register")
    arn = step.job if step else ""
    if not arn and not known:
        raise WorkError("the pipeline succeeded but registered no version: `loadingbay status` shows its steps")
    version = registry.registered(target, arn or known)
    if version is None:
        number = registry.number(arn or known)
        raise WorkError(
            f"version {number} was deleted from the registry while the pipeline ran: run again to register its model"
        )
    return Registered(version, new=bool(arn))


def why(execution: Execution) -> str:
    """Return in one sentence why the execution did not succeed, and what to do."""
    failed = execution.failed
    if execution.status == "Stopped":
        return "the pipeline execution was stopped by someone else: run again to go on from what was finished"
    if failed is None:
        return f"the pipeline execution failed: {execution.failure or 'no reason given'}"
    if failed.kind == "Fail" or failed.name == "GateMissed":
        return failed.failure or execution.failure
    # The job's own sentence is between what SageMaker says of any job that fails.
    said = re.sub(r"^(ClientError: )?AlgorithmError: |, exit code: \d+$", "", " ".join(failed.failure.split()))
    reason = said.removesuffix(".") or "no reason given"
    return f"the step {failed.name} failed: {reason}; `loadingbay logs {failed.name}` shows its log"


def begin(
    target: Target, screen: Screen, part: Part, root: Path, text: str, wanted: Callable[[], Derived]
) -> tuple[Derived, str, Path]:
    """Starts an execution of the definition `text` with the parameters that `wanted` works out.

    Returns them, the execution's ARN, and the new folder of the run below `root`/runs. While another execution is under
    way that gives the same version, it waits for its end: what that finished comes from the step cache then, and the
    version is not registered twice.
    """
    from loadingbay.story import summary

    sagemaker = target.client("sagemaker")
    while True:
        with alone(root / ".loadingbay" / "definitions", "execution"):
            complete = wanted()
            other = _under_way(sagemaker, target.stage, text, complete)
            if not other:
                arn = executions.start(sagemaker, complete.values, target.stage)
                return complete, arn, summary.create(root / "runs", arn.rsplit("/", 1)[-1])
        screen.note(part, f"waiting for execution {other.rsplit('/', 1)[-1]}, which trains the same")
        for _ in executions.follow(sagemaker, target.client("logs"), other, interval=target.interval):
            pass


def _under_way(sagemaker: Any, pipeline: str, text: str, complete: Derived) -> str:
    """The ARN of an execution under way that gives the same version; "" if there is none. Trials register nothing."""
    for one in executions.page(sagemaker, pipeline, 100)[0]:
        runs = one.status == "Executing" and not one.title.startswith(executions.TRIAL)
        if runs and derived.same_run(sagemaker, one.arn, text, complete.values) is not None:
            return one.arn
    return ""
