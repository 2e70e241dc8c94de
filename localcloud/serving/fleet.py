"""The model servers of one deployment of an endpoint: variants by weight and their instances."""

import logging
import random
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from localcloud.cloud import Cloud
from localcloud.sandbox.process import Launchers
from localcloud.sandbox.sandbox import Sandbox
from localcloud.serving.deployment import Deployment
from localcloud.serving.instance import Instance
from localcloud.serving.model_server import MachineError, ServerError
from localcloud.serving.preparation import Preparation
from localcloud.serving.variant import DeployError, ServiceError, Variant

logger = logging.getLogger("localcloud")

_START_SECONDS = 300
_LOOK_EVERY = 0.25
_PING_EVERY = 5.0
_PINGS_MISSED = 3
_LONGEST_PAUSE = 30.0


class Fleet:
    """All variants of one deployment. Started and stopped from threads, used by the event loop."""

    def __init__(
        self,
        cloud: Cloud,
        endpoint: str,
        directory: Path,
        deployment: Deployment,
        cloud_stopping: threading.Event,
        sandbox: Sandbox,
        launchers: Launchers,
    ) -> None:
        """The variants of a deployment, none of them started; `directory` is where models and instances will lie."""
        self._preparation = Preparation(cloud, endpoint, directory, cloud_stopping, sandbox, launchers)
        self._endpoint = endpoint
        self.directory = directory
        self.capture: dict[str, Any] | None = deployment.data_capture_config
        """The DataCaptureConfig that holds for requests to this fleet, or None."""
        self.async_config = deployment.async_inference_config
        self.variants = [Variant(spec) for spec in deployment.variants]
        self.shadows = [Variant(spec) for spec in deployment.shadows]
        """Variants that get copies of requests; their responses are discarded."""
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._cloud_stopping = cloud_stopping

    @property
    def size(self) -> int:
        """The number of servers of all production variants."""
        return sum(variant.spec.count for variant in self.variants)

    @property
    def busy(self) -> int:
        """The number of requests in progress, shadow variants included."""
        return sum(instance.busy for _, instance in self._all())

    def _all(self) -> list[tuple[Variant, Instance]]:
        return [(variant, i) for variant in self.variants + self.shadows for i in variant.instances]

    def choose(self, target: str | None = None, model: str | None = None) -> tuple[Variant, Instance | None]:
        """Return a variant by weight, or the one named `target`, and a healthy instance, or None if it has none.

        An instance that has loaded the archive `model` comes before the others. KeyError if the variant is missing.
        """
        if target is not None:
            variant = next((v for v in self.variants if v.name == target), None)
            if variant is None:
                raise KeyError(target)
            return variant, variant.pick(model)
        variant = random.choices(self.variants, [v.spec.weight for v in self.variants])[0]  # noqa: S311 - not a secret
        return variant, variant.pick(model)

    def shadow(self) -> list[Variant]:
        """Choose by chance, by weight relative to production, the shadow variants that get a copy."""
        whole = sum(variant.spec.weight for variant in self.variants)
        return [v for v in self.shadows if random.random() * whole < v.spec.weight]  # noqa: S311 - not a secret

    def start(self) -> None:
        """Download the models, start all servers in parallel, and return when all are healthy.

        A model that is already in the directory is not downloaded again. DeployError, with all servers stopped, if a
        model cannot be downloaded or a server does not become healthy.
        """
        try:
            for variant in self.variants + self.shadows:
                self._preparation.prepare(variant)
                for _ in range(variant.spec.count):
                    variant.instances.append(self._preparation.new_instance(variant))
            self._in_parallel(self._all(), self._start_instance)
        except BaseException:
            self.stop()
            raise
        threading.Thread(target=self._watch, name=f"watch-{self._endpoint}", daemon=True).start()

    def _start_instance(self, variant: Variant, instance: Instance) -> None:
        """Start the instance's servers and wait until all answer pings; DeployError that names those that do not."""
        failures = []
        try:
            for server in instance.servers:
                server.start()
            for server in instance.servers:
                try:
                    server.wait_healthy(variant.spec.start_seconds or _START_SECONDS, self._cloud_stopping)
                except MachineError:
                    raise
                except ServerError as error:
                    failures.append(
                        f"The {server.name} container for production variant {variant.name} did not pass the ping "
                        f"health check. {error}"
                    )
        except MachineError as error:
            raise ServiceError(f"A server of production variant {variant.name} did not start: {error}") from error
        if failures:
            raise DeployError(" ".join(failures))
        instance.healthy = True

    def _in_parallel(self, work: list[tuple[Variant, Instance]], do: Callable[[Variant, Instance], None]) -> None:
        """Call `do` for each pair in a thread of its own; when all have ended, raise the first error, if any."""
        errors: list[BaseException] = []

        def run(variant: Variant, instance: Instance) -> None:
            try:
                do(variant, instance)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def scale(self, variant: Variant, count: int) -> None:
        """Change the number of a variant's servers; new ones get requests once healthy. DeployError if one fails."""
        added = [self._preparation.new_instance(variant) for _ in range(count - len(variant.instances))]
        try:
            self._in_parallel([(variant, instance) for instance in added], self._start_instance)
        except DeployError:
            for instance in added:
                instance.stop()
            raise
        with self._changing:
            kept, removed = variant.instances[:count], variant.instances[count:]
            variant.instances = kept + added
            variant.spec = replace(variant.spec, count=count)
        for instance in removed:
            instance.healthy = False
        for instance in removed:
            _drain(partial(getattr, instance, "busy"))
            instance.stop()

    def _watch(self) -> None:
        """Restart servers that ended or missed 3 pings: at once, then after pauses that grow from 0.5 to 30 s."""
        missed: dict[Instance, int] = {}
        again: dict[Instance, tuple[float, float]] = {}
        next_ping = time.monotonic() + _PING_EVERY
        while not self._stopping.wait(_LOOK_EVERY):
            ping = time.monotonic() >= next_ping
            if ping:
                next_ping = time.monotonic() + _PING_EVERY
            with self._changing:
                all_now = self._all()
            for variant, instance in all_now:
                if instance.alive:
                    if ping and instance.healthy:
                        missed[instance] = 0 if instance.ping() else missed.get(instance, 0) + 1
                    if missed.get(instance, 0) < _PINGS_MISSED:
                        continue
                due, pause = again.get(instance, (0.0, 0.5))
                instance.healthy = False
                if time.monotonic() < due:
                    continue
                again[instance] = (time.monotonic() + pause, min(pause * 2, _LONGEST_PAUSE))
                missed.pop(instance, None)
                logger.warning("endpoint %s: a server of %s ended; starting it again", self._endpoint, variant.name)
                instance.stop(1.0)
                try:
                    self._start_instance(variant, instance)
                except DeployError as error:
                    logger.warning("endpoint %s: %s", self._endpoint, error)

    def drain(self, seconds: float = 60.0) -> None:
        """Wait until no request is in progress, at most `seconds`."""
        # A request may have chosen a server and not be counted yet.
        time.sleep(0.05)
        _drain(lambda: self.busy, seconds)

    def stop(self) -> None:
        """Stop all servers, in parallel, and release the roles."""
        self._stopping.set()
        self._in_parallel(self._all(), lambda _variant, instance: instance.stop())
        for variant in self.variants + self.shadows:
            if variant.identity is not None:
                variant.identity.release()

    def remove(self) -> None:
        """Stop all servers and delete the directory."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def _drain(busy: Callable[[], int], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while busy() and time.monotonic() < deadline:
        time.sleep(0.02)
