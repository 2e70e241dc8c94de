"""`approve` and `reject`: record a decision about a model version, and wait until the endpoint follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loadingbay.options import AS_JSON, Number, new_screen, print_json, require_running, with_target
from loadingbay.target import Target

if TYPE_CHECKING:
    from loadingbay.registry.versions import Version

comment_option = click.option("--comment", default="", help="Why; it is kept with the version.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Only print what would be done.")


@click.command(short_help="Approve a version, which deploys it.")
@with_target
@click.argument("version", type=Number(1))
@comment_option
@dry_run_option
@click.option("--shadow", is_flag=True, help="Let it get copies of the live requests, and answer nobody.")
@click.option(
    "--share",
    type=Number(0, 1, whole=False, above=True),
    help="With --shadow: of how many of the requests, above 0 to 1. [default: 1]",
)
@AS_JSON
def approve(
    target: Target, version: int, comment: str, dry_run: bool, shadow: bool, share: float | None, as_json: bool
) -> None:
    """Approve model version VERSION; the endpoint comes to serve the newest version that is approved.

    The version is verified first, with labelled photos, on an endpoint of its own. One that answers wrongly, slowly or
    not at all is rejected, with the reason, and what is in service stays.

    With --shadow nothing changes for callers: `loadingbay compare VERSION` shows how it answers beside the version in
    service, and `approve VERSION` puts it there. `reject VERSION` ends the shadow.
    """
    if share is not None and not shadow:
        raise click.UsageError("--share is for --shadow: a version that serves answers every request")
    if shadow:
        _shadow(target, version, share or 1.0, comment=comment, dry_run=dry_run, as_json=as_json)
        return
    _decide(target, version, approve=True, comment=comment, dry_run=dry_run, as_json=as_json)


@click.command(short_help="Reject a version.")
@with_target
@click.argument("version", type=Number(1))
@comment_option
@dry_run_option
@AS_JSON
def reject(target: Target, version: int, comment: str, dry_run: bool, as_json: bool) -> None:
    """Reject model version VERSION; if it is in service, the newest approved one takes its place."""
    _decide(target, version, approve=False, comment=comment, dry_run=dry_run, as_json=as_json)


def _decide(target: Target, number: int, *, approve: bool, comment: str, dry_run: bool, as_json: bool) -> None:
    """Approve or reject the version of that number and wait for the endpoint; with `dry_run` only show the plan."""
    from loadingbay.registry import versions as registry

    require_running(target)
    version = registry.numbered(target, number)
    if dry_run:
        show_plan(target, version, approve=approve, as_json=as_json)
    else:
        decide_and_wait(target, version, approve=approve, comment=comment, as_json=as_json)


def _shadow(target: Target, number: int, share: float, *, comment: str, dry_run: bool, as_json: bool) -> None:
    """Lets a version become the shadow and waits until it is, or shows what would be done."""
    from loadingbay.registry import shadow as shadows
    from loadingbay.registry import versions as registry
    from loadingbay.screen import results
    from loadingbay.stack.deploy import outputs

    require_running(target)
    version, name = registry.numbered(target, number), outputs(target)["EndpointName"]
    shadows.check(target, name, version)
    if dry_run:
        plan = shadows.plan(target, name, version, share)
        if as_json:
            print_json(plan)
        else:
            results.plan(results.console(), plan)
        return
    with new_screen() as screen, screen.part("Shadow") as part:
        shadows.start(target, version, share=share, comment=comment)
        shadows.wait(target, name, version, waiting=lambda status: screen.note(part, f"endpoint: {status}"))
        part.note = f"version {number} gets copies of {share:.0%} of the requests: `loadingbay compare {number}`"
    if as_json:
        print_json(registry.get(target, version.arn).document())


def decide_and_wait(target: Target, version: Version, *, approve: bool, comment: str, as_json: bool) -> None:
    """Approves or rejects a version and waits until the endpoint serves what it now should."""
    from loadingbay.registry import versions as registry
    from loadingbay.stack.deploy import outputs

    name, number = outputs(target)["EndpointName"], version.number
    with new_screen() as screen, screen.part("Deployment") as part:
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


def show_plan(target: Target, version: Version, *, approve: bool, as_json: bool) -> None:
    """Prints what DeployModel would do if the version were approved or rejected. Raises WorkError if it may not say."""
    from loadingbay.registry import plan as deployments
    from loadingbay.screen import results
    from loadingbay.stack.deploy import outputs

    name = outputs(target)["EndpointName"]
    plan = deployments.decision(target, name, version.arn, approve=approve)
    if as_json:
        print_json(plan)
    else:
        results.plan(results.console(), plan)
