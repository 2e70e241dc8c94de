"""The command `serve`: reads the environment, listens, and runs the server; errors are one sentence and exit code 1."""

from __future__ import annotations

import argparse
import logging
import os
import pwd
import socket
import sys
from pathlib import Path

import uvloop

from . import loader, logs
from .settings import Settings, SettingsError, describe, from_environment
from .supervisor import Supervisor, listen

log = logging.getLogger("modelserver")

PROGRAM = Path(__file__).resolve().parent.parent / "bin" / "serve"
# One thread for each worker's network: there are as many workers as cores. Whoever sets them otherwise is obeyed.
TUNING = {"OMP_NUM_THREADS": "1", "MXNET_ENGINE_TYPE": "NaiveEngine", "MXNET_SUBGRAPH_VERBOSE": "0"}


def main(arguments: list[str]) -> int:
    """Run `serve` with these command-line arguments; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="serve",
        description="Serve the model artifact over HTTP: GET /ping, POST /invocations, GET /execution-parameters, "
        "GET /metrics.",
        epilog="Environment:\n" + describe(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--loader", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    logs.configure()
    if options.loader:
        return loader.run(*options.loader)
    try:
        settings = from_environment(os.environ)
    except SettingsError as problem:
        return _refuse(str(problem))
    try:
        listener = listen(settings.host, settings.port)
    except OSError as problem:
        return _refuse(
            f"cannot listen on {settings.host} port {settings.port}: {problem.strerror or problem}; "
            "set SERVE_HOST or SAGEMAKER_BIND_TO_PORT"
        )
    try:
        become(settings.user)
    except (KeyError, OSError) as problem:
        return _refuse(f"SERVE_USER is {settings.user!r}: cannot become that user: {problem}")
    for name, value in TUNING.items():
        os.environ.setdefault(name, value)
    host, port = listener.getsockname()[:2]
    log.info("listening on http://%s:%d, loading %s", host, port, settings.model_dir)
    return _serve(settings, listener)


def become(user: str) -> None:
    """Give up root for good. Nothing to do without a user, or when not root. KeyError: there is no such user."""
    if not user or os.geteuid() != 0:
        return
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)


def _refuse(sentence: str) -> int:
    log.error("%s", sentence)
    return 1


def _serve(settings: Settings, listener: socket.socket) -> int:
    """Serve until a signal or a failure; return the exit code, with the failure's sentence logged."""
    supervisor = Supervisor(settings, listener, PROGRAM)
    code: int = uvloop.run(supervisor.serve())
    if supervisor.failure:
        log.error("%s", supervisor.failure)
    else:
        log.info("stopped")
    sys.stderr.flush()
    return code
