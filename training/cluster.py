"""Training on several instances: MXNet's parameter server, started from what SageMaker says about the hosts.

Each instance runs one worker that computes gradients on its share of every batch; the first also runs the scheduler and
the server that adds them up. Every worker then makes the same step, so that all hold the same weights.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cluster:
    """The hosts of a training job, sorted, and the one this process runs on."""

    hosts: tuple[str, ...] = ("localhost",)
    current: str = "localhost"

    @property
    def rank(self) -> int:
        """This host's number, from 0."""
        return self.hosts.index(self.current)

    @property
    def size(self) -> int:
        """How many hosts there are."""
        return len(self.hosts)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Cluster:
        """From SM_HOSTS (JSON) and SM_CURRENT_HOST, or one host without them. ValueError when they disagree."""
        hosts = tuple(sorted(json.loads(variables.get("SM_HOSTS", '["localhost"]'))))
        current = variables.get("SM_CURRENT_HOST", hosts[0])
        if current not in hosts:
            raise ValueError(f"SM_CURRENT_HOST is {current!r}, which is not in SM_HOSTS {list(hosts)}")
        return cls(hosts, current)


class Exchange:
    """Adds up gradients over all workers, through MXNet's synchronous distributed key-value store."""

    def __init__(self, cluster: Cluster) -> None:
        import mxnet as mx  # only once the variables of the parameter server are set

        self.rank, self.size = cluster.rank, cluster.size
        self._store = mx.kv.create("dist_sync")
        self._zeros, self._array = mx.nd.zeros, mx.nd.array
        self._known: set[str] = set()

    def sum(self, group: str, gradients: dict[str, Any]) -> None:
        """Replace each gradient by its sum over the workers, in place. `group` keeps the keys of networks apart."""
        keys = {name: f"{group}:{name}" for name in gradients}
        for name, key in keys.items():
            if key not in self._known:
                self._store.init(key, self._zeros(gradients[name].shape))
                self._known.add(key)
        for priority, (name, key) in enumerate(keys.items()):
            self._store.push(key, gradients[name], priority=-priority)
            self._store.pull(key, out=gradients[name], priority=-priority)

    def agree(self, key: str, value: float) -> None:
        """RuntimeError unless all workers have the same value, for example resume at the same epoch."""
        total = {key: self._array([value])}
        self.sum("agree", total)
        if float(total[key].asscalar()) != value * self.size:
            raise RuntimeError(f"the hosts disagree about {key}: empty the checkpoint folders, or give all the same")


@contextmanager
def parameter_server(cluster: Cluster, port: int) -> Iterator[Exchange | None]:
    """Joins the job's hosts for the time of the block; gives None when there is only one.

    Sets DMLC_* in this process, which MXNet reads. The first host starts scheduler and server, and stops them at the
    end even when training fails.
    """
    if cluster.size == 1:
        yield None
        return
    shared = {
        "DMLC_PS_ROOT_URI": socket.gethostbyname(cluster.hosts[0]),
        "DMLC_PS_ROOT_PORT": str(port),
        "DMLC_NUM_WORKER": str(cluster.size),
        "DMLC_NUM_SERVER": "1",
    }
    helpers = []
    if cluster.rank == 0:
        for role in ("scheduler", "server"):
            variables = {**os.environ, **shared, "DMLC_ROLE": role}
            # Importing MXNet in these roles serves until the workers are done.
            helpers.append(subprocess.Popen([sys.executable, "-c", "import mxnet"], env=variables))
    os.environ.update(shared, DMLC_ROLE="worker")
    try:
        yield Exchange(cluster)
    except BaseException:
        for helper in helpers:  # after a clean end they stop by themselves, when the last worker has left
            helper.terminate()
        raise
