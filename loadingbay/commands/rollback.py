"""`rollback`: put the approved version before the newest one into service again."""

from __future__ import annotations

import click

from loadingbay.commands.versions import comment_option, decide_and_wait, dry_run_option, show_plan
from loadingbay.options import AS_JSON, require_running, with_target
from loadingbay.target import Target


@click.command(short_help="Go back to the version before.")
@with_target
@comment_option
@dry_run_option
@AS_JSON
def rollback(target: Target, comment: str, dry_run: bool, as_json: bool) -> None:
    """Reject the version that belongs in service, so that the approved version before it takes its place, and wait."""
    from loadingbay.registry import versions as registry

    require_running(target)
    live, before = registry.rollback(target)
    if dry_run:
        show_plan(target, live, approve=False, as_json=as_json)
        return
    comment = comment or f"rolled back to version {before.number}"
    decide_and_wait(target, live, approve=False, comment=comment, as_json=as_json)
