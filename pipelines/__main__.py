"""Builds, upserts and starts the pipeline without the rest of the project: `python -m pipelines upsert`, as CI/CD does.

Where AWS is, the environment says: AWS_ENDPOINT_URL, region and credentials, as for any AWS tool.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import click
from botocore.exceptions import BotoCoreError, ClientError

from pipelines import derived, executions
from pipelines.builds import Builder, BuildError
from pipelines.parameters import PARAMETERS, Value, as_markdown
from pipelines.promote import NEWEST, PromotionError, Stage
from pipelines.promote import promote as promote_version
from pipelines.settings import DEFAULT_STAGE, Settings
from pipelines.sources import Sources, git_commit, image_address, image_tag, upload_missing

_STACK = click.option(
    "--stage",
    "stack",
    envvar="LOADINGBAY_STAGE",
    default=DEFAULT_STAGE,
    show_default=True,
    help="The application's stack; its pipeline and group of versions have the same name.",
)
_IMAGE = click.option(
    "--image", help="The image's address. [default: in the stage's repository, the tag of container/]"
)


@click.group(help=__doc__)
def main() -> None:
    """The group of commands."""


def _client(service: str) -> Any:
    return boto3.client(service)


def _outputs(stack: str) -> dict[str, str]:
    described = _client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {item["OutputKey"]: item["OutputValue"] for item in described.get("Outputs", [])}


@dataclass(frozen=True)
class _Built:
    """The definition, and what it was built from: settings, sources and the stack's outputs."""

    definition: str
    settings: Settings
    sources: Sources
    outputs: dict[str, str]


def _build(stack: str, image: str | None) -> _Built:
    """Read stack, sources and image, and build the definition from them."""
    outputs = _outputs(stack)
    sources = Sources.read()
    address = image or image_address(_client("ecr"), outputs["ImageRepositoryUri"], image_tag())
    settings = sources.settings(outputs, region=str(boto3.Session().region_name), image=address)
    definition = Builder(Path(".loadingbay") / "definitions").definition(settings)
    return _Built(definition, settings, sources, outputs)


@main.command()
@_STACK
@_IMAGE
def build(stack: str, image: str | None) -> None:
    """Print the pipeline definition as JSON."""
    click.echo(_build(stack, image).definition)


@main.command()
@_STACK
@_IMAGE
@click.option("--json", "as_json", is_flag=True, help="Print JSON: pipeline, result, uploaded, newest_execution.")
def upsert(stack: str, image: str | None, as_json: bool) -> None:
    """Upload the code and create or update the pipeline and that of monitoring."""
    built = _build(stack, image)
    account, sagemaker = _client("sts").get_caller_identity()["Account"], _client("sagemaker")
    sources = built.sources
    uploaded = upload_missing(_client("s3"), built.settings.bucket, sources.all(), owner=account)
    result = executions.upsert(sagemaker, built.definition, built.settings.role, stack)
    executions.upsert_monitoring(sagemaker, sources.monitoring_settings(built.outputs, image=built.settings.image))
    if as_json:
        document = {
            "pipeline": stack,
            "result": result,
            "uploaded": uploaded,
            "newest_execution": executions.newest(sagemaker, stack) or None,
        }
        click.echo(json.dumps(document))
    else:
        click.echo(f"pipeline {stack} {result}, {uploaded} of {len(sources.all())} sources uploaded")


@main.command()
@_STACK
@click.option("--wait", is_flag=True, help="Wait for the end; exit 1 unless it succeeds.")
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]...")
def start(stack: str, wait: bool, values: tuple[str, ...]) -> None:
    """Start an execution with parameters NAME=VALUE; the others are those of the last execution that succeeded."""
    sagemaker = _client("sagemaker")
    pipeline = sagemaker.describe_pipeline(PipelineName=stack)
    chosen: dict[str, Value] = {**_last_values(sagemaker, stack)}
    chosen["GitCommit"] = git_commit()
    for text in values:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"{text}: parameters are written NAME=VALUE")
        chosen[name] = value
    bucket, definition = _outputs(stack)["BucketName"], pipeline["PipelineDefinition"]
    chosen = derived.complete(sagemaker, _client("s3"), bucket, definition, chosen, stack).values
    try:
        arn = executions.start(sagemaker, chosen, stack)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(arn)
    if not wait:
        return
    for update in executions.follow(sagemaker, _client("logs"), arn, interval=10):
        if isinstance(update, executions.Execution) and update.status in executions.ENDED:
            click.echo(f"{update.status} {update.failure}".strip())
            sys.exit(update.status != "Succeeded")


def _last_values(sagemaker: Any, pipeline: str) -> dict[str, str]:
    """Return the parameters of the newest execution that succeeded, else of the newest, without the derived ones.

    So a commit that changes code trains on the same data again, and values that failed are not tried once more.
    """
    summaries = sagemaker.list_pipeline_executions(PipelineName=pipeline, MaxResults=100)["PipelineExecutionSummaries"]
    # A trial's parameters were nobody's choice.
    chosen = [s for s in summaries if not s.get("PipelineExecutionDisplayName", "").startswith(executions.TRIAL)]
    if not chosen:
        return {}
    last = next((s for s in chosen if s.get("PipelineExecutionStatus") == "Succeeded"), chosen[0])
    listed = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=last["PipelineExecutionArn"])
    names = {p.name for p in PARAMETERS} - derived.DERIVED
    return {item["Name"]: item["Value"] for item in listed["PipelineParameters"] if item["Name"] in names}


@main.command()
@_STACK
@click.option("--from", "origin", required=True, help="The stage whose version is promoted.")
@click.option("--from-account", "account", help="The account of that stage. [default: this one]")
@click.option("--from-profile", "profile", help="The profile that reads there. [default: whoever promotes]")
@click.option("--version", "wanted", default=NEWEST, show_default=True, help="The version's ARN.")
def promote(stack: str, origin: str, account: str | None, profile: str | None, wanted: str) -> None:
    """Register an approved version of another stage in this one, as approved: its deployment begins.

    Its image also runs this stage's monitoring, whose pipeline is brought up to date.
    """
    sagemaker, s3 = _client("sagemaker"), _client("s3")
    here = _client("sts").get_caller_identity()["Account"]
    there = (sagemaker, s3)
    if profile:
        session = boto3.Session(profile_name=profile)
        there = (session.client("sagemaker"), session.client("s3"))
    outputs, sources = _outputs(stack), Sources.read()
    bucket = outputs["BucketName"]
    done = promote_version(Stage(origin, account or here, *there), Stage(stack, here, sagemaker, s3), bucket, wanted)
    upload_missing(s3, bucket, (sources.monitor,), owner=here)
    executions.upsert_monitoring(sagemaker, sources.monitoring_settings(outputs, image=done.image))
    click.echo(f"{done.origin} {'was promoted' if done.new else 'had been promoted'} to {stack} as {done.arn}")


@main.command()
def parameters() -> None:
    """Print the table of parameters as markdown: docs/parameters.md."""
    click.echo(as_markdown(), nl=False)


if __name__ == "__main__":
    try:
        main()
    except (BuildError, PromotionError, BotoCoreError, ClientError) as error:
        sys.exit(str(error))
