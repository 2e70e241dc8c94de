"""The command line: `loadingbay`. Modules that cost time to import are imported by the command that needs them.

Exit codes: 0 done, 1 the work failed, 2 wrong use, 130 interrupted. Errors are one sentence on stderr; with
LOADINGBAY_DEBUG=1 the traceback comes with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from loadingbay.errors import UsageError, WorkError
from loadingbay.target import Target, choose
from pipelines.parameters import PARAMETERS, Parameter, Value

if TYPE_CHECKING:
    from loadingbay.console import Screen

ROOT = Path(__file__).resolve().parent.parent
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, and nothing else there.")
_INTERRUPTED = 130


def folder() -> Path:
    """Where `.loadingbay` and `runs` lie: the project's folder, or LOADINGBAY_FOLDER."""
    return Path(os.environ.get("LOADINGBAY_FOLDER") or ROOT).resolve()


class _InOrder(click.Group):
    """Lists its commands in the order of the story, which is that of this file."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--cloud",
    type=click.Choice(["local", "aws"]),
    help="Which cloud to use. [default: AWS_ENDPOINT_URL if set, else LOADINGBAY_CLOUD, else local]",
)
@click.version_option(package_name="loadingbay")
@click.pass_context
def cli(context: click.Context, cloud: str | None) -> None:
    """Loading Bay tells bicycles from motorcycles and routes their drivers, on this machine or on AWS."""
    context.obj = lambda: choose(os.environ, folder(), cloud)


def with_target(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command its target as the first argument."""

    @click.pass_context
    def called(context: click.Context, /, *args: Any, **kwargs: Any) -> None:
        command(context.obj(), *args, **kwargs)

    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined] # click's own
    return called


def parameter_options(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each pipeline parameter that a person sets."""
    for parameter in reversed(PARAMETERS):
        if parameter.option:
            help_ = f"{parameter.help} {parameter.allowed[:1].upper()}{parameter.allowed[1:]}."
            command = click.option(
                parameter.flag,
                parameter.name,
                metavar={"Integer": "N", "Float": "X", "String": "TEXT"}[parameter.kind],
                callback=_parsed(parameter),
                help=f"{help_} [default: {parameter.default}]",
            )(command)
    return command


def _parsed(parameter: Parameter) -> Callable[[click.Context, click.Parameter, str | None], Value | None]:
    def parse(_context: click.Context, _option: click.Parameter, text: str | None) -> Value | None:
        try:
            return None if text is None else parameter.parse(text)
        except ValueError as error:
            raise click.UsageError(str(error)) from error

    return parse


def require_running(target: Target) -> None:
    """Raises WorkError when the target is this folder's local cloud and it does not run."""
    from loadingbay import cloud

    if target.kind == "local" and cloud.running(target) is None:
        raise WorkError(f"the local cloud is not running at {target.endpoint_url}: `loadingbay up` starts it")


def print_json(document: Any) -> None:
    """Prints a result for programs."""
    click.echo(json.dumps(document, indent=2, default=str))


def _screen() -> Screen:
    from loadingbay.console import Screen

    return Screen()


@cli.command(short_help="Start the local cloud and the application.")
@with_target
@AS_JSON
def up(target: Target, as_json: bool) -> None:
    """Start the local cloud of this folder and deploy the application to it."""
    from loadingbay.run import Run

    if target.kind != "local":
        raise UsageError("`up` starts the local cloud, but another is chosen: `loadingbay deploy` deploys there")
    with _screen() as screen:
        work = Run(target, screen, folder(), os.environ)
        work.start_cloud()
        work.deploy_stack()
    if as_json:
        print_json({"endpoint_url": target.endpoint_url, "environment": target.environment, "stack": work.stack})
        return
    click.echo("Any AWS tool can talk to it:")
    for name, value in target.environment.items():
        click.echo(f"  export {name}={value}")


@cli.command(short_help="Stop the local cloud; its state stays.")
@with_target
def down(target: Target) -> None:
    """Stop the local cloud of this folder; its state stays, and `up` goes on from it."""
    from loadingbay import cloud

    if target.kind != "local":
        raise UsageError("`down` stops the local cloud, but another is chosen")
    click.echo("stopped" if cloud.stop(target) else "it was not running", err=True)


@cli.command(short_help="Deploy the application's template.")
@with_target
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the template.")
@AS_JSON
def deploy(target: Target, parameters: tuple[str, ...], as_json: bool) -> None:
    """Deploy the application's template: create it, update it, or see that nothing changed."""
    from loadingbay.deploy import UNCHANGED
    from loadingbay.deploy import deploy as deploy_stack

    chosen = dict(_pair(text) for text in parameters)
    require_running(target)
    with _screen() as screen, screen.part("Application") as part:
        outputs = deploy_stack(target, parameters=chosen, say=lambda text: screen.note(part, text))
        part.note = part.note or UNCHANGED
    if as_json:
        print_json(outputs)
    else:
        for name, value in outputs.items():
            click.echo(f"{name:<26} {value}")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--parameter {text}: is written NAME=VALUE")
    return name, value


@cli.command(short_help="Train, evaluate and register a version.")
@with_target
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="A CIFAR-100 archive, or a folder of photos: DIR/<class>/*.png or *.jpg. "
    "[default: CIFAR100_ARCHIVE, the cache, a download, or drawn samples]",
)
@click.option("--approve", is_flag=True, help="Approve the new version, then classify photos and draw the report.")
@parameter_options
@AS_JSON
def run(target: Target, data: Path | None, approve: bool, as_json: bool, **values: Value | None) -> None:
    """Train, evaluate and register a model version; with --approve, also deploy it and send photos through."""
    from loadingbay import results
    from loadingbay.run import Run
    from loadingbay.run import run as do

    if data is not None and not data.exists():
        raise UsageError(f"--data {data}: there is no such archive or folder")
    chosen = {name: value for name, value in values.items() if value is not None}
    with _screen() as screen:
        if target.kind == "aws":
            screen.say(f"Running on {target.name}: jobs and the endpoint cost money there.", style="yellow")
        work = Run(target, screen, folder(), os.environ)
        do(work, data=data, values=chosen, approve=approve)
    out = results.console()
    if as_json:
        print_json(work.summary.document())
    elif approve:
        results.finished(out, work)
    else:
        results.pending(out, work)


@cli.command(short_help="Approve a version, which deploys it.")
@with_target
@click.argument("version", type=click.IntRange(min=1))
@click.option("--comment", default="", help="Why; it is kept with the version.")
@AS_JSON
def approve(target: Target, version: int, comment: str, as_json: bool) -> None:
    """Approve model version VERSION; the endpoint comes to serve the newest version that is approved."""
    _decide(target, version, approve=True, comment=comment, as_json=as_json)


@cli.command(short_help="Reject a version.")
@with_target
@click.argument("version", type=click.IntRange(min=1))
@click.option("--comment", default="", help="Why; it is kept with the version.")
@AS_JSON
def reject(target: Target, version: int, comment: str, as_json: bool) -> None:
    """Reject model version VERSION; if it is in service, the newest approved one takes its place."""
    _decide(target, version, approve=False, comment=comment, as_json=as_json)


def _decide(target: Target, number: int, *, approve: bool, comment: str, as_json: bool) -> None:
    """Approves or rejects a version and waits until the endpoint serves what it now should."""
    from loadingbay import registry
    from loadingbay.deploy import outputs

    require_running(target)
    version = registry.numbered(target, number)
    name = outputs(target)["EndpointName"]
    with _screen() as screen, screen.part("Deployment") as part:
        registry.decide(target, version, approve=approve, comment=comment)
        part.note = done = f"version {number} {'approved' if approve else 'rejected'}"
        due = registry.due(target)
        if due is None:
            part.note = f"{done}; no version is approved, so nothing is deployed and an endpoint keeps what it serves"
        else:
            registry.wait_until_served(
                target, name, due, waiting=lambda status: screen.note(part, f"{done}; endpoint: {status}")
            )
            newer = f", the newest that is approved: `loadingbay reject {due.number}` takes it out"
            part.note = f"{done}; the endpoint {name} serves version {due.number}"
            part.note += newer if approve and due.number != number else ""
    if as_json:
        print_json({**registry.get(target, version.arn).document(), "in_service": due and due.number})


@cli.command(short_help="Send photos through the state machine.")
@with_target
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PHOTO...")
@AS_JSON
def classify(target: Target, files: tuple[Path, ...], as_json: bool) -> None:
    """Upload each PHOTO and run the inference state machine for it."""
    from loadingbay import monitoring, photos, registry, results
    from loadingbay.deploy import outputs

    listed = photos.read(files)
    require_running(target)
    stack = outputs(target)
    now = registry.endpoint(target, stack["EndpointName"])
    if now is None:
        raise WorkError(
            "no model is deployed yet: `loadingbay status` shows the versions, `loadingbay approve` deploys"
        )
    outcomes = photos.classify(
        target,
        listed,
        bucket=stack["BucketName"],
        state_machine=stack["InferenceStateMachineArn"],
        prefix="photo",
    )
    monitoring.add_labels(target, stack["BucketName"], outcomes[0].inference_id, outcomes)
    if as_json:
        print_json([outcome.document() for outcome in outcomes])
    else:
        out = results.console()
        served = registry.get(target, now.serves) if now.serves else None
        results.drawn_notice(out, served is not None and served.metadata.get("data_label") == "drawn samples")
        results.examples(out, outcomes, limit=None)
    if any(o.status != "SUCCEEDED" and o.error != photos.BELOW_THRESHOLD for o in outcomes):
        sys.exit(1)


@cli.command(short_help="Draw confidence, drift and accuracy.")
@with_target
@AS_JSON
def monitor(target: Target, as_json: bool) -> None:
    """Read the captured requests back and draw confidence, drift and accuracy."""
    from loadingbay import results
    from loadingbay.console import shown
    from loadingbay.observe import monitor_now

    require_running(target)
    with _screen() as screen, screen.part("Monitoring") as part:
        report, drawn = monitor_now(target, folder(), waiting=lambda status: screen.note(part, status))
        part.note = shown(report.folder)
    if as_json:
        print_json({**report.figures, "folder": str(report.folder), "job": report.job})
        return
    out = results.console()
    results.drawn_notice(out, drawn)
    results.monitored(out, report)


@cli.command(short_help="Show what runs and what there is.")
@with_target
@AS_JSON
def status(target: Target, as_json: bool) -> None:
    """Show what runs: the cloud, the last pipeline execution, the versions, the endpoint."""
    from loadingbay import results
    from loadingbay.observe import status_of

    document = status_of(target)
    if as_json:
        print_json(document)
    else:
        results.status(results.console(), document)


@cli.command(short_help="Print the log of a step or a Lambda.")
@with_target
@click.argument("step", required=False)
def logs(target: Target, step: str | None) -> None:
    """Print the log of a pipeline STEP, of `monitor`, `endpoint`, `cloud`, or of a Lambda such as `deploy_model`.

    Without STEP: the step of the last execution that failed, else all of them.
    """
    from loadingbay.observe import logs_of

    if step != "cloud":
        require_running(target)
    for line in logs_of(target, step):
        click.echo(line)


@cli.command(short_help="Print the pipeline's definition.")
@with_target
def build(target: Target) -> None:
    """Print the pipeline's definition as JSON."""
    from loadingbay.deploy import outputs
    from loadingbay.run import definition
    from pipelines.builds import Builder

    require_running(target)
    click.echo(definition(target, outputs(target), Builder(folder() / ".loadingbay" / "definitions")))


def main() -> NoReturn:
    """The door: runs the command and turns what it raises into a sentence and an exit code."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        code = _INTERRUPTED
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BrokenPipeError:
        code = 1  # whoever read our output has gone
    except Exception as error:
        code = _explain(error)
    else:
        code = 0
    _leave(code)


def _explain(error: Exception) -> int:
    """Says what happened in one sentence; the exit code."""
    from loadingbay.console import typed
    from loadingbay.explain import sentence

    if os.environ.get("LOADINGBAY_DEBUG"):
        import traceback

        traceback.print_exception(error)
    click.echo(f"Error: {typed(sentence(error))}", err=True)
    return 2 if isinstance(error, UsageError) else 1


def _leave(code: int) -> NoReturn:
    """Ends the process now: a download in a background thread must not keep it alive."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = 1
    os._exit(code)


if __name__ == "__main__":
    main()
