"""`tune`: search the training parameters that give the best model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loadingbay.errors import UsageError, WorkError
from loadingbay.options import (
    AS_JSON,
    DATA,
    Number,
    OneOf,
    checked,
    folder,
    new_screen,
    parameter_options,
    print_json,
    with_target,
)
from loadingbay.target import Target
from loadingbay.tuning.space import Dimension, parse
from pipelines.parameters import PARAMETERS, Parameter, Value

if TYPE_CHECKING:
    from loadingbay.tuning.record import Objective

_SEARCHED = tuple(p for p in PARAMETERS if p.searched)
_DEFAULT_SPACE = {"LearningRate": "0.01:0.2"}


def _search_options(command: Callable[..., None]) -> Callable[..., None]:
    """An option for each parameter that may be searched, beside those that all trials share."""
    fixed = parameter_options(command, leave_out=_SEARCHED)
    for parameter in reversed(_SEARCHED):
        fixed = click.option(
            parameter.flag,
            parameter.name,
            metavar="X|LOW:HIGH|X,Y,..",
            callback=_parsed(parameter),
            help=f"{parameter.help} A value, a range, or choices within {parameter.allowed}. "
            f"[default: {_DEFAULT_SPACE.get(parameter.name, parameter.default)}]",
        )(fixed)
    return fixed


def _parsed(parameter: Parameter) -> Callable[[click.Context, click.Parameter, str | None], Value | Dimension | None]:
    """Return the click callback that reads a value or a range of the parameter; it raises click.UsageError."""

    def parsed(_context: click.Context, _option: click.Parameter, text: str | None) -> Value | Dimension | None:
        try:
            return None if text is None else parse(parameter, text)
        except ValueError as error:
            raise click.UsageError(str(error)) from error

    return parsed


@click.command(short_help="Search the parameters of training.")
@with_target
@click.option("--trials", type=Number(1, 500), default=8, show_default=True, help="Trials in all, 1 to 500.")
@click.option("--parallel", type=Number(1, 20), default=2, show_default=True, help="Trials at a time, 1 to 20.")
@click.option(
    "--objective",
    type=OneOf(["nll", "accuracy"]),
    default="nll",
    show_default=True,
    help="What ranks them, out of fold: negative log-likelihood (less noisy), or accuracy.",
)
@click.option("--register", is_flag=True, help="Evaluate and register a version with the best parameters.")
@click.option(
    "--data",
    type=DATA,
    help="A CIFAR-100 archive, or a folder of photos, as for `loadingbay run`.",
)
@_search_options
@AS_JSON
def tune(
    target: Target,
    trials: int,
    parallel: int,
    objective: Objective,
    register: bool,
    data: Path | None,
    as_json: bool,
    **options: Value | Dimension | None,
) -> None:
    """Search the parameters of training: each trial is a pipeline execution that stages and trains.

    Trials are ranked by what training measures on photos that it held out; test photos are not looked at. The same
    command goes on with a search that was interrupted, and with more --trials it adds to it.
    """
    from loadingbay.screen import results
    from loadingbay.tuning.space import Space
    from loadingbay.tuning.study import Wanted, show
    from loadingbay.tuning.study import tune as do
    from loadingbay.tuning.trials import Search

    if data is not None and not data.exists():
        raise UsageError(f"--data {data}: there is no such archive or folder")
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    space: Space = {name: value for name, value in given.items() if isinstance(value, Dimension)}
    if not space:
        space = _default_space(given)
    values = checked({name: value for name, value in given.items() if name not in space})
    with new_screen() as screen:
        if target.kind == "aws":
            screen.say(f"Running on {target.name}: each trial is a training job, and costs money.", style="yellow")
        wanted = Wanted(Search(space, trials, parallel, objective), values, data, register)
        tuned = do(target, screen, folder(), wanted, environment=os.environ)
    if as_json:
        print_json(tuned.document())
    else:
        show(results.console(), tuned)
    if tuned.failure:
        raise WorkError(tuned.failure)


def _default_space(given: dict[str, Any]) -> dict[str, Dimension]:
    """What is searched when nothing else was asked for. UsageError when every such parameter was given a value."""
    from pipelines.parameters import BY_NAME

    space = {}
    for name, text in _DEFAULT_SPACE.items():
        dimension = parse(BY_NAME[name], text)
        if name not in given and isinstance(dimension, Dimension):
            space[name] = dimension
    if not space:
        raise UsageError("there is nothing to search: give a range or choices, for example --learning-rate 0.01:0.2")
    return space
