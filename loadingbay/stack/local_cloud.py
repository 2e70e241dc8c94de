"""Starts, finds and stops the local cloud of this folder, which runs as a daemon: `python -m localcloud serve`."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadingbay.errors import WorkError
from loadingbay.stack.locks import alone
from loadingbay.target import Target

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 60.0
# What a stack of the local cloud is made with instead of the template's defaults: an update is watched for a moment, as
# its requests and its alarms are a test's or one person's, who waits for it.
PARAMETERS = {"BakeSeconds": "1"}
_PATIENCE = (2.0, 8.0)  # seconds for an answer at each try
_HEALTH_BYTES = 65_536  # more than a local cloud ever says of itself

# Straight to loopback: a proxy of the environment must not be asked for 127.0.0.1.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class _NotOursError(Exception):
    """Something listens at the address, but does not answer as a local cloud does."""


def health(target: Target, timeout: float = 2.0) -> dict[str, Any] | None:
    """What the local cloud says of itself (status, pid, home, port, version), or None when none answers there."""
    try:
        return _ask(target, timeout)
    except _NotOursError:
        return None


def _ask(target: Target, timeout: float) -> dict[str, Any] | None:
    """As `health`, but raises _NotOursError when something else listens there, or answers nothing in time."""
    try:
        with _OPENER.open(f"{target.endpoint_url}/_localcloud/health", timeout=timeout) as answer:
            document = json.loads(answer.read(_HEALTH_BYTES))
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            return None
        raise _NotOursError from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _NotOursError from error
    if not isinstance(document, dict):
        raise _NotOursError
    if not isinstance(document.get("home"), str) or not isinstance(document.get("pid"), int):
        raise _NotOursError
    return document


def log_file(target: Target) -> Path:
    """The daemon's log."""
    return _home(target) / "localcloud.log"


def running(target: Target) -> dict[str, Any] | None:
    """The health of this folder's local cloud if it runs. Raises WorkError when something else has the port."""
    found = None
    for timeout in _PATIENCE:
        try:
            found = _ask(target, timeout)
            break
        except _NotOursError:
            continue  # it may be starting, stopping, or busy
    else:
        raise WorkError(
            f"port {target.port} is used by something else, not by a local cloud that answers: stop that, or choose "
            f"another port with LOADINGBAY_PORT={target.port + 1}"
        )
    if found is not None and Path(found["home"]).resolve() != _home(target).resolve():
        raise WorkError(
            f"port {target.port} belongs to the local cloud of {found['home']}: "
            f"stop that one, or choose another port with LOADINGBAY_PORT={target.port + 1}"
        )
    return found


def _running_as_wanted(target: Target) -> bool:
    found = running(target)
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
    if _running_as_wanted(target):
        return False
    image_env = ROOT / ".venv-image"
    if not (image_env / "bin" / "python").exists():
        raise WorkError(f"the image environment {image_env} is missing: `make setup` creates it")
    home = _home(target)
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Its owner's alone, as all state is.
        log = os.fdopen(os.open(log_file(target), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")
    except OSError as error:
        raise WorkError(f"the local cloud cannot keep its state in {home}: {error.strerror}") from error
    command = [sys.executable, "-m", "localcloud", "serve", "--home", str(home), "--port", str(target.port)]
    command += ["--image-env", str(image_env), "--image-root", str(ROOT / "container")]
    command += ["--enforce-iam"] if target.enforce_iam else []
    # Its own session: ctrl-C in this terminal, or closing it, is not for the daemon.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with log:
        begins = log.tell()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if health(target) is not None and running(target):
            return True
        if process.poll() is not None:
            # Someone else may have started it at the same moment: then ours was refused, and that is fine.
            if running(target):
                return False
            said = _last_words(target, begins) or f"the local cloud ended with exit code {process.returncode}"
            if f"Port {target.port} " in said:
                said = said.replace("give another --port", f"choose another with LOADINGBAY_PORT={target.port + 1}")
            raise WorkError(said)
        waiting()
        time.sleep(0.1)
    process.terminate()
    raise WorkError(f"the local cloud did not answer within {START_SECONDS:.0f} s: see {log_file(target)}")


def stop(target: Target) -> bool:
    """Stops the local cloud, which saves its state first; whether one ran.

    Raises WorkError when it does not end, or when what answers is not the process that the home's own file names.
    """
    found = running(target)
    if found is None:
        return False
    pid = int(found["pid"])
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        # Held before it is looked at: the number may have become another process's since the answer.
        if not _is_named_by(_home(target), pid):
            if running(target) is None:
                return True
            raise WorkError(
                f"what answers on port {target.port} says that it is process {pid}, but the local cloud of "
                f"{_home(target)} is another or none: nothing was stopped"
            )
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if select.select([process], [], [], STOP_SECONDS)[0]:
            return True
    finally:
        os.close(process)
    raise WorkError(f"the local cloud (process {pid}) did not stop within {STOP_SECONDS:.0f} s: see {log_file(target)}")


def _is_named_by(home: Path, pid: int) -> bool:
    """Whether a process is the one that claimed the home: by its number, its start in clock ticks and the boot's id."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return (home / "localcloud.pid").read_text().split() == [str(pid), started, boot]
    except OSError:
        return False


def _home(target: Target) -> Path:
    if target.home is None:
        raise WorkError(f"this command is for the local cloud, but the environment points at {target.endpoint_url}")
    return target.home


def _last_words(target: Target, begins: int) -> str:
    """The last line that the daemon wrote since `begins`."""
    with log_file(target).open("rb") as log:
        log.seek(begins)
        lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
