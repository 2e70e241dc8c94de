"""Runs one job: downloads inputs, runs a process for each host, uploads outputs. `Kind` is specific to the job type."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from localcloud.api import ApiError
from localcloud.cloud import Cloud
from localcloud.iam.access import Place, image_needs, log_needs
from localcloud.iam.identities import Identity
from localcloud.images.catalog import UnknownImageError
from localcloud.images.environments import InstallError, Runtime
from localcloud.jobs.archive import replaced
from localcloud.jobs.failure import CancelledError, ErrorTail, JobError, algorithm_error, bounded, sentence
from localcloud.jobs.layout import Host, addresses, make_hosts, volume_gigabytes
from localcloud.jobs.transfer import Mirror, Transfer
from localcloud.sandbox.layer import add_layer
from localcloud.sandbox.leftovers import NOTE, end_leftovers
from localcloud.sandbox.process import ContainedProcess, Launchers, SandboxError
from localcloud.sandbox.sandbox import Sandbox
from localcloud.settings import ISOLATED

logger = logging.getLogger("localcloud")

Document = dict[str, Any]
INTERRUPTED = "the local cloud was stopped while it ran"
HOSTS = Path("/etc/hosts")
STOP_GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL when a job is stopped (120 on AWS)."""


class Kind(Protocol):
    """The part of a run that is specific to processing or to training jobs; `job` is the job's stored document."""

    label: str
    """Processing or Training: the prefix of members such as TrainingJobName and TrainingJobStatus."""
    store_kind: str
    """The kind of the documents in the store: processing-job or training-job."""
    message_file: str
    """File below /opt/ml in which the job may write a message about how it ended."""
    led: bool
    """Whether the job has ended when the first host's process has: the others serve it."""

    def hosts(self, job: Document) -> int:
        """Return the number of hosts."""

    def max_runtime(self, job: Document) -> float | None:
        """Return the seconds that the job's processes may run; None if not limited."""

    def prepare(self, run: JobRun, job: Document, hosts: list[Host], names: list[str]) -> list[Mirror]:
        """Download inputs and write configuration files; return the mirrors that upload to S3 while the job runs."""

    def images(self, job: Document) -> list[str | None]:
        """Return the URIs of the container images: one for all hosts, or one for each."""

    def command(self, job: Document, host: Host) -> list[str]:
        """Return the command and its arguments that the container of a host runs."""

    def variables(self, run: JobRun, job: Document, host: Host, root: str) -> Mapping[str, str]:
        """Return the environment variables that SageMaker sets; `root` is the path by which the job finds /opt/ml."""

    def line(self, run: JobRun, text: str) -> None:
        """Process one line of the first host's log."""

    def deliver(self, run: JobRun, job: Document, hosts: list[Host], complete: bool) -> Document:
        """Upload the results; return members to add to the document. `complete` is False after a stop or a failure."""


class JobRun:
    """One attempt to run one job. `run` blocks until it has ended; `stop` and `interrupt` may come from any thread."""

    def __init__(
        self,
        cloud: Cloud,
        sandbox: Sandbox,
        launchers: Launchers,
        kind: Kind,
        name: str,
        change: Change,
        remove: Callable[[Path], None],
    ) -> None:
        """An attempt that has not begun.

        Args:
            cloud: the local cloud whose S3, logs and settings the job uses.
            sandbox: what its processes may reach.
            launchers: start its processes.
            kind: what the kinds of job do differently.
            name: the job's.
            change: writes a status and members into the stored job.
            remove: makes the job's directory disappear.
        """
        self.cloud, self.kind, self.name = cloud, kind, name
        self._identity: Identity | None = None
        self._runtimes: list[Runtime] = []
        self._logged = True
        self.cancelled = threading.Event()
        self.transfer = Transfer(cloud.s3, self.cancelled)
        self.directory = cloud.settings.jobs_dir / kind.label.lower() / name
        self.notes: dict[str, Any] = {}
        """Objects that the kind keeps while the job runs, e.g. the MetricReader."""
        self.sandbox, self._launchers, self._change, self._remove = sandbox, launchers, change, remove
        self._group = f"/aws/sagemaker/{kind.label}Jobs"
        self._tail = ErrorTail()
        self._lock = threading.Lock()
        self._processes: list[ContainedProcess] = []
        self._ending: str | None = None
        self._failed = 0
        """Index of the host whose process was the first that failed."""

    def run(self, job: Document) -> None:
        """Run the job to its end, remove its directory, and store the final status; errors become its FailureReason."""
        try:
            ended = self._work(job)
        except CancelledError:
            ended = self._cancelled()
        except JobError as error:
            ended = {"status": "Failed", "FailureReason": bounded(str(error))}
            if self._ending == INTERRUPTED:
                ended = self._cancelled()
        except OSError as error:
            ended = {"status": "Failed", "FailureReason": bounded(f"InternalServerError: {sentence(error)}")}
        except SandboxError as error:
            reason = f"InternalServerError: this machine did not start the job's process: {error}"
            ended = {"status": "Failed", "FailureReason": bounded(reason)}
        except sqlite3.OperationalError as error:
            reason = (
                f"InternalServerError: the job's state cannot be stored ({error}); free some space and run it again"
            )
            ended = {"status": "Failed", "FailureReason": reason}
        except Exception as error:
            logger.exception("%s failed", self.name)
            ended = {"status": "Failed", "FailureReason": bounded(f"InternalServerError: {error!r}")}
        if ended["status"] == "Failed":
            self.say([ended["FailureReason"]])
        for process in self._processes:
            process.kill()
        if self._identity is not None:
            self._identity.release()
        # Before the final status is stored: these files may be what fills the disk.
        self._remove(self.directory)
        self._change(ended.pop("status"), ended)

    def _cancelled(self) -> Document:
        """The final status, and members to store, of a job that was stopped or interrupted before its end."""
        if self._ending == INTERRUPTED:
            reason = f"InternalServerError: {INTERRUPTED}"
            return {"status": "Failed", "FailureReason": reason, "_interrupted": True}
        return {"status": "Stopped", "secondary": self._ending}

    def _act_as(self, role: str | None, images: list[str | None]) -> None:
        """Assume the job's role, use it for all transfers, and check its permissions for the log and the images.

        JobError if the role cannot be assumed or may not pull an image. Without permission to log, there is no log."""
        settings = self.cloud.settings
        place = Place(settings.account, settings.region)
        try:
            self._identity = self.cloud.identities.assume(role)
        except ApiError as error:
            raise JobError("ClientError", error.message) from None
        self.transfer = Transfer(self._identity.client("s3"), self.cancelled)
        try:
            self._identity.require(log_needs(self._group, f"{self.name}/algo-1", place))
        except ApiError as error:
            # SageMaker runs such a job too, without a log.
            logger.warning("job %s has no log: %s", self.name, error.message)
            self._logged = False
        try:
            for image in images:
                self._identity.require(image_needs(image))
        except ApiError as error:
            raise JobError(
                "ClientError",
                "Cannot pull algorithm container. Either the image does not exist or its permissions are incorrect. "
                + error.message,
            ) from None

    def _work(self, job: Document) -> Document:
        """Run the job from download to upload; returns its final status and members to store. JobError if it fails."""
        images = self.kind.images(job)
        self._act_as(job.get("RoleArn") or job.get("_role"), images)
        hosts = make_hosts(self.directory, self.kind.hosts(job))
        self._runtimes = [self._prepare_image(image, job, host) for image, host in zip(images, hosts, strict=False)]
        names = self._names(hosts)
        self._change("InProgress", {"secondary": "Downloading"})
        mirrors = self.kind.prepare(self, job, hosts, names)
        self._change("InProgress", {"secondary": "Training", f"{self.kind.label}StartTime": self.cloud.clock()})
        for mirror in mirrors:
            mirror.start()
        try:
            code = self._run_processes(job, hosts)
        finally:
            self._finish(mirrors)
        message = self._message(hosts)
        exit_message: Document = (
            {"ExitMessage": bounded(message)} if message and self.kind.label == "Processing" else {}
        )
        if self._ending == INTERRUPTED:
            raise JobError("InternalServerError", INTERRUPTED)
        if self._ending is not None:
            return {"status": "Stopped", "secondary": self._ending, **self._deliver(job, hosts, complete=False)}
        if code != 0:
            excess = next((process.excess for process in self._processes if process.excess), "")
            image = images[self._failed % len(images)]
            error = algorithm_error(message, self._tail, code, image, mounted=self.sandbox.mounts)
            if excess:
                error = JobError("AlgorithmError", excess)
            left = self._deliver(job, hosts, complete=False)
            return {"status": "Failed", "FailureReason": bounded(str(error)), **exit_message, **left}
        self._change("InProgress", {"secondary": "Uploading"})
        return {"status": "Completed", **exit_message, **self._deliver(job, hosts, complete=True)}

    def _prepare_image(self, address: str | None, job: Document, host: Host) -> Runtime:
        """What stands for a host's image; made, with its progress in the job's log, if this is its first use."""
        command = self.kind.command(job, host)
        try:
            return self.cloud.images.prepare(address or "", lambda line: self.say([line]), self.cancelled, command)
        except (InstallError, UnknownImageError) as error:
            if self.cancelled.is_set():
                raise CancelledError from None
            raise JobError("ClientError", str(error)) from None

    def _deliver(self, job: Document, hosts: list[Host], *, complete: bool) -> Document:
        return self.kind.deliver(self, job, hosts, complete)

    def _names(self, hosts: list[Host]) -> list[str]:
        """Return the hosts' names if the sandbox can mount a hosts file, else their addresses."""
        if not self.sandbox.mounts:
            return ["localhost"] if len(hosts) == 1 else [f"127.0.0.{host.index + 1}" for host in hosts]
        self._hosts_file.write_text(addresses(hosts))
        return [host.name for host in hosts]

    @property
    def _hosts_file(self) -> Path:
        return self.directory / "hosts"

    def _run_processes(self, job: Document, hosts: list[Host]) -> int:
        """Start a process for each host and wait for all; return the first exit code that is not 0, else 0.

        With `led` it is 0 if the first host's is: the others are ended then.
        """
        if not self.sandbox.mounts:
            self.say(["This machine allows no mount namespace: /opt/ml is rewritten to the job's directory in the"
                      " command, its arguments, the environment and the configuration."])  # fmt: skip
        with self._lock:
            if self._ending is None:
                for host in hosts:
                    self._processes.append(self._start(job, host))
        timer = self._limit(self.kind.max_runtime(job))
        codes: list[int] = []
        problems: list[SandboxError] = []

        def wait(index: int, process: ContainedProcess) -> int:
            """Wait for one host's process; the first failure ends the other hosts."""
            try:
                code = process.wait() or 0
            except SandboxError as error:
                code = 1
                problems.append(error)
            if code != 0 and not any(codes):
                self._failed = index
            codes.append(code)
            if code != 0:
                # Other hosts may wait for the failed one; without this they would never end.
                self._terminate()
            return code

        others = [threading.Thread(target=wait, args=one, daemon=True) for one in enumerate(self._processes) if one[0]]
        for thread in others:
            thread.start()
        first = [wait(0, process) for process in self._processes[:1]]
        well = self.kind.led and first == [0]
        if well:
            self._terminate()
        for thread in others:
            thread.join()
        if timer is not None:
            timer.cancel()
        if problems:
            raise problems[0]
        return 0 if well else next((code for code in codes if code != 0), 0)

    def _start(self, job: Document, host: Host) -> ContainedProcess:
        """Start the job's process for one host in the sandbox; its output goes to the job's log stream of that host."""
        own = self.sandbox.own_variables(host)
        variables = {
            **self.cloud.settings.process_environment(host.ml, self._runtimes[host.index % len(self._runtimes)]),
            **(self._identity.variables if self._identity is not None else {}),
            **(ISOLATED if _isolated(job) else {}),
            **own,
            **job.get("Environment", {}),
            **self.kind.variables(self, job, host, self.sandbox.root(host)),
        }
        variables = add_layer(variables, host, self.sandbox.root(host))
        network = "alone" if _isolated(job) else "shared"
        if network == "alone" and self.kind.hosts(job) > 1:
            # They may call each other, and there is no network between several that is not the machine's.
            self.say(
                ["EnableNetworkIsolation: the processes of a job on several instances share the machine's network."]
            )
            network = "shared"
        hosts_file = {self._hosts_file: "/etc/hosts"} if self.sandbox.mounts and HOSTS.exists() else {}
        plan = self.sandbox.plan(
            self.kind.command(job, host),
            variables,
            host,
            mounts=hosts_file,
            hostname=host.name,
            network=network,
            gigabytes=volume_gigabytes(job),
        )
        stream = f"{self.name}/{host.name}-{int(self.cloud.clock())}"

        def on_line(source: str, text: str) -> None:
            if self._logged:
                self.cloud.logs.put(self._group, stream, [text])
            if source == "stderr" and (host.index == 0 or self.kind.led):
                self._tail.line(text)
            if host.index == 0:
                self.kind.line(self, text)

        return ContainedProcess(plan, host.directory, on_line, self._launchers)

    def say(self, lines: list[str]) -> None:
        """Write lines from the local cloud to the job's log."""
        stream = f"{self.name}/algo-1-{int(self.cloud.clock())}"
        if self._logged:
            self.cloud.logs.put(self._group, stream, lines)

    def _limit(self, seconds: float | None) -> threading.Timer | None:
        """Return the started timer that stops the job after `seconds`; None if it is not limited."""
        if seconds is None:
            return None
        timer = threading.Timer(seconds, self.stop, ("MaxRuntimeExceeded",))
        timer.daemon = True
        timer.start()
        return timer

    def stop(self, secondary: str = "Stopped") -> None:
        """Send SIGTERM to the job's processes, and SIGKILL after STOP_GRACE seconds. Returns at once."""
        with self._lock:
            if self._ending is not None:
                return
            self._ending = secondary
        self.cancelled.set()
        self._terminate()

    def interrupt(self) -> None:
        """Kill the job because the local cloud is closing; its FailureReason says so, unless it was to be stopped."""
        with self._lock:
            self._ending = self._ending or INTERRUPTED
        self.cancelled.set()
        for process in self._processes:
            process.kill()

    def _terminate(self) -> None:
        for process in self._processes:
            process.terminate(STOP_GRACE)

    def _finish(self, mirrors: list[Mirror]) -> None:
        for mirror in mirrors:
            mirror.finish()

    def _message(self, hosts: list[Host]) -> str:
        """Return the message file of the first host that wrote one, at most 4 KiB; "" if there is none."""
        for host in hosts:
            path = host.ml / self.kind.message_file
            if path.is_file() and replaced(path) is None:
                with path.open("rb") as file:
                    return file.read(4096).decode("utf-8", "replace").strip()
        return ""


Change = Callable[[str, Document], None]
"""Called with the job's new status and members for its document; `secondary` is the secondary status of training."""


def end_orphans(jobs_dir: Path, remove: Callable[[Path], None]) -> int:
    """End job processes that a killed local cloud left running, and remove job directories; return how many."""
    ended = end_leftovers(jobs_dir.glob(f"*/*/*/{NOTE}"), jobs_dir)
    for directory in jobs_dir.glob("*/*"):
        remove(directory)
    return ended


def _isolated(job: Document) -> bool:
    own = job.get("EnableNetworkIsolation") or job.get("_isolated")
    return bool(own or job.get("NetworkConfig", {}).get("EnableNetworkIsolation"))
