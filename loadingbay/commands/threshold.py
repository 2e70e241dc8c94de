"""`threshold`: estimate what another confidence threshold would cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from loadingbay.options import AS_JSON, print_json, require_running, with_target
from loadingbay.target import Target

if TYPE_CHECKING:
    from loadingbay.learning.threshold import Point

_SHOWN = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)


@click.command(short_help="Show what another threshold would cost.")
@with_target
@click.option(
    "--cost-of-wrong-bay",
    "wrong_bay",
    metavar="COST",
    default="10",
    show_default=True,
    help="Of a driver at the wrong bay; by answer as bicycle=5,motorcycle=20.",
)
@click.option(
    "--cost-of-review",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Of a photo that a person looks at.",
)
@AS_JSON
def threshold(target: Target, wrong_bay: str, cost_of_review: float, as_json: bool) -> None:
    """Show what other confidence thresholds would cost, on the recent traffic that people labelled.

    The cheapest one comes with its 95 % interval: a wide one says that there are too few labels to change anything.
    """
    from loadingbay.learning import threshold as thresholds
    from loadingbay.stack.deploy import outputs

    otherwise, by_class = _costs(wrong_bay)
    require_running(target)
    answers, today, accepted = thresholds.read(target, outputs(target)["BucketName"])
    costs = thresholds.Costs(cost_of_review, otherwise, by_class)
    found = thresholds.compare(answers, today, accepted, costs)
    if as_json:
        print_json(asdict(found))
        return
    low, high = found.interval
    click.echo(f"{found.labels} labelled answers; costs of a thousand photos\n")
    click.echo("threshold       cost  accepted  right of those")
    rows = {"today": found.today, "cheapest": found.best}
    for name, point in rows.items():
        click.echo(_row(point, name))
    for at in _SHOWN:
        click.echo(_row(min(found.points, key=lambda point: abs(point.threshold - at)), ""))
    click.echo(f"\n95 of 100 samples of these labels have their cheapest threshold between {low:.3f} and {high:.3f}.")


def _row(point: Point, name: str) -> str:
    right = "" if point.precision is None else f"{point.precision:.1%}"
    return f"{point.threshold:9.3f} {point.cost:10.1f} {point.accepted:9.1%} {right:>15}  {name}".rstrip()


def _costs(text: str) -> tuple[float, Mapping[str, float]]:
    """The cost of a wrong answer of any class, and those of some classes. UsageError for what is no cost."""
    by_class, otherwise = {}, 10.0
    for part in text.split(","):
        name, equals, value = part.rpartition("=")
        try:
            cost = float(value)
        except ValueError:
            cost = -1.0
        if not 0 <= cost < float("inf"):
            raise click.UsageError(f"--cost-of-wrong-bay {text}: {part!r} is no cost, such as 10 or motorcycle=20")
        if equals:
            by_class[name.strip()] = cost
        else:
            otherwise = cost
    return otherwise, by_class
