"""The command line: `loadingbay`. Modules that cost time to import are imported by the command that needs them.

Exit codes: 0 done, 1 the work failed, 2 wrong use, 130 interrupted, 141 nobody reads the output any more. Errors are
one sentence on stderr; with LOADINGBAY_DEBUG=1 the traceback comes with it.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import sys
from typing import Any, NoReturn

import click

from loadingbay.commands.bulk import bulk
from loadingbay.commands.card import card
from loadingbay.commands.classify import classify
from loadingbay.commands.compare import compare
from loadingbay.commands.console import console
from loadingbay.commands.deploy import deploy
from loadingbay.commands.destroy import destroy
from loadingbay.commands.history import history
from loadingbay.commands.local import down, up
from loadingbay.commands.pretrain import pretrain
from loadingbay.commands.push import push
from loadingbay.commands.retrain import retrain
from loadingbay.commands.review import label, review
from loadingbay.commands.rollback import rollback
from loadingbay.commands.run import build, run
from loadingbay.commands.story import story
from loadingbay.commands.threshold import threshold
from loadingbay.commands.transform import transform
from loadingbay.commands.tune import tune
from loadingbay.commands.versions import approve, reject
from loadingbay.commands.watch import logs, monitor, status
from loadingbay.errors import UsageError
from loadingbay.options import OneOf, folder
from loadingbay.target import choose

_INTERRUPTED = 130
_UNREAD = 141  # as a shell says it of a program that SIGPIPE ended


class _PipeBrokeError(Exception):
    """A command wrote to a pipe that nobody reads: click would end it without a word, whichever pipe that was."""

    def __init__(self, of: BrokenPipeError) -> None:
        self.of = of


class _Commands(click.Group):
    """Lists its commands in the order in which they were added, not by name; _PipeBrokeError for a broken pipe."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        cmd.allow_extra_args = True  # with_target refuses them, in words of ours
        super().add_command(cmd, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _PipeBrokeError(error) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--cloud",
    type=OneOf(["local", "aws"]),
    help="Which cloud to use. [default: AWS_ENDPOINT_URL if set, else LOADINGBAY_CLOUD, else local]",
)
@click.option(
    "--stage",
    help="Which stage: the name of stack, pipeline and endpoint. [default: LOADINGBAY_STAGE, else loadingbay]",
)
@click.version_option(package_name="loadingbay")
@click.pass_context
def cli(context: click.Context, cloud: str | None, stage: str | None) -> None:
    """Loading Bay tells bicycles from motorcycles and routes their drivers, on this machine or on AWS."""
    context.obj = lambda: choose(os.environ, folder(), cloud, stage)


# In the order in which a person meets them.
cli.add_command(up)
cli.add_command(down)
cli.add_command(deploy)
cli.add_command(run)
cli.add_command(pretrain)
cli.add_command(tune)
cli.add_command(compare)
cli.add_command(approve)
cli.add_command(reject)
cli.add_command(rollback)
cli.add_command(history)
cli.add_command(card)
cli.add_command(classify)
cli.add_command(bulk)
cli.add_command(transform)
cli.add_command(review)
cli.add_command(label)
cli.add_command(retrain)
cli.add_command(threshold)
cli.add_command(story)
cli.add_command(monitor)
cli.add_command(status)
cli.add_command(console)
cli.add_command(logs)
cli.add_command(build)
cli.add_command(push)
cli.add_command(destroy)


def main() -> NoReturn:
    """Runs the command line; turns what a command raises into one sentence on stderr and an exit code."""
    _open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that has no tick, or a file name that is no text, must not end a command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # Whoever else may write to `.loadingbay` could put a local cloud of their own there.
    os.umask(os.umask(0o077) | 0o022)
    for name in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(name) is not signal.SIG_IGN:  # as it is below `nohup`
            signal.signal(name, signal.default_int_handler)
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        code = _INTERRUPTED
    except _PipeBrokeError as error:
        code = _UNREAD if _unread() else _explain(error.of)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
        if code and _unread():
            code = _UNREAD
    except Exception as error:
        code = _explain(error)
    else:
        code = 0
    _leave(code)


def _open_standard_streams() -> None:
    """Gives a process that was started without input or output (`>&-`) those of /dev/null.

    Otherwise Python has None in their place, and the next file that is opened gets their number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _explain(error: Exception) -> int:
    """Says what happened in one sentence; the exit code."""
    from loadingbay.screen.explain import sentence
    from loadingbay.screen.progress import typed

    if os.environ.get("LOADINGBAY_DEBUG"):
        import traceback

        traceback.print_exception(error)
    click.echo(f"Error: {typed(sentence(error))}", err=True)
    return 2 if isinstance(error, UsageError) else 1


def _unread() -> bool:
    """Whether whoever read our output has closed it, as `head` does."""
    output = select.poll()
    for descriptor in (1, 2):
        output.register(descriptor, 0)  # errors are told in any case
    return any(event & select.POLLERR for _, event in output.poll(0))


def _leave(code: int) -> NoReturn:
    """Ends the process now: a download in a background thread must not keep it alive."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
