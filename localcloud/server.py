"""Starts and stops one local cloud: claims home and port, opens the emulator, serves, resumes, and ends gracefully."""

import asyncio
import fcntl
import gc
import os
import secrets
import signal
import socket
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from localcloud.http.connections import raise_descriptor_limit, run, serve_http
from localcloud.images.environments import installer_variables
from localcloud.sandbox import homes
from localcloud.sandbox.leftovers import VARIABLE, Identity, end_marked
from localcloud.settings import Settings, StartError
from localcloud.state.credentials import owner_secret
from localcloud.state.periodic import Periodic
from localcloud.state.server_log import rotate, write_to_stderr

_LOOK_AT_LOG_SECONDS = 30.0
_LOOK_AT_HOME_SECONDS = 1.0


def claim_home(settings: Settings) -> IO[str]:
    """Make the home and hold its lock for as long as the returned file is open; StartError if another cloud has it."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if settings.home.stat().st_uid != os.geteuid():
            raise StartError(f"The home {settings.home} belongs to another user: give another --home.")
        # Also of a home that an earlier version made.
        settings.home.chmod(0o700)
        # The lock is the kernel's: it is gone with the process, however that ends.
        handle = settings.pid_file.open("a+")
    except OSError as error:
        raise StartError(f"The home {settings.home} cannot be written: {error.strerror}.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.seek(0)
        pid = next(iter(handle.read().split()), "unknown")
        handle.close()
        raise StartError(
            f"A local cloud already runs on {settings.home} (process {pid}); stop it first, or give another --home."
        ) from error
    handle.seek(0)
    handle.truncate()
    handle.write(str(Identity.of(os.getpid())))
    handle.flush()
    return handle


def machine_crashed(note: Path) -> bool:
    """Whether the machine has ended since the local cloud that left its identity in the file `note`, which `down`
    removes, or the note cannot be read.
    """
    if not note.exists():
        return False
    earlier = Identity.read(note)
    return earlier is None or earlier.boot != Identity.of(os.getpid()).boot


def end_if_moved(settings: Settings, handle: IO[str]) -> None:
    """End this process at once if its home, whose lock `handle` is, no longer has its path.

    What was acknowledged is in the home; a local cloud that went on would write to a new folder at the old path.
    """
    try:
        there = os.path.samestat(settings.pid_file.stat(), os.fstat(handle.fileno()))
    except (FileNotFoundError, NotADirectoryError):
        there = False
    if not there:
        print(
            f"The home {settings.home} was renamed or removed, so this local cloud ends. Start it again where the home "
            "is now.",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)


def claim_port(port: int) -> socket.socket:
    """Listen on 127.0.0.1; 0 takes any free port. StartError if the port is in use."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise StartError(
            f"Port {port} on 127.0.0.1 cannot be used ({error.strerror}): stop what listens there, "
            "or give another --port."
        ) from error
    return listener


def serve(settings: Settings) -> None:
    """Run a local cloud in the foreground until SIGTERM or SIGINT; StartError if it cannot start."""
    if settings.image_env is not None and not (settings.image_env / "bin").is_dir():
        raise StartError(f"--image-env: {settings.image_env / 'bin'} is not a directory.")
    if settings.image_root is not None and not settings.image_root.is_dir():
        raise StartError(f"--image-root: {settings.image_root} is not a directory.")
    # All state is the owner's alone: what is made from here on is readable by nobody else.
    os.umask(0o077)
    write_to_stderr()
    raise_descriptor_limit()
    after_crash = machine_crashed(settings.pid_file)
    with claim_home(settings) as handle, claim_port(settings.port) as listener:
        try:
            secret = owner_secret(settings.home, settings.account)
        except (OSError, ValueError) as error:
            raise StartError(str(error)) from error
        try:
            homes.note(settings.homes, settings.home)
        except OSError as error:
            print(
                f"The home cannot be noted in {settings.homes} ({error.strerror}): jobs of other local clouds may "
                "read it.",
                file=sys.stderr,
            )
        settings = replace(
            settings,
            port=listener.getsockname()[1],
            secret=secret,
            installer=installer_variables(os.environ),
            after_crash=after_crash,
        )
        run(_serve(settings, listener, handle))


async def _serve(settings: Settings, listener: socket.socket, handle: IO[str]) -> None:
    """Make the parts of the cloud, serve requests on the listener, and stop in order when a signal comes."""
    # Imported here: MiniStack reads the environment when it is imported, so the environment comes first.
    from localcloud.ministack.emulator import environment

    surroundings = environment(settings)
    os.environ.clear()
    os.environ.update(surroundings)
    # Workers of functions inherit it, and what they start.
    os.environ[VARIABLE] = str(settings.emulator_dir)
    from localcloud.assembly import Assembly

    end_marked(settings.emulator_dir)
    assembly = Assembly(settings)
    log = Periodic("rotating the log", _LOOK_AT_LOG_SECONDS, rotate)
    home = Periodic("looking at the home", _LOOK_AT_HOME_SECONDS, lambda: end_if_moved(settings, handle))
    stop = asyncio.Event()

    def request_stop() -> None:
        if stop.is_set():  # the second signal ends it at once; what was acknowledged is on disk
            os._exit(1)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, request_stop)
    finished = asyncio.Event()
    started = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def heard(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                started.set()
            await send(message)

        await assembly.front(scope, receive, heard if scope["type"] == "lifespan" else send)

    # What was imported stays: the collector need not look through it again, 0.1 s each time.
    gc.freeze()
    serving = asyncio.create_task(serve_http(app, listener, finished.wait))
    await asyncio.wait([asyncio.ensure_future(started.wait()), serving], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
        raise StartError("The server ended before it was ready; its log says why.")
    await assembly.cloud_started()
    assembly.front.ready = {
        "status": "ok",
        "pid": os.getpid(),
        "home": str(settings.home),
        "port": settings.port,
        "account": settings.account,
        "region": settings.region,
        "instance": secrets.token_hex(8),
        "version": version("localcloud"),
        "enforce_iam": settings.enforce_iam,
    }
    settings.endpoint_file.write_text(settings.endpoint_url)
    print(f"The local cloud serves {settings.endpoint_url} from {settings.home}.", file=sys.stderr, flush=True)
    await stop.wait()
    # Work first: it still needs the port to write captures and outputs to S3.
    await assembly.cloud_stopping()
    finished.set()
    await serving
    assembly.close()
    end_marked(settings.emulator_dir)
    log.stop()
    home.stop()
    settings.endpoint_file.unlink(missing_ok=True)
    settings.pid_file.unlink(missing_ok=True)
    # State is saved. A thread of the emulator that still waits for something must not keep the process, and its lock.
    os._exit(0)
