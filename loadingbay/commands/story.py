"""`story`: tells in one run what the application does by itself when a camera changes."""

from __future__ import annotations

import os
from pathlib import Path

import click

from loadingbay.options import OneOf, folder, new_screen, with_target
from loadingbay.target import Target


@click.command(short_help="Watch a camera change, and the application learn it.")
@with_target
@click.argument("name", type=OneOf(["drift"]))
@click.option(
    "--camera",
    type=OneOf(["askew", "out-of-focus", "night"]),
    default="out-of-focus",
    show_default=True,
    help="What happens to it.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A CIFAR-100 archive. [default: CIFAR100_ARCHIVE, the cache, a download, or drawn samples]",
)
@click.option("--short", is_flag=True, help="Fewer photos and epochs, and monitoring does not wait for its schedule.")
def story(target: Target, name: str, camera: str, data: Path | None, short: bool) -> None:
    """Run the story NAME on the local cloud, in a stage of its own.

    drift: a third of the photos is held out and streams through a version that was trained with the others. Then the
    camera changes. The schedule's monitoring finds it, the alarm rings, people label what they would see, a training
    starts by itself, its version is compared as a shadow, promoted, and the figures recover. It takes about ten
    minutes, with --short about three, and draws runs/drift-CAMERA/report.png.

    The stage is `drift-story`, unless --stage names another: `loadingbay --stage drift-story console` shows it, and
    `loadingbay --stage drift-story destroy` removes it. The next story does so, too.
    """
    from loadingbay.screen.progress import shown
    from loadingbay.story.drift import telling

    pace = telling.SHORT if short else telling.WHOLE
    with new_screen() as screen:
        told = telling.tell(target, screen, folder(), environment=os.environ, data=data, camera=camera, pace=pace)
    click.echo(f"{told.became[:1].upper()}{told.became[1:]}\nPicture  {shown(told.picture)}")
