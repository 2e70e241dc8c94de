"""`deploy`: create or update a stage's CloudFormation stack from the application's template."""

from __future__ import annotations

import click

from loadingbay.options import AS_JSON, new_screen, print_json, require_running, with_target
from loadingbay.target import Target


@click.command(short_help="Deploy the application's template.")
@with_target
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the template.")
@AS_JSON
def deploy(target: Target, parameters: tuple[str, ...], as_json: bool) -> None:
    """Deploy the application's template: create it, update it, or see that nothing changed."""
    from loadingbay.stack.deploy import UNCHANGED
    from loadingbay.stack.deploy import deploy as deploy_stack

    chosen = dict(_pair(text) for text in parameters)
    require_running(target)
    with new_screen() as screen, screen.part("Application") as part:
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
