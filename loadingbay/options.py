"""What the commands share: their target, their options, their ways of printing."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loadingbay.errors import WorkError
from loadingbay.target import Target
from pipelines import numbers
from pipelines.parameters import PARAMETERS, Parameter, Value, check_costs

if TYPE_CHECKING:
    from loadingbay.screen.progress import Screen

ROOT = Path(__file__).resolve().parent.parent
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, and nothing else there.")


class LocalPath(click.Path):
    """A path on this machine: neither empty, which Python takes for the current folder, nor an address.

    `what` says what it must name, `elsewhere` what to do with an address.
    """

    def __init__(self, what: str, elsewhere: str = "copy it to this machine first, and name the copy") -> None:
        super().__init__(path_type=Path)
        self._what, self._elsewhere = what, elsewhere

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the Path; click.UsageError if the text is empty or an address."""
        if value == "":
            raise _refused(value, f"must name {self._what}", param, ctx)
        if re.match("[a-z][a-z0-9+.-]*://", str(value), re.IGNORECASE):
            raise _refused(value, f"must name {self._what}, not an address: {self._elsewhere}", param, ctx)
        return super().convert(value, param, ctx)


DATA = LocalPath("an archive or a folder, or be left out")


class Number(click.ParamType[float]):
    """A whole number, or with `whole=False` any, from `low` to `high`; None sets no upper bound.

    With `above`, `low` itself is not allowed.
    """

    def __init__(self, low: float, high: float | None = None, *, whole: bool = True, above: bool = False) -> None:
        self.name = "n" if whole else "x"  # the metavar, which click writes in capitals
        self._low, self._high, self._whole, self._above = low, high, whole, above
        least = f"above {low:,}" if above else f"{low:,}" if high is not None else f"at least {low:,}"
        self._allowed = least if high is None else f"{least} to {high:,}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; click.UsageError, with the values that are allowed, if it is none of them."""
        try:
            number = numbers.whole(value) if self._whole else numbers.number(value)
        except ValueError:
            kind = "a whole number" if self._whole else "a number"
            raise _refused(value, f"must be {kind}, {self._allowed}", param, ctx) from None
        high = math.inf if self._high is None else self._high
        if not self._low <= number <= high or (self._above and number == self._low):
            raise _refused(value, f"must be {self._allowed}", param, ctx)
        return number


class OneOf(click.Choice[str]):
    """The type of an option whose value is one of a few words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word; click.UsageError, with the words that are allowed, if it is none of them."""
        if value not in self.choices:
            raise _refused(value, f"must be {' or '.join(self.choices)}", param, ctx)
        return str(value)


def _refused(value: Any, allowed: str, param: click.Parameter | None, ctx: click.Context | None) -> click.UsageError:
    """Return the error that names an option or argument, its value, and what is allowed."""
    option = isinstance(param, click.Option)
    name = "" if param is None else max(param.opts, key=len) if option else param.human_readable_name
    return click.UsageError(f"{name} {value or repr(value)}: {allowed}".lstrip(), ctx)


def folder() -> Path:
    """Where `.loadingbay` and `runs` lie: the project's folder, or LOADINGBAY_FOLDER."""
    return Path(os.environ.get("LOADINGBAY_FOLDER") or ROOT).resolve()


def with_target(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command its target as the first argument; refuses arguments that it does not take."""

    @click.pass_context
    def called(context: click.Context, /, *args: Any, **kwargs: Any) -> None:
        if context.args:  # `cli` lets click pass them on
            takes = " ".join(p.make_metavar(context) for p in context.command.params if isinstance(p, click.Argument))
            allowed = f"no more than {takes}" if takes else "no argument"
            raise click.UsageError(f"{' '.join(context.args)}: {context.info_name} takes {allowed}", context)
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
