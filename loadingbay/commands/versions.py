"""`approve` and `reject`: what people say about versions."""

from __future__ import annotations

import click

from loadingbay.options import AS_JSON, new_screen, print_json, require_running, with_target
from loadingbay.target import Target


@click.command(short_help="Approve a version, which deploys it.")
@with_target
@click.argument("version", type=click.IntRange(min=1))
@click.option("--comment", default="", help="Why; it is kept with the version.")
@AS_JSON
def approve(target: Target, version: int, comment: str, as_json: bool) -> None:
    """Approve model version VERSION; the endpoint comes to serve the newest version that is approved."""
    _decide(target, version, approve=True, comment=comment, as_json=as_json)


@click.command(short_help="Reject a version.")
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
