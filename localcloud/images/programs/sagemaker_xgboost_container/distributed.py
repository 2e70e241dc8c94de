"""Trains one XGBoost model on the instances of a job: each holds a share of the rows, and they add up the gradients."""

from __future__ import annotations

import os
import socket
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from xgboost import collective
from xgboost.tracker import RabitTracker

_PORTS = range(20_000, 32_000)
_RETRIES = 60


def rabit_run(
    exec_fun: Callable[..., Any],
    args: dict[str, Any],
    include_in_training: bool,
    hosts: Sequence[str],
    current_host: str,
    first_port: int | None = None,
    second_port: int | None = None,
    max_connect_attempts: int | None = None,
    connect_retry_timeout: int = 3,
    update_rabit_args: bool = False,
) -> None:
    """Call `exec_fun(**args)` on each of the hosts, joined by a tracker on the first of them.

    Args:
        exec_fun: what trains; with `update_rabit_args` it is given `is_master` too, true on the host that saves.
        args: its arguments.
        include_in_training: whether this host has rows. The local cloud needs rows on all hosts.
        hosts: the names of all hosts.
        current_host: the name of this one.
        first_port: the port of the tracker; default one by the job's name, for jobs here share the machine's ports.
        second_port: not used: hosts without rows would be told here.
        max_connect_attempts: how often to look for the tracker, default 60.
        connect_retry_timeout: not used: XGBoost waits itself between two attempts.
        update_rabit_args: whether to add `is_master`.

    Raises:
        ValueError: this host has no rows.
    """
    if not include_in_training:
        raise ValueError(f"The host {current_host} has no rows: give each instance at least one file.")
    names = sorted(hosts)
    port = first_port or _PORTS[zlib.crc32(os.environ.get("TRAINING_JOB_NAME", "").encode()) % len(_PORTS)]
    tracker = None
    if current_host == names[0]:
        tracker = RabitTracker(socket.gethostbyname(names[0]), len(names), port=port, sortby="task")
        tracker.start(len(names))
    joined = {
        "DMLC_TRACKER_URI": socket.gethostbyname(names[0]),
        "DMLC_TRACKER_PORT": port,
        "DMLC_TASK_ID": str(names.index(current_host)),
        "dmlc_worker_connect_retry": max_connect_attempts or _RETRIES,
    }
    with collective.CommunicatorContext(**joined):
        given = {**args, "is_master": collective.get_rank() == 0} if update_rabit_args else args
        exec_fun(**given)
    if tracker is not None:
        tracker.join()
