"""`run` and `build`: run the pipeline, or print its definition."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from loadingbay.commands.console import open_console, until_interrupted
from loadingbay.errors import UsageError
from loadingbay.options import (
    AS_JSON,
    DATA,
    checked,
    folder,
    new_screen,
    parameter_options,
    print_json,
    require_running,
    with_target,
)
from loadingbay.target import Target
from pipelines.parameters import Value


@click.command(short_help="Train, evaluate and register a version.")
@with_target
@click.option(
    "--data",
    type=DATA,
    help="A CIFAR-100 archive, or a folder of photos: DIR/<class>/*.png or *.jpg. "
    "[default: CIFAR100_ARCHIVE, the cache, a download, or drawn samples]",
)
@click.option("--console", "with_console", is_flag=True, help="Open the console first, and keep it until Ctrl-C.")
@click.option("--approve", is_flag=True, help="Approve the new version, then classify photos and draw the report.")
@parameter_options
@AS_JSON
def run(
    target: Target, data: Path | None, with_console: bool, approve: bool, as_json: bool, **values: Value | None
) -> None:
    """Train, evaluate and register a model version; with --approve, also deploy it and send photos through."""
    from loadingbay.screen import results
    from loadingbay.story.run import run as do

    if data is not None and not data.exists():
        raise UsageError(f"--data {data}: there is no such archive or folder")
    chosen = checked(values)
    page = open_console(target) if with_console else None
    with new_screen() as screen:
        if target.kind == "aws":
            screen.say(f"Running on {target.name}: jobs and the endpoint cost money there.", style="yellow")
        done = do(target, screen, folder(), environment=os.environ, data=data, values=chosen, approve=approve)
    out = results.console()
    if as_json:
        print_json(done.summary.document())
    elif approve:
        named = {"--data": data, "--classes": chosen.get("Classes")}
        given = shlex.join(word for name, value in named.items() if value for word in (name, str(value)))
        results.finished(out, done, folder(), data=given, local=target.local)
    else:
        results.pending(out, done, target)
    if page is not None:
        click.echo("The console stays until Ctrl-C.", err=True)
        until_interrupted(page)


@click.command(short_help="Print the pipeline's definition.")
@with_target
def build(target: Target) -> None:
    """Print the pipeline's definition as JSON."""
    from loadingbay.stack.deploy import outputs
    from loadingbay.story.training import definition
    from pipelines.builds import Builder

    require_running(target)
    click.echo(definition(target, outputs(target), Builder(folder() / ".loadingbay" / "definitions")))
