"""`history`: list which version the endpoint served from when until when, or tell the story of one deployment."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from loadingbay.errors import UsageError
from loadingbay.options import AS_JSON, Number, print_json, require_running, with_target
from loadingbay.target import Target

if TYPE_CHECKING:
    from loadingbay.registry.history import Period


@click.command(short_help="Show what was in production when.")
@with_target
@click.argument("version", type=Number(1), required=False)
@click.option("--limit", type=Number(1, 1000), default=20, show_default=True, help="How far back, 1 to 1,000 changes.")
@AS_JSON
def history(target: Target, version: int | None, limit: int, as_json: bool) -> None:
    """Show what the endpoint served, from when until when, approved by whom, and how good it was.

    With VERSION: the story of its last deployment, from its approval on: verified, traffic, alarms, live, ended.
    """
    from loadingbay.registry import history as records
    from loadingbay.screen import results
    from loadingbay.stack.deploy import outputs

    require_running(target)
    stack = outputs(target)
    periods = records.history(target, stack["BucketName"], stack["EndpointName"], limit)
    if version is not None:
        _story(target, stack["BucketName"], periods, version, as_json)
    elif as_json:
        print_json([period.document() for period in periods])
    else:
        results.history(results.console(), periods)


def _story(target: Target, bucket: str, periods: list[Period], version: int, as_json: bool) -> None:
    """Prints the events of the newest period of this version."""
    from loadingbay.registry import deployments

    key = next((period.key for period in periods if period.version == version), "")
    found = deployments.find(periods, key)
    if found is None:
        raise UsageError(f"version {version} was not in service in the last {len(periods)} periods: --limit looks back")
    events = deployments.story(target, bucket, *found)
    if as_json:
        print_json([{**asdict(event), "time": event.time.isoformat()} for event in events])
        return
    for event in events:
        click.echo(f"{event.time.astimezone():%Y-%m-%d %H:%M:%S}  {event.what}")
