"""`destroy`: delete everything that a stage has created."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from loadingbay.errors import UsageError
from loadingbay.options import AS_JSON, new_screen, print_json, require_running, with_target
from loadingbay.target import Target

if TYPE_CHECKING:
    from loadingbay.stack.destroy import Item


@click.command(short_help="Remove everything that costs money or keeps data.")
@with_target
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@AS_JSON
def destroy(target: Target, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove the stage: endpoint, models, versions, pipeline, images, photos and captured data, logs, stacks.

    Nothing of it can be brought back.
    """
    from dataclasses import asdict

    from loadingbay.stack import destroy as work

    require_running(target)
    items = work.survey(target)
    if not as_json:
        _list(target, items)
    if items and not dry_run:
        if not yes:
            _ask(target)
        with new_screen() as screen, screen.part("Removal") as part:
            work.remove(target, items, say=lambda item: screen.note(part, f"{item.kind} {item.name}"))
            part.note = f"nothing of the stage {target.stage} is left"
            left = work.survey(target)
            if left:
                part.note = f"{left[0].kind} {left[0].name} came back meanwhile: run the same command again"
    if as_json:
        print_json({"removed": not dry_run, "items": [asdict(item) for item in items]})


def _list(target: Target, items: list[Item]) -> None:
    """Print what would be removed, a line for each item with what is done to it."""
    if not items:
        click.echo(f"There is nothing of the stage {target.stage} on {target.name}.")
        return
    click.echo(f"On {target.name}, stage {target.stage}:")
    for item in items:
        verb = {"rule": "disable"}.get(item.kind, "stop" if item.kind == "running execution" else "delete")
        many = f" ({item.count})" if item.count is not None else ""
        click.echo(f"  {verb:<8}{item.kind:<24}{item.name}{many}")


def _ask(target: Target) -> None:
    if not _terminal():
        raise UsageError("`loadingbay destroy` asks before it removes: answer it on a terminal, or say --yes")
    if click.prompt(f"All of it is lost for good. Type {target.stage} to remove it", err=True) != target.stage:
        raise UsageError(f"that was not {target.stage}: nothing was removed")


def _terminal() -> bool:
    return sys.stdin.isatty()
