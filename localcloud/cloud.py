"""`Cloud`, which every operation receives: settings, store, events, logs, AWS clients, jobs, engine and endpoints."""

import logging
import os
import pwd
import secrets
import string
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from localcloud.iam.identities import Identities
from localcloud.images.environments import Images
from localcloud.settings import DiskError, Settings
from localcloud.state.retried_writes import RetriedWrites
from localcloud.state.store import Store

if TYPE_CHECKING:
    from localcloud.engine.service import Engine
    from localcloud.jobs.service import JobService
    from localcloud.serving.manager import Manager

logger = logging.getLogger("localcloud")


class Events(Protocol):
    """The default EventBridge bus, source `aws.sagemaker`."""

    def put(self, detail_type: str, resources: list[str], detail: Mapping[str, Any]) -> None:
        """Publish one event; returns once the bus has it. Delivery may repeat after a crash, as on AWS."""


class Logs(Protocol):
    """CloudWatch Logs, written in batches."""

    def put(self, group: str, stream: str, lines: list[str], timestamp_ms: int | None = None) -> None:
        """Queue lines (without newline) for a stream; group and stream are created if needed."""

    def flush(self) -> None:
        """Wait until all lines are stored."""


class Runner:
    """Background threads by name, which look at the event `stopping` to know when to end."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def start(self, name: str, work: Callable[..., None], *args: Any) -> threading.Thread:
        """Run `work(*args)` in a thread of its own; an exception is logged, not lost."""

        def run() -> None:
            try:
                work(*args)
            except (Exception, DiskError):
                logger.exception("background work %s failed", name)
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, name=name, daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()
        return thread

    def stop(self, timeout: float = 10.0) -> None:
        """Set `stopping` and wait for all threads, at most `timeout` seconds together."""
        self.stopping.set()
        deadline = time.monotonic() + timeout
        while True:
            with self._lock:
                thread = next(iter(self._threads - {threading.current_thread()}), None)
            if thread is None or time.monotonic() >= deadline:
                return
            thread.join(max(0.0, deadline - time.monotonic()))


SIGNED_BY: ContextVar[tuple[str, str] | None] = ContextVar("SIGNED_BY", default=None)
"""(ARN, id) of the role or IAM user whose request is answered; None for the account's owner."""


def _now() -> float:
    """Epoch seconds to the millisecond, which is how SageMaker tells times."""
    return round(time.time(), 3)


@dataclass
class Cloud:
    """One local cloud, made in `assembly`. The fields after `runner` are set there, before the first request.

    `client("cloudwatch")` is a boto3 client of a service at our own port, one for all: use it from threads, never from
    the event loop.
    `identities.assume(role)` is the identity with which SageMaker acts as a role, for example to run its job.
    `call("CreateModelPackage", {...})` runs an operation in process, validated as over HTTP; ApiError if it is refused.
    A third argument is the identity of the caller, if it is not the local cloud itself.
    """

    settings: Settings
    store: Store
    events: Events
    logs: Logs
    client: Callable[[str], Any]
    images: Images
    identities: Identities
    clock: Callable[[], float] = _now
    runner: Runner = field(default_factory=Runner)
    retried: RetriedWrites = field(default_factory=RetriedWrites)
    call: Callable[..., dict[str, Any]] = field(init=False)
    jobs: "JobService" = field(init=False)
    engine: "Engine" = field(init=False)
    endpoints: "Manager" = field(init=False)

    @property
    def s3(self) -> Any:
        """The client of S3."""
        return self.client("s3")

    def arn(self, kind: str, name: str) -> str:
        """A SageMaker ARN, e.g. `arn("pipeline", "abalone")`."""
        return f"arn:aws:sagemaker:{self.settings.region}:{self.settings.account}:{kind}/{name}"

    def user(self) -> dict[str, Any]:
        """SageMaker's UserContext of a request: the role or user that signed it, for the owner this machine's user."""
        signed_by = SIGNED_BY.get()
        if signed_by is not None:
            return {"IamIdentity": {"Arn": signed_by[0], "PrincipalId": signed_by[1]}}
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = str(os.getuid())
        return {"IamIdentity": {"Arn": f"arn:aws:iam::{self.settings.account}:user/{name}", "PrincipalId": name}}

    @staticmethod
    def new_id(length: int = 12) -> str:
        """Random lower-case letters and digits, as in execution ids."""
        return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(length))
