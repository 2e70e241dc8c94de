"""`compare`: compare a version with the one that was approved when it was trained."""

from __future__ import annotations

from dataclasses import asdict

import click

from loadingbay.options import AS_JSON, print_json, require_running, with_target
from loadingbay.target import Target


@click.command(short_help="Compare a version with the approved one.")
@with_target
@click.argument("version", type=click.IntRange(min=1))
@AS_JSON
def compare(target: Target, version: int, as_json: bool) -> None:
    """Show how VERSION answers beside the version that was approved when it was trained.

    On the same photos: the test photos, and those that people labelled lately and no version was trained on.
    """
    from loadingbay.learning import comparison
    from loadingbay.registry.versions import numbered

    require_running(target)
    found = comparison.compare(target, numbered(target, version))
    if as_json:
        print_json(asdict(found))
        return
    if found.reason:
        click.echo(f"Why version {found.number} exists: {found.reason}")
    if not found.tests:
        click.echo("There was no approved version to compare it with.")
    for test in found.tests:
        click.echo(
            f"{test.count} {test.name}: {test.accuracy:.1%} right, the approved version {test.approved:.1%}; "
            f"{test.won} won and {test.lost} lost (p {test.p_worse:.3f})"
        )
