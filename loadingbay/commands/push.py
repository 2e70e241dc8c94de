"""`push`: build a commit on this machine as CodeBuild does after a git push on AWS."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadingbay.errors import UsageError, WorkError
from loadingbay.options import AS_JSON, ROOT, folder, new_screen, print_json, require_running, with_target
from loadingbay.target import Target

if TYPE_CHECKING:
    from loadingbay.push.work import Built
    from loadingbay.registry.versions import Version


@click.command(short_help="Build a commit as a git push does on AWS.")
@with_target
@click.argument("commit", default="HEAD")
@click.option(
    "--variable",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="A variable of the build, such as TESTS=lint to run less than all tests.",
)
@click.option("--install-remote", is_flag=True, help="Make `git push local` do this, and build nothing now.")
@AS_JSON
def push(target: Target, commit: str, variables: tuple[str, ...], install_remote: bool, as_json: bool) -> None:
    """Build COMMIT in a clean clone: the phases of its buildspec.yml against the local cloud.

    They test it, deploy the application and train where something changed that training depends on; the new version
    is pending until someone approves it. The first command that fails ends the build with its exit code.
    """
    from loadingbay.push import source, work

    if not target.local:
        raise UsageError("`loadingbay push` builds on this machine; on AWS a git push does: workflow/cicd.yaml")
    if install_remote:
        bare = source.install_remote(ROOT, [*_this_program(), "push"])
        click.echo(
            f"The remote `{source.REMOTE}` is {bare}. What is pushed to it is built, and declined if that fails:"
        )
        click.echo(f"  git push {source.REMOTE} HEAD:main")
        click.echo(f"  git push -o TESTS=lint {source.REMOTE} HEAD:main   # a variable of the build: fewer tests")
        return
    overrides = dict(_pair(text) for text in variables)
    chosen = source.resolve(ROOT, commit)
    require_running(target)
    if "INPUT_DATA" not in overrides:
        _require_trained(target)
    out = sys.stderr if as_json else sys.stdout
    click.echo(f"Building {chosen.sha[:12]} ({chosen.subject}) against {target.name}", file=out)
    if changed := source.uncommitted(ROOT) if commit == "HEAD" else 0:
        click.echo(f"{changed} files of the work tree are not committed, and not in it", file=out)
    if overrides:
        # Their names only: a value may be a secret, and this goes into logs.
        click.echo(f"With {', '.join(overrides)} set: the build on AWS does not have that", file=out)

    def show(printed: bytes) -> None:
        out.buffer.write(printed)
        out.buffer.flush()

    built = work.build(
        target,
        ROOT,
        chosen,
        machine=os.environ,
        overrides=overrides,
        logs=folder() / ".loadingbay" / "builds",
        log=show,
    )
    if built.exit_code != 0:
        click.echo(f"Error: {_failure(built)}", err=True)
        sys.exit(built.exit_code)
    version = _trained(target, built.exported.get("EXECUTION_ARN", ""))
    _tell(built, version, chosen.sha, as_json)


def _failure(built: Built) -> str:
    """Say which phase and command failed, with which exit code, and where the log lies."""
    from loadingbay.screen.progress import shown

    return (
        f"the build ended in {built.failed} with exit code {built.exit_code}; "
        f"no version was registered; its log: {shown(built.log)}"
    )


def _require_trained(target: Target) -> None:
    """Raises WorkError when nothing was trained yet: the build would not know with which data."""
    pages = target.client("sagemaker").list_pipelines(PipelineNamePrefix=target.stage)["PipelineSummaries"]
    executions = [
        execution
        for pipeline in pages
        if pipeline["PipelineName"] == target.stage
        for execution in target.client("sagemaker").list_pipeline_executions(PipelineName=target.stage, MaxResults=1)[
            "PipelineExecutionSummaries"
        ]
    ]
    if not executions:
        raise WorkError(
            "nothing was trained here yet, so a push would not know with which data: `loadingbay run` trains the "
            "first version, or name data in S3 with --variable INPUT_DATA=s3://..."
        )


def _trained(target: Target, arn: str) -> Version | None:
    """Follows the execution that the build started; the version it registered.

    None when the build started none, or when nothing had changed and the execution registered none.
    """
    if not arn:
        return None
    from loadingbay.story import training

    with new_screen() as screen, screen.part("Pipeline") as part:
        ended = training.follow(target, screen, part, arn)
        training.require_success(ended)
    register = ended.step("Register")
    return training.registered(target, ended).version if register and register.job else None


def _tell(built: Built, version: Version | None, sha: str, as_json: bool) -> None:
    """Print how the build ended, and the version that it led to."""
    from loadingbay.screen.progress import duration, shown, typed

    if as_json:
        print_json(
            {
                "commit": sha,
                "seconds": round(built.seconds, 1),
                "log": str(built.log),
                "exported": dict(built.exported),
                "version": version.document() if version else None,
            }
        )
        return
    took = f"Built in {duration(built.seconds)}; log: {shown(built.log)}"
    if version is None:
        click.echo(f"{took}. Nothing that training depends on has changed: no new version.")
        return
    figure = version.figure("accuracy")
    worth = f", test accuracy {figure:.1%}" if figure is not None else ""
    click.echo(f"{took}\nModel version {version.number}{worth}: {version.approval}")
    if version.approval == "PendingManualApproval":
        click.echo(typed(f"  `loadingbay approve {version.number}` deploys it"))


def _pair(text: str) -> tuple[str, str]:
    """Split `NAME=VALUE` into name and value; click.UsageError for another form, or a name that no shell takes."""
    from loadingbay.push.buildspec import variable

    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--variable {text}: is written NAME=VALUE")
    try:
        return variable(name, f"--variable {text}"), value
    except WorkError as error:
        raise click.UsageError(str(error)) from error


def _this_program() -> list[str]:
    beside = Path(sys.executable).with_name("loadingbay")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "loadingbay.cli"]
