"""The model servers of one deployment of an endpoint: variants by weight and their instances."""

import logging
import random
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.api import ApiError
from localcloud.cloud import Cloud
from localcloud.iam.access import Place, image_needs, log_needs
from localcloud.iam.identities import Identity
from localcloud.images.catalog import UnknownImageError
from localcloud.images.environments import InstallError, Runtime
from localcloud.sandbox.artifacts import ArtifactError, unpack
from localcloud.sandbox.process import Launchers
from localcloud.sandbox.sandbox import Sandbox
from localcloud.serving.deployment import Deployment, VariantSpec
from localcloud.serving.model_server import Instance, MachineError, ServerError
from localcloud.settings import ISOLATED

logger = logging.getLogger("localcloud")

_START_SECONDS = 300
_LOOK_EVERY = 0.25
_PING_EVERY = 5.0
_PINGS_MISSED = 3
_LONGEST_PAUSE = 30.0


class DeployError(Exception):
    """A fleet did not start; the message is the endpoint's FailureReason."""


class ServiceError(DeployError):
    """A fleet did not start, and not because of its models: the fault is the machine's, or the local cloud's.

    The FailureReason begins as SageMaker's does when it fails itself, so that its readers blame no model for it.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(f"Request to service failed. {sentence}")


@dataclass
class Variant:
    """One running variant: what is wanted of it, and its servers."""

    spec: VariantSpec
    instances: list[Instance] = field(default_factory=list)
    identity: Identity | None = None
    """The model's role; None until it was assumed."""
    runtime: Runtime = field(init=False)
    """What stands for the model's image; set when the fleet starts."""
    logged: bool = True

    @property
    def name(self) -> str:
        return self.spec.variant_name

    def pick(self) -> Instance | None:
        """Return the healthy instance with the fewest requests in progress; None if none is healthy."""
        healthy = [instance for instance in self.instances if instance.healthy]
        return min(healthy, key=lambda instance: instance.busy, default=None)


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
        self._cloud = cloud
        self._sandbox, self._launchers = sandbox, launchers
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

    def choose(self, target: str | None = None) -> tuple[Variant, Instance | None]:
        """Return a variant by weight, or the one named `target` (KeyError if missing), and a healthy server or None."""
        if target is not None:
            variant = next((v for v in self.variants if v.name == target), None)
            if variant is None:
                raise KeyError(target)
            return variant, variant.pick()
        variant = random.choices(self.variants, [v.spec.weight for v in self.variants])[0]  # noqa: S311 - not a secret
        return variant, variant.pick()

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
                self._act_as_role(variant)
                self._fetch_model(variant)
                for _ in range(variant.spec.count):
                    variant.instances.append(self._new_instance(variant))
            self._in_parallel(self._all(), self._start_instance)
        except BaseException:
            self.stop()
            raise
        threading.Thread(target=self._watch, name=f"watch-{self._endpoint}", daemon=True).start()

    def _act_as_role(self, variant: Variant) -> None:
        """Assume the role of the variant's model and check its permissions for image and log; DeployError."""
        settings, spec = self._cloud.settings, variant.spec
        place = Place(settings.account, settings.region)
        try:
            variant.identity = self._cloud.identities.assume(spec.role_arn)
            variant.identity.require(image_needs(spec.image))
            variant.runtime = self._prepare_image(variant)
        except ApiError as error:
            raise DeployError(f"Variant {variant.name} cannot be served. {error.message}") from error
        try:
            variant.identity.require(log_needs(f"/aws/sagemaker/Endpoints/{self._endpoint}", variant.name, place))
        except ApiError as error:
            logger.warning("variant %s of endpoint %s has no log: %s", variant.name, self._endpoint, error.message)
            variant.logged = False

    def _prepare_image(self, variant: Variant) -> Runtime:
        """What stands for the variant's image; made, with its progress in the log, if this is its first use."""
        group = f"/aws/sagemaker/Endpoints/{self._endpoint}"
        try:
            return self._cloud.images.prepare(
                variant.spec.image or "",
                lambda line: self._cloud.logs.put(group, f"{variant.name}/image", [line]),
                self._cloud_stopping,
            )
        except InstallError as error:
            raise ServiceError(str(error)) from error
        except UnknownImageError as error:
            raise DeployError(f"Variant {variant.name} cannot be served. {error}") from error

    def _fetch_model(self, variant: Variant) -> None:
        """Download and unpack the variant's model archive unless that was done before; DeployError or ServiceError."""
        model = self.directory / variant.name / "model"
        if model.exists():
            return
        url = variant.spec.model_data_url
        if url is None:
            model.mkdir(parents=True)
            return
        archive = self.directory / variant.name / "model.tar.gz"
        unpacked = self.directory / variant.name / "unpacked"
        archive.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(unpacked, ignore_errors=True)
        bucket, _, key = url.removeprefix("s3://").partition("/")
        try:
            s3 = self._cloud.s3 if variant.identity is None else variant.identity.client("s3")
            s3.download_file(bucket, key, str(archive))
            unpack(archive, unpacked)
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and error.response["ResponseMetadata"]["HTTPStatusCode"] == 403:
                # The message of AWS: a HEAD response from S3 has none.
                raise DeployError(
                    f'Could not access model data at {url}. Please ensure that the role "{variant.spec.role_arn}" '
                    'exists and that its trust relationship policy allows the action "sts:AssumeRole" for the service '
                    'principal "sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and '
                    f"that the object is located in {self._cloud.settings.region}."
                ) from error
            said = f"Failed to download model data for variant {variant.name} from {url}: {error}"
            ours = not isinstance(error, ClientError) or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
            raise (ServiceError if ours else DeployError)(said) from error
        except ArtifactError as error:
            raise DeployError(
                f"Failed to extract model data archive {url} of variant {variant.name}: {error}"
            ) from error
        finally:
            archive.unlink(missing_ok=True)
        unpacked.rename(model)

    def _new_instance(self, variant: Variant) -> Instance:
        """An instance of the variant, not started: its directory, variables and log stream."""
        settings, spec = self._cloud.settings, variant.spec
        name = f"i-{self._cloud.new_id(17)}"
        directory = self.directory / variant.name / name
        environment = {
            **settings.process_environment(directory / "opt" / "ml", variant.runtime),
            **(variant.identity.variables if variant.identity is not None else {}),
            **(ISOLATED if spec.isolated else {}),
            **spec.environment,
        }
        group, stream = f"/aws/sagemaker/Endpoints/{self._endpoint}", f"{variant.name}/{name}"

        def say(line: str) -> None:
            if variant.logged:
                self._cloud.logs.put(group, stream, [line])

        model = self.directory / variant.name / "model"
        isolated = spec.isolated
        return Instance(directory, model, environment, say, self._sandbox, self._launchers, isolated=isolated)

    def _start_instance(self, variant: Variant, instance: Instance) -> None:
        try:
            instance.start()
            instance.wait_healthy(variant.spec.start_seconds or _START_SECONDS, self._cloud_stopping)
        except MachineError as error:
            raise ServiceError(f"A server of production variant {variant.name} did not start: {error}") from error
        except ServerError as error:
            raise DeployError(
                f"The primary container for production variant {variant.name} did not pass the ping health check. "
                f"{error}"
            ) from error

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
        added = [self._new_instance(variant) for _ in range(count - len(variant.instances))]
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
