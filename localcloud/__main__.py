"""The command line: `localcloud up`, then `eval "$(localcloud env)"` for boto3, `aws` and the SageMaker SDK."""

import importlib
import locale
import os
import shlex
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from localcloud.settings import Settings, StartError

HOME = Path("~/.localcloud")
ENVIRONMENTS = Path("~/.cache/localcloud/environments")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """SageMaker and the AWS services around it, on this machine, for its owner only."""


def _absolute(_context: click.Context, _option: click.Parameter, value: Path | None) -> Path | None:
    # Not resolved: an environment is known by its own path, not by what its links lead to.
    return None if value is None else value.expanduser().absolute()


class _Whole(click.ParamType[int]):
    """A whole number from `low` to `high`, in ASCII digits."""

    name = "n"

    def __init__(self, low: int, high: int) -> None:
        self._low, self._high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number; click's error, with what is allowed, if it is none of them."""
        text = str(value)
        if not (text.isascii() and text.isdecimal() and self._low <= int(text[:9]) <= self._high):
            self.fail(f"{text}: must be a whole number from {self._low} to {self._high}", param, ctx)
        return int(text)


home_option = click.option(
    "--home",
    type=click.Path(path_type=Path),
    default=HOME,
    show_default=True,
    callback=_absolute,
    envvar="LOCALCLOUD_HOME",
    help="Directory that holds all state.",
)
_IMAGE_OPTIONS = [
    click.option(
        "--images",
        type=click.Path(path_type=Path),
        callback=_absolute,
        envvar="LOCALCLOUD_IMAGES",
        help="File of rules that say which environment stands for an image, asked before the shipped ones.",
    ),
    click.option(
        "--environments",
        type=click.Path(path_type=Path),
        default=ENVIRONMENTS,
        show_default=True,
        callback=_absolute,
        envvar="LOCALCLOUD_ENVIRONMENTS",
        help="Directory of the environments that stand for images.",
    ),
]
_SERVER_OPTIONS = [
    home_option,
    *_IMAGE_OPTIONS,
    click.option("--port", type=_Whole(0, 65535), default=4747, show_default=True, help="Port; 0 takes a free one."),
    click.option(
        "--image-env",
        type=click.Path(path_type=Path),
        callback=_absolute,
        help="Virtual environment that stands for every image no rule matches; without it, such images are refused.",
    ),
    click.option(
        "--image-root",
        type=click.Path(path_type=Path),
        show_default="that of --image-env",
        callback=_absolute,
        help="Directory whose bin/ comes first on the PATH of the processes of these images.",
    ),
    click.option(
        "--account", default="000000000000", show_default=True, help="Number of the AWS account that is simulated."
    ),
    click.option("--region", default="us-east-1", show_default=True, help="AWS region that is simulated."),
    click.option("--max-jobs", type=_Whole(1, 10_000), default=os.cpu_count() or 2, help="Job processes at once."),
    click.option("--enforce-iam", is_flag=True, help="Hold every role to its policies."),
    click.option("--strict", is_flag=True, help="Fail on answers that break AWS's model (for tests)."),
]


def options(of: list[Any]) -> Callable[[Any], Any]:
    """A decorator that gives a command these options, in this order."""

    def decorate(command: Any) -> Any:
        for option in reversed(of):
            command = option(command)
        return command

    return decorate


@main.command()
@options(_SERVER_OPTIONS)
def serve(**options: Any) -> None:
    """Run in the foreground until SIGTERM or ctrl-C."""
    from localcloud.server import serve

    if {locale.getencoding().lower(), sys.getfilesystemencoding()} != {"utf-8"} and not sys.flags.utf8_mode:
        # In a Latin-1 terminal or a C locale: files of the emulator and names of files are UTF-8 all the same.
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - this very program
    try:
        serve(Settings(**options))
    except StartError as error:
        _fail(str(error))


@main.command()
@options(_SERVER_OPTIONS)
def up(home: Path, **options: Any) -> None:
    """Start in the background, and make what `localcloud env` needs."""
    from localcloud.clients import daemon

    words = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is True]
    for name, value in options.items():
        if value is not None and not isinstance(value, bool):
            words += [f"--{name.replace('_', '-')}", str(value)]
    # Needed once the server is there; until then there is time for it.
    threading.Thread(target=importlib.import_module, args=("boto3",), daemon=True).start()
    try:
        running = daemon.start(home, words)
    except (daemon.DaemonError, OSError) as error:
        _fail(str(error))
    _prepare(home, running)
    click.echo(f"Serving {running.url} from {home} (process {running.pid}).")
    click.echo('For clients in this shell: eval "$(localcloud env)"')


@main.command()
@home_option
def env(home: Path) -> None:
    """Print the variables that let boto3, `aws` and the SageMaker SDK use the local cloud: eval "$(localcloud env)"."""
    from localcloud.clients.environment import UNSET, variables

    address = _prepare(home, _running(home))
    click.echo(f"unset {' '.join(UNSET)}")
    for name, value in variables(address, home, os.environ.get("PYTHONPATH", "")).items():
        click.echo(f"export {name}={shlex.quote(value)}")


@main.command()
@home_option
def status(home: Path) -> None:
    """Say whether it runs, where, and as which process; exit code 1 if it does not."""
    running = _running(home)
    click.echo(f"Running at {running.url} on {home}: process {running.pid}, version {running.health['version']}")


@main.command()
@home_option
@click.option("--lines", type=click.IntRange(1), default=50, show_default=True, help="How many of the last lines.")
def logs(home: Path, lines: int) -> None:
    """Print the end of the server's own log.

    Those of jobs are in CloudWatch Logs: aws logs filter-log-events --log-group-name /aws/sagemaker/TrainingJobs
    """
    from localcloud.clients.daemon import log_file

    try:
        with log_file(home).open(errors="replace") as log:
            click.echo("".join(deque(log, lines)), nl=False)
    except FileNotFoundError:
        _fail(f"There is no log in {home}: `localcloud up` has not been run on it.")


@main.command()
@home_option
def down(home: Path) -> None:
    """Stop it; all state is kept in its home."""
    from localcloud.clients import daemon

    try:
        click.echo("Stopped." if daemon.stop(home) else f"No local cloud runs on {home}.")
    except daemon.DaemonError as error:
        _fail(str(error))


@main.command()
@options(_IMAGE_OPTIONS)
@click.option("--make", metavar="NAME", help="Make the environment of this name now, rather than on its first use.")
def images(images: Path | None, environments: Path, make: str | None) -> None:
    """List the environments that stand for container images.

    Of each: its name, whether it is made already, the pattern of the images' addresses, and its folder.
    """
    from localcloud.images.catalog import CatalogError, known_rules
    from localcloud.images.environments import Images, InstallError, installer_variables

    try:
        known = Images(environments, known_rules(images), None, installer_variables(os.environ))
        if make is None:
            for rule, place, made in known.listed():
                click.echo(f"{rule.name:<22} {'made' if made else 'not made':<8} {rule.pattern}\n{'':<31} {place}")
            return
        named = next((rule for rule, _, _ in known.listed() if rule.name == make), None)
        if named is None:
            _fail(f"No image rule has the name {make!r}: `localcloud images` lists them.")
        click.echo(known.make(named, click.echo))
    except (CatalogError, InstallError) as error:
        _fail(str(error))


@main.command()
def operations() -> None:
    """Print the page of SageMaker operations that are there, as Markdown."""
    from localcloud.http.operations import page

    click.echo(page(), nl=False)


def _running(home: Path) -> Any:
    """Return the local cloud that runs on the home; ends the command with a sentence if there is none."""
    from localcloud.clients.daemon import find

    found = find(home)
    if found is None:
        _fail(f"No local cloud runs on {home}: `localcloud up` starts one.")
    return found


def _prepare(home: Path, running: Any) -> Any:
    """The address of a running cloud, once its role, bucket and clients' files are there."""
    import boto3

    from localcloud.clients.environment import Address, prepare
    from localcloud.state.credentials import owner_secret

    # The shell may name a profile, which boto3 would read although it is given keys.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    address = Address(running.url, running.health["account"], running.health["region"], running.health["instance"])
    try:
        secret = owner_secret(home, address.account)
    except ValueError as error:
        _fail(str(error))
    session = boto3.Session(address.account, secret, region_name=address.region)
    prepare(address, home, lambda service: session.client(service, endpoint_url=address.url))
    return address


def _fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
