"""`pretrain`: make the weights that training starts from, of photos of other things."""

from __future__ import annotations

import os
from pathlib import Path

import click

from loadingbay.errors import UsageError
from loadingbay.options import AS_JSON, DATA, LocalPath, Number, new_screen, print_json, with_target
from loadingbay.target import Target
from pipelines.parameters import BY_NAME
from pipelines.pretraining import EPOCHS

_OUTPUT = Path(__file__).resolve().parents[2] / "training" / "pretrained.params"


def _classes(_context: click.Context, _option: click.Parameter, text: str) -> str:
    try:
        return str(BY_NAME["Classes"].parse(text))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


@click.command(short_help="Make weights to start from, of other photos.")
@with_target
@click.option(
    "--data",
    type=DATA,
    help="A CIFAR-100 archive, or a folder of photos, as for `loadingbay run`.",
)
@click.option(
    "--classes",
    default=str(BY_NAME["Classes"].default),
    show_default=True,
    callback=_classes,
    help="The classes to leave out, because training learns them.",
)
@click.option(
    "--epochs", type=Number(1, 1000), default=EPOCHS, show_default=True, help="Passes over photos, 1 to 1,000."
)
@click.option(
    "--seed", type=Number(0, 2**31 - 1), default=1, show_default=True, help="Seed of everything that is drawn."
)
@click.option(
    "--output",
    type=LocalPath("a file, or be left out"),
    help="Where the weights go. [default: training/pretrained.params]",
)
@AS_JSON
def pretrain(
    target: Target, data: Path | None, classes: str, epochs: int, seed: int, output: Path | None, as_json: bool
) -> None:
    """Learn the classes of the data that are not asked for, and keep the weights for training to start from.

    A pipeline of two cached steps: the same photos, code and options give the weights that were made before. With the
    98 other classes of CIFAR-100 it takes about half an hour. The next `run` starts from the new weights; the file that
    came with the project comes back with `git checkout training/pretrained.params`.
    """
    from loadingbay.story.pretraining import pretrain as do

    if data is not None and not data.exists():
        raise UsageError(f"--data {data}: there is no such archive or folder")
    values = {"Classes": classes, "Epochs": str(epochs), "Seed": str(seed)}
    with new_screen() as screen:
        if target.kind == "aws":
            screen.say(f"Running on {target.name}: jobs cost money there.", style="yellow")
        made = do(target, screen, environment=os.environ, data=data, values=values, output=output or _OUTPUT)
    if as_json:
        print_json(made.document())
        return
    click.echo(f"{'Made before' if made.cached else 'Made'}: {made.file}")
