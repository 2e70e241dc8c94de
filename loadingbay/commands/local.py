"""`up` and `down`: start and stop the local cloud of this folder."""

from __future__ import annotations

import dataclasses

import click

from loadingbay.errors import UsageError
from loadingbay.options import AS_JSON, new_screen, print_json, with_target
from loadingbay.target import Target


@click.command(short_help="Start the local cloud and the application.")
@with_target
@click.option(
    "--enforce-iam",
    is_flag=True,
    help="Hold jobs, endpoints, Lambdas and executions to their roles' policies, as AWS does.",
)
@AS_JSON
def up(target: Target, enforce_iam: bool, as_json: bool) -> None:
    """Start the local cloud of this folder and deploy the application to it."""
    from loadingbay.stack.up import deploy_stack, start_cloud

    if target.kind != "local":
        raise UsageError(
            f"`up` starts the local cloud of this folder, but the command talks to {target.endpoint_url or 'AWS'}: "
            "`loadingbay deploy` deploys there; for the local cloud, unset AWS_ENDPOINT_URL and LOADINGBAY_CLOUD"
        )
    if enforce_iam:
        target = dataclasses.replace(target, enforce_iam=True)
    with new_screen() as screen:
        start_cloud(target, screen)
        stack = deploy_stack(target, screen)
    if as_json:
        print_json({"endpoint_url": target.endpoint_url, "environment": target.environment, "stack": stack})
        return
    click.echo("Any AWS tool can talk to it:")
    for name, value in target.environment.items():
        click.echo(f"  export {name}={value}")


@click.command(short_help="Stop the local cloud; its state stays.")
@with_target
def down(target: Target) -> None:
    """Stop the local cloud of this folder; its state stays, and `up` goes on from it."""
    from loadingbay.stack import local_cloud

    if target.kind != "local":
        raise UsageError(
            f"`down` stops the local cloud of this folder, but the command talks to {target.endpoint_url or 'AWS'}: "
            "unset AWS_ENDPOINT_URL and LOADINGBAY_CLOUD, then try again"
        )
    click.echo("stopped" if local_cloud.stop(target) else "it was not running", err=True)
