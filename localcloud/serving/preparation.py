"""What a variant needs before its servers start: its role, environments for its images, and its models."""

import logging
import threading
from functools import partial
from pathlib import Path
from typing import Any

from localcloud.api import ApiError
from localcloud.cloud import Cloud
from localcloud.containers import ContainerSpec
from localcloud.iam.access import Place, image_needs, log_needs
from localcloud.images.catalog import UnknownImageError
from localcloud.images.environments import InstallError, Runtime
from localcloud.sandbox.process import Launchers
from localcloud.sandbox.sandbox import Sandbox
from localcloud.serving import model_data
from localcloud.serving.instance import Instance
from localcloud.serving.loaded_models import LoadedModels
from localcloud.serving.model_server import ModelServer
from localcloud.serving.variant import DeployError, ServiceError, Variant
from localcloud.settings import ISOLATED
from localcloud.state import s3_addresses

logger = logging.getLogger("localcloud")


class Preparation:
    """Prepares the variants of one deployment, and makes their instances."""

    def __init__(
        self,
        cloud: Cloud,
        endpoint: str,
        directory: Path,
        cloud_stopping: threading.Event,
        sandbox: Sandbox,
        launchers: Launchers,
    ) -> None:
        """Models and instances will lie in `directory`; `cloud_stopping` ends the making of an environment."""
        self._cloud, self._endpoint, self._directory = cloud, endpoint, directory
        self._cloud_stopping, self._sandbox, self._launchers = cloud_stopping, sandbox, launchers

    def prepare(self, variant: Variant) -> None:
        """Assume the role of the variant's model, prepare its images and download its archives; DeployError.

        The role must be allowed to pull the images; without permission to log, there is no log.
        """
        settings, spec = self._cloud.settings, variant.spec
        place = Place(settings.account, settings.region)
        try:
            variant.identity = self._cloud.identities.assume(spec.role_arn)
            for container in spec.containers:
                variant.identity.require(image_needs(container.image))
            variant.runtimes = [self._prepare_image(variant, container) for container in spec.containers]
        except ApiError as error:
            raise DeployError(f"Variant {variant.name} cannot be served. {error.message}") from error
        try:
            variant.identity.require(log_needs(f"/aws/sagemaker/Endpoints/{self._endpoint}", variant.name, place))
        except ApiError as error:
            logger.warning("variant %s of endpoint %s has no log: %s", variant.name, self._endpoint, error.message)
            variant.logged = False
        self._fetch_models(variant)

    def _prepare_image(self, variant: Variant, container: ContainerSpec) -> Runtime:
        """What stands for a container's image; made, with its progress in the log, if this is its first use."""
        group = f"/aws/sagemaker/Endpoints/{self._endpoint}"
        try:
            return self._cloud.images.prepare(
                container.image or "",
                lambda line: self._cloud.logs.put(group, f"{variant.name}/image", [line]),
                self._cloud_stopping,
            )
        except InstallError as error:
            raise ServiceError(str(error)) from error
        except UnknownImageError as error:
            raise DeployError(f"Variant {variant.name} cannot be served. {error}") from error

    def _fetch_models(self, variant: Variant) -> None:
        """Download and unpack the archives of the variant's containers unless that was done before; DeployError.

        Those of a container that serves several models are downloaded when they are asked for.
        """
        for container in variant.spec.containers:
            target, url = self._model_directory(variant, container), container.model_data_url
            if container.several or target.exists():
                continue
            if url is None:
                target.mkdir(parents=True)
                continue
            try:
                fetch = model_data.fetch if container.packed else model_data.fetch_files
                fetch(self._s3(variant), url, target)
            except model_data.DeniedError as error:
                # The message of AWS: a HEAD response from S3 has none.
                raise DeployError(
                    f'Could not access model data at {url}. Please ensure that the role "{variant.spec.role_arn}" '
                    'exists and that its trust relationship policy allows the action "sts:AssumeRole" for the service '
                    'principal "sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and '
                    f"that the object is located in {self._cloud.settings.region}."
                ) from error
            except model_data.ArchiveError as error:
                raise DeployError(f"Variant {variant.name} cannot be served. {error}") from error
            except model_data.ModelDataError as error:
                kind = ServiceError if isinstance(error, model_data.StorageError) else DeployError
                raise kind(f"Failed to download model data for variant {variant.name} from {error}") from error

    def _model_directory(self, variant: Variant, container: ContainerSpec) -> Path:
        name = "model" if len(variant.spec.containers) == 1 else f"model-{container.name}"
        return self._directory / variant.name / name

    def _s3(self, variant: Variant) -> Any:
        return self._cloud.s3 if variant.identity is None else variant.identity.client("s3")

    def new_instance(self, variant: Variant) -> Instance:
        """An instance of the variant, not started."""
        name = f"i-{self._cloud.new_id(17)}"
        servers = []
        loaded = None
        for container, runtime in zip(variant.spec.containers, variant.runtimes, strict=True):
            server = self._new_server(variant, container, runtime, name)
            servers.append(server)
            if container.several:
                fetch = partial(self._fetch_target, variant, container)
                loaded = LoadedModels(server, fetch, cached=container.cached)
        return Instance(servers, loaded)

    def _new_server(self, variant: Variant, container: ContainerSpec, runtime: Runtime, instance: str) -> ModelServer:
        """The server of one container of an instance: its directory, variables and log stream."""
        settings, spec = self._cloud.settings, variant.spec
        alone = len(spec.containers) == 1
        directory = self._directory / variant.name / (instance if alone else f"{instance}-{container.name}")
        environment = {
            **settings.process_environment(directory / "opt" / "ml", runtime),
            **(variant.identity.variables if variant.identity is not None else {}),
            **(ISOLATED if spec.isolated else {}),
            **container.environment,
        }
        group = f"/aws/sagemaker/Endpoints/{self._endpoint}"
        stream = f"{variant.name}/{instance}" + ("" if alone else f"/{container.name}")

        def say(line: str) -> None:
            if variant.logged:
                self._cloud.logs.put(group, stream, [line])

        model = None if container.several else self._model_directory(variant, container)
        return ModelServer(
            container.name,
            directory,
            model,
            environment,
            say,
            self._sandbox,
            self._launchers,
            isolated=spec.isolated,
        )

    def _fetch_target(self, variant: Variant, container: ContainerSpec, target: str, directory: Path) -> None:
        """Download and unpack the archive that a request names below the prefix; ApiError, in AWS's words."""
        url = f"{(container.model_data_url or '').rstrip('/')}/{target.lstrip('/')}"
        bucket, key = s3_addresses.split(url)
        missing = ApiError(
            "ValidationError",
            f"Failed to download model data(bucket: {bucket}, key: {key}). Please ensure that there is an object "
            "located at the URL and that the role passed to CreateModel has permissions to download the model.",
        )
        if ".." in target.split("/"):
            raise missing
        try:
            model_data.fetch(self._s3(variant), url, directory)
        except (model_data.MissingError, model_data.DeniedError) as error:
            raise missing from error
        except model_data.ArchiveError as error:
            raise ApiError("ValidationError", str(error)) from error
        except (model_data.StorageError, OSError) as error:
            raise ApiError("ServiceUnavailable", f"Failed to download model data: {error}", 503) from error
