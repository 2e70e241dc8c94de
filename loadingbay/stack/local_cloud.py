"""Starts, finds and stops the local cloud of this folder, which runs as a daemon: `python -m localcloud serve`."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loadingbay.errors import WorkError
from loadingbay.stack.locks import alone
from loadingbay.target import Target
from localcloud.clients import daemon
from localcloud.sandbox.leftovers import Identity

ROOT = Path(__file__).resolve().parents[2]
# What a stack of the local cloud is made with instead of the template's defaults: an update is watched for a moment, as
# its requests and its alarms are a test's or one person's, who waits for it.
PARAMETERS = {"BakeSeconds": "1"}
_TIMEOUT = 1.0  # seconds for an answer
_QUICK = 0.5  # for one more try
_PATIENCE = 8.0  # for more tries, when this folder's local cloud runs


class _NotOursError(Exception):
    """Something listens at the address, but does not answer as a local cloud does."""


class _StartingError(WorkError):
    """This folder's local cloud has begun to start, and does not answer yet."""


def health(target: Target, timeout: float = 2.0) -> dict[str, Any] | None:
    """What the local cloud says of itself (status, pid, home, port, version), or None when none answers there."""
    try:
        return _ask(target, timeout)
    except _NotOursError:
        return None


def _ask(target: Target, timeout: float) -> dict[str, Any] | None:
    """As `health`, but raises _NotOursError when something else listens there, or answers nothing in time."""
    try:
        document = daemon.health(str(target.endpoint_url), timeout)
    except ConnectionRefusedError:
        return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _NotOursError from error
    if not isinstance(document, dict):
        raise _NotOursError
    if not isinstance(document.get("home"), str) or not isinstance(document.get("pid"), int):
        raise _NotOursError
    return document


def log_file(target: Target) -> Path:
    """The log of the local cloud of this folder."""
    return daemon.log_file(_home(target))


def running(target: Target, patience: float | None = None) -> dict[str, Any] | None:
    """The health of this folder's local cloud if it runs. WorkError if it hangs, or something else has the port.

    One that runs and does not answer is asked again for `patience` seconds (8 by default).
    """
    _refuse_suspended(target, _started_here(target))
    try:
        found = _ask(target, _TIMEOUT)
    except _NotOursError:
        found = _ask_again(target, _PATIENCE if patience is None else patience)
    if found is not None and Path(found["home"]).resolve() != _home(target).resolve():
        raise WorkError(
            f"port {target.port} belongs to the local cloud of {found['home']}: "
            f"stop that one, or choose another port with LOADINGBAY_PORT={target.port + 1}"
        )
    return found


def _ask_again(target: Target, patience: float) -> dict[str, Any] | None:
    """As `_ask`, of an address that has not answered as a local cloud does. WorkError says what listens there."""
    ours = _started_here(target)
    ends = time.monotonic() + (patience if ours else 0)  # ours may be starting, stopping, or busy
    while True:
        try:
            return _ask(target, min(max(ends - time.monotonic(), _QUICK), 3 * _TIMEOUT))
        except _NotOursError:
            _refuse_suspended(target, ours)
            if time.monotonic() < ends:
                time.sleep(0.1)
            elif ours is not None and daemon.state(ours):
                since = daemon.age(ours)
                if since < daemon.START_SECONDS:
                    raise _StartingError(
                        f"the local cloud of {target.home} (process {ours.pid}) was started {since:.0f} s ago and does "
                        f"not answer on port {target.port} yet: wait a moment, then try again; its log is "
                        f"{log_file(target)}"
                    ) from None
                raise WorkError(
                    f"the local cloud of {target.home} (process {ours.pid}) does not answer on port {target.port}; "
                    f"its log is {log_file(target)}: `kill -9 {ours.pid}` ends it, and `loadingbay up` goes on from "
                    "its state"
                ) from None
            else:
                raise WorkError(
                    f"port {target.port} is used by something else, not by a local cloud that answers: stop that, or "
                    f"choose another port with LOADINGBAY_PORT={target.port + 1}"
                ) from None


def _refuse_suspended(target: Target, process: Identity | None) -> None:
    """Raise WorkError if a process, which is this folder's local cloud, is suspended (Ctrl-Z, SIGSTOP)."""
    if process is not None and daemon.state(process) == "T":
        raise WorkError(
            f"the local cloud of {target.home} is suspended: `kill -CONT {process.pid}` lets its process go on"
        )


def _started_here(target: Target) -> Identity | None:
    """The process of this folder's local cloud, if it runs and has not said that its address is another."""
    process = daemon.identity(_home(target))
    if process is None or not daemon.state(process):
        return None
    try:
        address = (_home(target) / "endpoint").read_text().strip()
    except OSError:
        address = ""  # it has not started completely
    return process if address in {"", target.endpoint_url} else None


def _running_as_wanted(target: Target) -> bool:
    """Whether the local cloud runs; one that an interrupted `up` has begun to start is waited for.

    WorkError when it is of another version than this program, or does not enforce IAM and the target wants that.
    """
    found, ours = running(target, daemon.START_SECONDS), version("localcloud")
    if found is not None and found.get("version", ours) != ours:
        raise WorkError(
            f"the local cloud that runs is of version {found['version']}, and this program of {ours}: stop it with "
            "`loadingbay down`, then try again; its state stays"
        )
    if found is not None and target.enforce_iam and not found.get("enforce_iam"):
        raise WorkError(
            "the local cloud runs, but does not enforce IAM: stop it with `loadingbay down`, then try again"
        )
    return found is not None


def start(target: Target, waiting: Callable[[], None] = lambda: None) -> bool:
    """Starts the local cloud unless it runs, and waits until it answers; whether it had to be started.

    `waiting` is called about ten times a second meanwhile. When several commands start it at once, one does and the
    others wait for it. Raises WorkError with the daemon's own sentence when it ends early.
    """
    with alone(_home(target), "start"):
        return _start(target, waiting)


def _start(target: Target, waiting: Callable[[], None]) -> bool:
    """As `start`, by the only process that starts this local cloud now."""
    deadline = time.monotonic() + daemon.START_SECONDS
    while not _running_as_wanted(target):
        if _started_here(target) is None or time.monotonic() >= deadline:
            break
        waiting()  # it is stopping, and has the home until it has ended
        time.sleep(0.1)
    else:
        return False
    image_env = ROOT / ".venv-image"
    if not (image_env / "bin" / "python").exists():
        raise WorkError(f"the image environment {image_env} is missing: `make setup` creates it")
    home = _home(target)
    options = ["--port", str(target.port), "--image-env", str(image_env), "--image-root", str(ROOT / "container")]
    options += ["--enforce-iam"] if target.enforce_iam else []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    try:
        process, began = daemon.spawn(home, options, ROOT, environment)
    except OSError as error:
        raise WorkError(f"the local cloud cannot keep its state in {home}: {error.strerror}") from error
    deadline = time.monotonic() + daemon.START_SECONDS
    while time.monotonic() < deadline:
        if health(target) is not None and running(target):
            return True
        if process.poll() is not None:
            # Someone else may have started it at the same moment: then ours was refused, and that is fine.
            if running(target):
                return False
            said = daemon.last_line(home, began) or f"the local cloud ended with exit code {process.returncode}"
            if f"Port {target.port} " in said:
                said = said.replace("give another --port", f"choose another with LOADINGBAY_PORT={target.port + 1}")
            if said.startswith("ModuleNotFoundError"):
                said = f"the tools environment is older than this program ({said}): `make setup` brings it up to date"
            raise WorkError(said)
        waiting()
        time.sleep(0.1)
    process.terminate()
    raise WorkError(f"the local cloud did not answer within {daemon.START_SECONDS:.0f} s: see {log_file(target)}")


def stop(target: Target) -> bool:
    """Stops the local cloud of this folder, whichever port it has, and lets it save its state; whether one ran.

    Raises WorkError when it does not end, or when what answers is not the process that the home's own file names.
    """
    home, starting = _home(target), False
    ours = _started_here(target)
    young = ours is not None and daemon.age(ours) < daemon.START_SECONDS
    try:
        found = running(target, patience=0.0 if young else None)
    except _StartingError:
        found, starting = None, True
    if found is None and not starting and daemon.find(home) is None:
        return False
    named = daemon.identity(home)
    try:
        stopped = (found is None or (named is not None and named.pid == found["pid"])) and daemon.stop(home)
    except daemon.DaemonError as error:
        raise WorkError(f"the local cloud did not stop: {error} See {log_file(target)}") from error
    if found is not None and not stopped and running(target) is not None:
        raise WorkError(
            f"what answers on port {target.port} says that it is process {found['pid']}, but the local cloud of "
            f"{home} is another or none: nothing was stopped. If `ps -fp {found['pid']}` shows a local cloud, such as "
            f"one of an earlier version, `kill {found['pid']}` ends it"
        )
    return True


def _home(target: Target) -> Path:
    if target.home is None:
        raise WorkError(f"this command is for the local cloud, but the environment points at {target.endpoint_url}")
    return target.home
