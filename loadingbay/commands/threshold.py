"""`threshold`: estimate what another confidence threshold would do, and register a version with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

import click

from loadingbay.options import AS_JSON, new_screen, print_json, require_running, with_target
from loadingbay.target import Target
from pipelines import costs as prices

if TYPE_CHECKING:
    from loadingbay.learning.threshold import Comparison, Point, Traffic

T = TypeVar("T")

_SHOWN = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)


@click.command(short_help="Show what another threshold would do, or register it.")
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
    "--cost-of-review", "review", metavar="COST", default="1", show_default=True,
    help="Of a photo that a person looks at.",
)  # fmt: skip
@click.option(
    "--at", metavar="THRESHOLD", help="Look at this threshold; by class as bicycle=0.7,motorcycle=0.9; 1.01 for none."
)
@click.option("--register", is_flag=True, help="Register a version with that threshold, else with the cheapest one.")
@click.option("--why", default="", metavar="TEXT", help="Why, for the new version's description.")
@AS_JSON
def threshold(
    target: Target, wrong_bay: str, review: str, at: str | None, register: bool, why: str, as_json: bool
) -> None:
    """Show what other confidence thresholds would do on the recent traffic that people labelled.

    The cheapest one comes with its 95 % interval: a wide one says that there are too few labels to change anything.
    With --register the network of the version in service gets the threshold of --at, or the cheapest: a new version,
    which is evaluated, passes the gate, and waits for a person's approval like any other.
    """
    from loadingbay.learning import threshold as thresholds
    from loadingbay.learning import traffic as recent
    from loadingbay.stack.deploy import outputs

    if prices.NONE in (wrong_bay.strip(), review.strip()):
        raise click.UsageError("--cost-of-wrong-bay none: without costs no threshold is cheaper than another; name one")
    _read("--cost-of-wrong-bay", wrong_bay, prices.read)
    _read("--cost-of-review", review, prices.one)
    if at:
        _thresholds(at)  # the classes that it may name are known later
    require_running(target)
    stack = outputs(target)
    traffic = recent.read(target, stack)
    classes = list(traffic.thresholds)
    costs = _read("--cost-of-wrong-bay", wrong_bay, lambda text: prices.of(text, review, classes))
    assert costs is not None  # noqa: S101  # it is not `none`
    asked = [_rule(at, classes)] if at else []
    found = thresholds.compare(traffic, costs, [*asked, *(dict.fromkeys(classes, one) for one in _SHOWN)])
    if not as_json:
        _show(found, traffic, asked)
    if not register:
        if as_json:
            print_json(asdict(found))
        return
    from loadingbay.learning.new_threshold import register as do
    from loadingbay.registry.versions import APPROVALS

    with new_screen() as screen:
        done = do(target, screen, stack, traffic, found, found.others[0] if asked else found.best, costs, why)
    version = done.version
    if as_json:
        print_json({**asdict(found), "registered": version.document(), "new": done.new})
    elif done.new:
        click.echo(f"Version {version.number} waits for approval: `loadingbay approve {version.number}`.")
    else:
        click.echo(f"This is version {version.number} already ({APPROVALS[version.approval]}): nothing was registered.")


def _read(flag: str, text: str, how: Callable[[str], T]) -> T:
    try:
        return how(text)
    except ValueError as error:
        raise click.UsageError(f"{flag} {text}: {error}") from error


def _thresholds(text: str) -> dict[str, float]:
    """The numbers in --at by class, that of the other classes as ""."""
    try:
        named = prices.read(text)
    except ValueError:
        named = {}
    if not named or any(not (0 <= one <= 1 or one == 1.01) for one in named.values()):
        raise click.UsageError(f"--at {text}: a threshold is a number from 0 to 1, or 1.01 to accept nothing")
    return named


def _rule(text: str, classes: list[str]) -> Mapping[str, float]:
    """The thresholds by class that --at means."""
    named = _thresholds(text)
    if unknown := [name for name in named if name and name not in classes]:
        raise click.UsageError(f"--at {text}: there is no class {unknown[0]} among {','.join(classes)}")
    if "" not in named and (missing := [name for name in classes if name not in named]):
        raise click.UsageError(f"--at {text}: there is no threshold for {missing[0]}")
    return {name: named[name] if name in named else named[""] for name in classes}


def _show(found: Comparison, traffic: Traffic, asked: list[Mapping[str, float]]) -> None:
    """Print the thresholds as a table, what the labels say of the cheapest one, and what it saves."""
    from loadingbay.learning.traffic import NEWER
    from loadingbay.screen.progress import typed

    version = f" of version {traffic.version}" if traffic.version else ""
    rest = f"; corrections, which say only that an answer was wrong, are left out: {traffic.corrections}"
    click.echo(f"{found.labels} labelled answers{version}{rest * bool(traffic.corrections)}")
    if traffic.newer:
        click.echo(typed(f"{NEWER[:1].upper()}{NEWER[1:]}"))
    click.echo("Costs of a thousand photos; 95 % intervals in brackets\n")
    click.echo(f"{'threshold':>36}  {'cost':>28}  {'accepted':>23}  {'right of those':>24}")
    named = [("today", found.today), ("cheapest", found.best)]
    named += [("asked for" if number < len(asked) else "", point) for number, point in enumerate(found.others)]
    for name, point in named:
        click.echo(_row(point, name))
    click.echo()
    for curve in found.curves:
        low, high = curve.interval
        of = "" if curve.answers == "all" else f" of {curve.answers}"
        click.echo(
            f"95 of 100 samples of these labels have their cheapest threshold{of} between {low:.3f} and {high:.3f}."
        )
    if found.best.thresholds == found.today.thresholds:
        click.echo("The threshold in service is the cheapest on these labels.")
        return
    low, high = found.best.saving_interval
    chance = ": that may be chance" if low <= 0 else ""
    click.echo(f"The cheapest costs {found.best.saving:,.1f} less than today's ({low:,.1f} to {high:,.1f}){chance}.")


def _row(point: Point, name: str) -> str:
    """Format a line of the table: thresholds, cost, share accepted and precision, the figures with intervals."""
    values = point.thresholds
    rule = f"{point.threshold:.3f}" if len(set(values.values())) == 1 else " ".join(
        f"{of} {at:.3f}" for of, at in values.items()
    )  # fmt: skip
    cost = f"{point.cost:,.1f} ({point.cost_interval[0]:,.1f} to {point.cost_interval[1]:,.1f})"
    low, high = point.accepted_interval
    accepted = f"{point.accepted:.1%} ({low:.1%} to {high:.1%})"
    right = ""
    if point.precision is not None and point.precision_interval is not None:
        low, high = point.precision_interval
        right = f"{point.precision:.1%} ({low:.1%} to {high:.1%})"
    return f"{rule:>36}  {cost:>28}  {accepted:>23}  {right:>24}  {name}".rstrip()
