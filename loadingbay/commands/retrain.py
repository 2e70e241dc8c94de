"""`retrain`: train a version with what people labelled."""

from __future__ import annotations

import click

from loadingbay.options import AS_JSON, print_json, require_running, with_target
from loadingbay.target import Target


@click.command(short_help="Train with what people labelled.")
@with_target
@click.option("--dry-run", is_flag=True, help="Say what the drift alarm would lead to now, and why; start nothing.")
@AS_JSON
def retrain(target: Target, dry_run: bool, as_json: bool) -> None:
    """Train a version with the base data and the photos that people labelled, now.

    While the drift alarm is on this happens by itself, once there are enough new labels; this command needs neither
    alarm nor pause. The new version is registered if it is not worse on the test photos and better on recent ones.
    """
    from loadingbay.learning import retraining

    require_running(target)
    found = retraining.retrain(target, dry_run=dry_run, by_hand=not dry_run)
    if as_json:
        print_json(found.document())
        return
    click.echo(f"{found.outcome}: {found.because}")
    if found.photos:
        click.echo(
            f"Labelled photos: {found.photos['train']} to learn from, {found.photos['recent']} as the recent test"
        )
    if found.execution:
        click.echo(f"Started {found.execution}; `loadingbay status` shows it")
