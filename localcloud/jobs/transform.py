"""The parts of a run that are specific to transform jobs: the model, its server, and one output for each input file."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localcloud.jobs import transform_client
from localcloud.jobs.failure import JobError
from localcloud.jobs.layout import Host, write_json
from localcloud.jobs.run import JobRun
from localcloud.jobs.transfer import Location, Mirror
from localcloud.sandbox.artifacts import ArtifactError, unpack
from localcloud.sandbox.sandbox import OPT_ML

Document = dict[str, Any]
_CLIENT = Path(transform_client.__file__)


class Transform:
    """Implements `localcloud.jobs.run.Kind`, which documents the methods, for transform jobs.

    The job's `_model` holds what its model is made of: Image, ModelDataUrl, Environment.
    """

    label = "Transform"
    store_kind = "transform-job"
    message_file = "output/failure"

    def hosts(self, job: Document) -> int:
        # Several instances share the files on AWS; here the requests of one are sent side by side.
        return 1

    def max_runtime(self, job: Document) -> float | None:
        return None

    def prepare(self, run: JobRun, job: Document, hosts: list[Host], names: list[str]) -> list[Mirror]:
        """Bring the input, the unpacked model and the client that sends the requests into the job's directory."""
        (host,) = hosts
        source = job["TransformInput"]["DataSource"]["S3DataSource"]
        manifest = source["S3DataType"] == "ManifestFile"
        run.transfer.download(source["S3Uri"], host.ml / "input" / "data", manifest=manifest)
        url = job["_model"].get("ModelDataUrl")
        if url:
            folder = run.directory / "artifact"
            run.transfer.download(url, folder)
            (archive,) = [path for path in folder.rglob("*") if path.is_file()]
            (host.ml / "model").rmdir()
            try:
                unpack(archive, host.ml / "model")
            except ArtifactError as error:
                raise JobError("ClientError", f"The model data {url} cannot be unpacked: {error}") from None
            shutil.rmtree(folder)
        write_json(host.ml / "transform.json", {k: v for k, v in job.items() if not k.startswith("_")})
        shutil.copy(_CLIENT, host.ml / "transform_client.py")
        return []

    def image(self, job: Document) -> str | None:
        image: str | None = job["_model"].get("Image")
        return image

    def command(self, job: Document) -> list[str]:
        return ["python3", f"{OPT_ML}/transform_client.py", OPT_ML]

    def variables(self, job: Document, root: str) -> Mapping[str, str]:
        return {**job["_model"].get("Environment", {}), **job.get("Environment", {}), "SAGEMAKER_BATCH": "true"}

    def line(self, run: JobRun, text: str) -> None:
        """Ignore a line of the log: transform jobs have no metrics."""

    def deliver(self, run: JobRun, job: Document, hosts: list[Host], complete: bool) -> Document:
        if complete:
            run.transfer.upload(
                hosts[0].ml / "output" / "data", str(Location.parse(job["TransformOutput"]["S3OutputPath"]))
            )
        return {}
