"""What the commands share: their target, their options, their ways of printing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loadingbay.errors import WorkError
from loadingbay.target import Target
from pipelines.parameters import PARAMETERS, Parameter, Value, check_costs

if TYPE_CHECKING:
    from loadingbay.screen.progress import Screen

ROOT = Path(__file__).resolve().parent.parent
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, and nothing else there.")


class DataPath(click.Path):
    """A path to data that must not be empty: Python takes an empty path for the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the Path; click.BadParameter if the text is empty."""
        if value == "":
            self.fail("it is empty: name an archive or a folder, or leave the option out", param, ctx)
        return super().convert(value, param, ctx)


def folder() -> Path:
    """Where `.loadingbay` and `runs` lie: the project's folder, or LOADINGBAY_FOLDER."""
    return Path(os.environ.get("LOADINGBAY_FOLDER") or ROOT).resolve()


def with_target(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command its target as the first argument."""

    @click.pass_context
    def called(context: click.Context, /, *args: Any, **kwargs: Any) -> None:
        command(context.obj(), *args, **kwargs)

    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined] # click's own
    return called


def parameter_options(command: Callable[..., None], leave_out: Collection[Parameter] = ()) -> Callable[..., None]:
    """Add a command line option for each pipeline parameter that a person may set, except `leave_out`."""
    for parameter in reversed(PARAMETERS):
        if parameter.option and parameter not in leave_out:
            help_ = f"{parameter.help} {parameter.allowed[:1].upper()}{parameter.allowed[1:]}."
            command = click.option(
                parameter.flag,
                parameter.name,
                metavar={"Integer": "N", "Float": "X", "String": "TEXT"}[parameter.kind],
                callback=_parsed(parameter),
                help=f"{help_} [default: {parameter.default}]",
            )(command)
    return command


def checked(values: Mapping[str, Value | None]) -> dict[str, Value]:
    """The parameters that were given, without those that are None. UsageError where they do not fit together."""
    chosen = {name: value for name, value in values.items() if value is not None}
    try:
        check_costs(chosen)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return chosen


def _parsed(parameter: Parameter) -> Callable[[click.Context, click.Parameter, str | None], Value | None]:
    """Return the click callback that reads a value of the parameter; it raises click.UsageError."""

    def parse(_context: click.Context, _option: click.Parameter, text: str | None) -> Value | None:
        try:
            return None if text is None else parameter.parse(text)
        except ValueError as error:
            raise click.UsageError(str(error)) from error

    return parse


def require_running(target: Target) -> None:
    """Raises WorkError when the target is this folder's local cloud and it does not run."""
    from loadingbay.stack import local_cloud

    if target.kind == "local" and local_cloud.running(target) is None:
        raise WorkError(f"the local cloud is not running at {target.endpoint_url}: `loadingbay up` starts it")


def print_json(document: Any) -> None:
    """Print a result as JSON on stdout."""
    click.echo(json.dumps(document, indent=2, default=str))


def new_screen() -> Screen:
    """Return the Screen on which a command shows its progress."""
    from loadingbay.screen.progress import Screen

    return Screen()
