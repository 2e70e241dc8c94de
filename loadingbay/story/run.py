"""The whole story: cloud, stack, data, pipeline, approval, endpoint, photos, report. Each part is a function.

What can run side by side does: the local cloud starts and the SDK is imported while the data are fetched. Stopped in
the middle, the next run goes on from what was finished: uploads are content-addressed and steps are cached.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from loadingbay.errors import WorkError
from loadingbay.registry import versions as registry
from loadingbay.registry.versions import Version
from loadingbay.screen.progress import Part, Screen, shown
from loadingbay.serving import monitoring, photos
from loadingbay.stack import local_cloud
from loadingbay.stack.deploy import UNCHANGED, deploy
from loadingbay.story import summary as runs
from loadingbay.story.summary import DRAWN, Summary
from loadingbay.target import Target
from pipelines import derived, executions
from pipelines.builds import Builder, BuildError
from pipelines.executions import Execution
from pipelines.parameters import Value
from pipelines.sources import Sources, git_commit, image_address, image_tag, upload_missing

if TYPE_CHECKING:
    from loadingbay.data.acquire import Data

T = TypeVar("T")


@dataclass
class Run:
    """A run under way. `folder` is None until the pipeline has started."""

    target: Target
    screen: Screen
    root: Path
    environment: Mapping[str, str]
    summary: Summary = field(default_factory=Summary)
    folder: Path | None = None
    stack: dict[str, str] = field(default_factory=dict)
    execution: Execution | None = None
    version: Version | None = None
    known: str = ""
    classified: datetime = field(default_factory=lambda: datetime.now(UTC))

    def start_cloud(self) -> None:
        """Starts the local cloud, when that is the target and it does not run."""
        if self.target.kind != "local":
            return
        with self.summary.timed("cloud"), self.screen.part("Local cloud") as part:
            started = local_cloud.start(self.target)
            self.screen.note(part, f"{'started' if started else 'running'} at {self.target.endpoint_url}")

    def deploy_stack(self) -> None:
        """Deploys the application, unless this very template and code are deployed."""
        with self.summary.timed("stack"), self.screen.part("Application") as part:
            self.stack = deploy(self.target, say=lambda text: self.screen.note(part, text))
            part.note = part.note or UNCHANGED
        self.summary.endpoint_name = self.stack["EndpointName"]

    def upload(self, data: Data) -> str:
        """Uploads data and code where they are not there yet; the address of the data."""
        bucket, s3 = self.stack["BucketName"], self.target.client("s3")
        prefix = f"data/{data.sha256}"
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        there = {item["Key"] for page in pages for item in page.get("Contents", [])}
        missing = [(path, key) for name, path in data.files if (key := f"{prefix}/{name}") not in there]
        with ThreadPoolExecutor(8, thread_name_prefix="upload") as pool:
            # A folder may hold thousands of photos.
            for done in [pool.submit(s3.upload_file, str(path), bucket, key) for path, key in missing]:
                done.result()
        upload_missing(s3, bucket, Sources.read().all(), owner=self.target.account)
        return f"s3://{bucket}/{prefix}/"

    def run_pipeline(self, builder: Builder, data: Data, address: str, values: Mapping[str, Value]) -> None:
        """Upserts and starts the pipeline, follows it to its end. Raises WorkError with its reason when it fails."""
        sagemaker = self.target.client("sagemaker")
        require_image(self.target, self.stack)
        with self.screen.part("Pipeline") as part:
            with self.summary.timed("definition"):
                self.screen.note(part, "building the definition")
                text = definition(self.target, self.stack, builder)
                executions.upsert(sagemaker, text, self.stack["PipelineRoleArn"], self.target.stage)
            with self.summary.timed("pipeline"):
                chosen = {"InputData": address, "DataLabel": data.label, "GitCommit": git_commit(), **values}
                complete = derived.complete(
                    sagemaker, self.target.client("s3"), self.stack["BucketName"], text, chosen, self.target.stage
                )
                self.known = complete.version
                arn = executions.start(sagemaker, complete.values, self.target.stage)
                self.summary.pipeline_execution_arn = arn
                self.folder = runs.create(self.root / "runs", arn.rsplit("/", 1)[-1])
                self.screen.note(part, f"execution {arn.rsplit('/', 1)[-1]}")
                self._follow(arn, part)
        assert self.execution is not None  # noqa: S101 - follow yields at least one
        self._read_evaluation(self.execution)
        if self.execution.status != "Succeeded":
            raise WorkError(_of_file(why(self.execution), data))

    def _follow(self, arn: str, part: Part) -> None:
        sagemaker = self.target.client("sagemaker")
        try:
            for seen in executions.follow(sagemaker, self.target.client("logs"), arn, interval=self.target.interval):
                self.screen.update(seen)
                if isinstance(seen, Execution):
                    self.execution = seen
        except KeyboardInterrupt:
            self.screen.note(part, "stopping")
            status = executions.stop(sagemaker, arn)
            stopped = executions.describe(sagemaker, arn)
            self.screen.update(stopped)
            finished = [step.name for step in stopped.steps if step.status == "Succeeded"]
            kept = f"finished and kept for the next run: {', '.join(finished)}" if finished else "nothing was finished"
            part.note = f"{status.lower()} on your request; {kept}"
            raise

    def _read_evaluation(self, execution: Execution) -> None:
        """Takes the figures from evaluation.json, also when they missed the gate."""
        step = execution.step("Evaluate")
        if step is None or step.status != "Succeeded":
            return
        uri = f"{executions.output_uri(self.target.client('sagemaker'), step, 'evaluation')}/evaluation.json"
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        document = json.load(self.target.client("s3").get_object(Bucket=bucket, Key=key)["Body"])
        gate, metadata = document["gate"], document["metadata"]
        self.summary.accuracy = gate["accuracy"]
        self.summary.coverage = gate.get("coverage")
        self.summary.accepted_precision = gate.get("accepted_precision")
        self.summary.threshold = float(metadata["threshold"])
        self.summary.data = metadata["data_label"]

    def find_version(self) -> Version:
        """The version that the execution registered."""
        step = self.execution.step("Register") if self.execution else None
        if step is None and self.known:
            self.screen.say(f"Nothing changed: this is version {self.known.rsplit('/', 1)[-1]}.")
        if not (arn := step.job if step else self.known):
            raise WorkError("the pipeline succeeded but registered no version: `loadingbay status` shows its steps")
        self.version = registry.get(self.target, arn)
        self.summary.model_package_arn = self.version.arn
        return self.version

    def fetch_photos(self) -> list[photos.Photo]:
        """Puts the photos that Stage kept aside into the run's folder; they are test photos, with their labels."""
        assert self.execution is not None and self.folder is not None  # noqa: S101, PT018 - the pipeline ran
        stage = self.execution.step("Stage")
        assert stage is not None  # noqa: S101 - it succeeded
        uri = executions.output_uri(self.target.client("sagemaker"), stage, "photos")
        files = monitoring.fetch(self.target.client("s3"), uri, self.folder / "photos")
        return photos.read(sorted(path for path in files if path.suffix != ".json"))

    def approve(self, version: Version) -> None:
        """Approves the version and waits until the endpoint serves it."""
        with self.summary.timed("deployment"), self.screen.part("Deployment") as part:
            registry.decide(self.target, version, approve=True, comment="approved by `loadingbay run --approve`")
            self.screen.note(part, f"approved version {version.number}, as --approve asks")
            registry.wait_until_served(
                self.target,
                self.stack["EndpointName"],
                version,
                waiting=lambda status: self.screen.note(part, f"approved version {version.number}; endpoint: {status}"),
            )
            part.note = f"approved version {version.number}; the endpoint {self.stack['EndpointName']} serves it"

    def classify(self, listed: list[photos.Photo]) -> None:
        """Runs the inference state machine for each photo."""
        assert self.execution is not None  # noqa: S101 - the pipeline ran
        self.classified = datetime.now(UTC)
        with self.summary.timed("photos"), self.screen.part("Photos") as part:

            def done(outcome: photos.Outcome) -> None:
                self.summary.outcomes.append(outcome)
                self.screen.note(part, f"{len(self.summary.outcomes)} of {len(listed)} classified")

            self.summary.outcomes = photos.classify(
                self.target,
                listed,
                bucket=self.stack["BucketName"],
                state_machine=self.stack["InferenceStateMachineArn"],
                prefix=self.execution.id,
                done=done,
            )
            part.note = counted(self.summary.outcomes)

    def report(self) -> None:
        """Reads the captured requests back and draws the report."""
        assert self.version is not None and self.folder is not None and self.execution is not None  # noqa: S101, PT018
        with self.summary.timed("report"), self.screen.part("Report") as part:
            monitoring.add_labels(self.target, self.stack["BucketName"], self.execution.id, self.summary.outcomes)
            self.screen.note(part, "waiting for the captured requests")
            missing = monitoring.wait_for_captures(
                self.target,
                self.stack["DataCaptureUri"],
                self.stack["EndpointName"],
                {o.inference_id for o in self.summary.outcomes if o.confidence is not None},
                self.classified,
            )
            self.screen.note(part, "drawing")
            report = monitoring.monitor(
                self.target, stack=self.stack, folder=self.folder, evaluation=self.version.evaluation
            )
            self.summary.report = str(report.picture)
            lost = f"; {missing} captured requests had not arrived" if missing else ""
            part.note = f"{shown(report.picture)}{lost}"


def run(work: Run, *, data: Path | None, values: Mapping[str, Value], approve: bool) -> list[photos.Photo]:
    """Runs everything; the photos kept aside. Raises WorkError with the reason of the part that failed.

    summary.json is written in any case once the pipeline has started; `runs/latest` moves only when all went well.
    """
    builder = Builder(work.root / ".loadingbay" / "definitions")
    builder.prepare()
    try:
        fetching = _Background(lambda: acquire_data(work, data))
        work.start_cloud()
        work.deploy_stack()
        acquired = fetching.result()
        work.summary.data = acquired.label
        if work.summary.drawn:
            work.screen.say(DRAWN, style="bold yellow")
        with work.summary.timed("upload"):
            address = work.upload(acquired)
        work.run_pipeline(builder, acquired, address, values)
        version = work.find_version()
        listed = work.fetch_photos()
        if approve:
            work.approve(version)
            work.classify(listed)
            work.report()
    except BaseException as error:
        work.summary.failure = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
        raise
    finally:
        builder.close()
        if work.folder is not None:
            runs.write(work.folder, work.summary)
    runs.complete(work.root / "runs", work.folder or work.root / "runs")
    return listed


def require_image(target: Target, stack: Mapping[str, str]) -> None:
    """Raises WorkError when jobs would ask in vain for an image: after minutes, and the first of them is paid for.

    On this machine there is no image to ask for: jobs run in the environment that it would be built from.
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
    """The pipeline's definition for this target. Raises WorkError when the SDK refuses it."""
    image = image_address(target.client("ecr"), stack["ImageRepositoryUri"], image_tag())
    settings = Sources.read().settings(stack, region=target.resolved_region, image=image)
    try:
        return builder.definition(settings)
    except BuildError as error:
        raise WorkError(str(error)) from error


def counted(outcomes: list[photos.Outcome]) -> str:
    """`51 routed, 9 below the threshold, 1 routed wrongly`."""
    routed = sum(o.status == "SUCCEEDED" for o in outcomes)
    below = sum(o.error == photos.BELOW_THRESHOLD for o in outcomes)
    others = len(outcomes) - routed - below
    wrong = sum(o.wrong for o in outcomes)
    text = f"{routed} routed, {below} below the threshold"
    text += f", {others} failed" if others else ""
    return text + (f"; {wrong} of the routed {'is' if wrong == 1 else 'are'} wrong" if routed else "")


def acquire_data(work: Run, named: Path | None) -> Data:
    """The photos to learn from, see loadingbay.data.acquire."""
    from loadingbay.data.acquire import acquire

    with work.summary.timed("data"), work.screen.part("Data") as part:
        data = acquire(
            named,
            environment=work.environment,
            say=lambda text: work.screen.note(part, text),
        )
        part.note = data.origin
        return data


def why(execution: Execution) -> str:
    """Why the execution did not succeed, and what to do."""
    failed = execution.failed
    if execution.status == "Stopped":
        return "the pipeline execution was stopped by someone else: run again to go on from what was finished"
    if failed is None:
        return f"the pipeline execution failed: {execution.failure or 'no reason given'}"
    if failed.kind == "Fail" or failed.name == "GateMissed":
        return failed.failure or execution.failure
    # The job's own sentence is between what SageMaker says of any job that fails.
    said = re.sub(r"^AlgorithmError: |, exit code: \d+$", "", " ".join(failed.failure.split()))
    reason = said.removesuffix(".") or "no reason given"
    return f"the step {failed.name} failed: {reason}; `loadingbay logs {failed.name}` shows its log"


def _of_file(sentence: str, data: Data) -> str:
    """The sentence with the file that the user named, where Stage names the object that it was uploaded as."""
    if len(data.files) != 1:
        return sentence
    ((name, path),) = data.files
    return sentence.replace(f"The archive {name}", f"The archive {shown(path)}")


class _Background(Generic[T]):
    """A function running in a thread that does not keep the process alive."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._outcome: list[T] = []
        self._error: BaseException | None = None

        def work() -> None:
            try:
                self._outcome.append(function())
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def result(self) -> T:
        """Its result, waited for; or raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._outcome[0]
