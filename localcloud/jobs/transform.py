"""The parts of a run that are specific to transform jobs: the model, its server, and one output for each input file."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localcloud.containers import ContainerSpec
from localcloud.jobs import transform_client
from localcloud.jobs.failure import JobError
from localcloud.jobs.layout import Host, write_json
from localcloud.jobs.run import JobRun
from localcloud.jobs.transfer import Location, Mirror
from localcloud.sandbox.artifacts import ArtifactError, unpack
from localcloud.sandbox.ports import free_port
from localcloud.sandbox.sandbox import OPT_ML

Document = dict[str, Any]
_CLIENT = Path(transform_client.__file__)


class Transform:
    """Implements `localcloud.jobs.run.Kind`, which documents the methods, for transform jobs.

    The job's `_containers` hold what its model is made of: image, artifact and variables of each container. A host
    stands for a container; the first one's process is the client, which starts the first container's server.
    """

    label = "Transform"
    store_kind = "transform-job"
    message_file = "output/failure"
    led = True

    def hosts(self, job: Document) -> int:
        # Several instances share the files on AWS; here the requests of one are sent side by side.
        return len(_containers(job))

    def max_runtime(self, job: Document) -> float | None:
        return None

    def prepare(self, run: JobRun, job: Document, hosts: list[Host], names: list[str]) -> list[Mirror]:
        """Bring the input, the unpacked models and the client that sends the requests into the hosts' directories."""
        source = job["TransformInput"]["DataSource"]["S3DataSource"]
        manifest = source["S3DataType"] == "ManifestFile"
        first = hosts[0]
        run.transfer.download(source["S3Uri"], first.ml / "input" / "data", manifest=manifest)
        for container, host in zip(_containers(job), hosts, strict=True):
            if container.model_data_url:
                _bring_model(run, container, container.model_data_url, host)
        run.notes["ports"] = [free_port() for _ in hosts]
        run.notes["key"] = secrets.token_urlsafe(24)
        document = {name: value for name, value in job.items() if not name.startswith("_")}
        write_json(first.ml / "transform.json", {**document, "Ports": run.notes["ports"], "Key": run.notes["key"]})
        shutil.copy(_CLIENT, first.ml / "transform_client.py")
        return []

    def images(self, job: Document) -> list[str | None]:
        return [container.image for container in _containers(job)]

    def command(self, job: Document, host: Host) -> list[str]:
        return ["serve"] if host.index else ["python3", f"{OPT_ML}/transform_client.py", OPT_ML]

    def variables(self, run: JobRun, job: Document, host: Host, root: str) -> Mapping[str, str]:
        """The variables of a model's container, and those by which its server is found."""
        return {
            **_containers(job)[host.index].environment,
            **job.get("Environment", {}),
            "SAGEMAKER_BATCH": "true",
            "SAGEMAKER_BIND_TO_PORT": str(run.notes["ports"][host.index]),
            "SERVE_HOST": "127.0.0.1",
            "SERVE_KEY": run.notes["key"],
            "SM_MODEL_DIR": f"{root}/model",
        }

    def line(self, run: JobRun, text: str) -> None:
        """Ignore a line of the log: transform jobs have no metrics."""

    def deliver(self, run: JobRun, job: Document, hosts: list[Host], complete: bool) -> Document:
        """Upload the answers of a completed job below S3OutputPath."""
        if complete:
            run.transfer.upload(
                hosts[0].ml / "output" / "data", str(Location.parse(job["TransformOutput"]["S3OutputPath"]))
            )
        return {}


def _containers(job: Document) -> list[ContainerSpec]:
    return [ContainerSpec.read(container) for container in job["_containers"]]


def _bring_model(run: JobRun, container: ContainerSpec, url: str, host: Host) -> None:
    """Download a container's model, and unpack it if it is an archive; JobError."""
    if not container.packed:
        run.transfer.download(url, host.ml / "model")
        return
    folder = run.directory / f"artifact-{host.name}"
    run.transfer.download(url, folder)
    (archive,) = [path for path in folder.rglob("*") if path.is_file()]
    (host.ml / "model").rmdir()
    try:
        unpack(archive, host.ml / "model")
    except ArtifactError as error:
        raise JobError("ClientError", f"The model data {url} cannot be unpacked: {error}") from None
    shutil.rmtree(folder)
