"""`history`: list which version the endpoint served from when until when."""

from __future__ import annotations

import click

from loadingbay.options import AS_JSON, print_json, require_running, with_target
from loadingbay.target import Target


@click.command(short_help="Show what was in production when.")
@with_target
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How far back, in changes.")
@AS_JSON
def history(target: Target, limit: int, as_json: bool) -> None:
    """Show what the endpoint served, from when until when, approved by whom, and how good it was."""
    from loadingbay.registry import history as records
    from loadingbay.screen import results
    from loadingbay.stack.deploy import outputs

    require_running(target)
    stack = outputs(target)
    periods = records.history(target, stack["BucketName"], stack["EndpointName"], limit)
    if as_json:
        print_json([period.document() for period in periods])
    else:
        results.history(results.console(), periods)
