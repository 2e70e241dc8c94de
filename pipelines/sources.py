"""The code that jobs run, named by what is in it: one file a processing job, and a sourcedir.tar.gz of training/."""

from __future__ import annotations

import ast
import gzip
import hashlib
import io
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from pipelines.aws import exists, is_missing
from pipelines.monitoring import MonitoringSettings
from pipelines.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Source:
    """A file to be uploaded to `key`, which contains its hash."""

    name: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Hash of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def key(self) -> str:
        """Its content-addressed place in the bucket."""
        return f"code/{self.sha256}/{self.name}"


def files_of(folder: Path) -> list[Path]:
    """The files below `folder` that are source: sorted, without caches and hidden files. Links are not followed out."""
    inside = folder.resolve()
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix != ".pyc"
        and not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts)
        and path.resolve().is_relative_to(inside)
    )


def archive(folder: Path) -> bytes:
    """A tar.gz of the sources below `folder`: the same files give the same bytes, whoever packs them and when."""
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in files_of(folder):
            content = path.read_bytes()
            info = tarfile.TarInfo(path.relative_to(folder).as_posix())
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(tarred.getvalue(), compresslevel=9, mtime=0)


def modules_of(job: Path) -> list[Path]:
    """The modules that the job in the package `job` runs: its own, and those of the package around it that they import.

    Sorted, and without the `__init__` of the package around it, which is a map of it and holds no code.
    """
    package, shared = job.parent.name, job.parent
    found = {path for path in files_of(job) if path.suffix == ".py"}
    waiting = [*found]
    while waiting:
        for node in ast.walk(ast.parse(waiting.pop().read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            parts = [name.split(".") for name in names]
            for path in (shared / f"{part[1]}.py" for part in parts if part[0] == package and len(part) > 1):
                if path.is_file() and path not in found:
                    found.add(path)
                    waiting.append(path)
    return sorted(found)


def application(job: Path) -> bytes:
    """A file that `python3` runs as `python3 -m` runs the package `job`: a zip of it and of what it shares.

    A job is given one file, and a shared module changes only the jobs that import it. The same sources give the same
    bytes: nothing is compressed, and nothing says when it was packed.
    """
    root = job.parent.parent
    start = f'import runpy\n\nrunpy.run_module("{job.parent.name}.{job.name}", run_name="__main__", alter_sys=True)\n'
    contents = {path.relative_to(root).as_posix(): path.read_bytes() for path in modules_of(job)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archived:
        for name, content in {"__main__.py": start.encode(), f"{job.parent.name}/__init__.py": b"", **contents}.items():
            info = zipfile.ZipInfo(name)  # of 1980
            info.external_attr = 0o644 << 16
            archived.writestr(info, content)
    return packed.getvalue()


def fingerprint(*folders: Path) -> str:
    """A hash of the names and contents of the sources below `folders`."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in files_of(folder):
            name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Sources:
    """All code of the pipeline and of monitoring."""

    stage: Source
    evaluate: Source
    monitor: Source
    training: Source

    @classmethod
    def read(cls, root: Path = ROOT) -> Sources:
        """Reads the sources below `root`."""

        def job(name: str) -> Source:
            return Source(f"{name}.pyz", application(root / "processing" / name))

        return cls(
            stage=job("stage"),
            evaluate=job("evaluate"),
            monitor=job("monitor"),
            training=Source("sourcedir.tar.gz", archive(root / "training")),
        )

    def all(self) -> tuple[Source, ...]:
        """All sources, each as a Source."""
        return (self.stage, self.evaluate, self.monitor, self.training)

    def monitoring_settings(self, outputs: Mapping[str, str], *, image: str) -> MonitoringSettings:
        """What the monitoring pipeline's definition is built from, for the stack with these outputs."""
        return MonitoringSettings(
            name=outputs["ModelPackageGroupName"],
            bucket=outputs["BucketName"],
            role=outputs["MonitoringRoleArn"],
            image=image,
            monitor=f"s3://{outputs['BucketName']}/{self.monitor.key}",
            function=outputs["WatchStreamArn"],
            subnets=_listed(outputs, "SubnetIds"),
            security_groups=_listed(outputs, "SecurityGroupIds"),
            key=outputs.get("KmsKeyArn", ""),
            isolated=outputs.get("JobNetworkIsolation") == "yes",
        )

    def settings(self, outputs: Mapping[str, str], *, region: str, image: str) -> Settings:
        """What the definition is built from, for the stack with these outputs; the sources lie in its bucket."""
        bucket = outputs["BucketName"]

        def address(source: Source) -> str:
            return f"s3://{bucket}/{source.key}"

        return Settings(
            region=region,
            bucket=bucket,
            role=outputs["PipelineRoleArn"],
            name=outputs["ModelPackageGroupName"],
            subnets=_listed(outputs, "SubnetIds"),
            security_groups=_listed(outputs, "SecurityGroupIds"),
            key=outputs.get("KmsKeyArn", ""),
            isolated=outputs.get("JobNetworkIsolation") == "yes",
            encrypted_traffic=outputs.get("JobTrafficEncryption") == "yes",
            spot=outputs.get("SpotTraining") == "yes",
            image=image,
            stage=address(self.stage),
            evaluate=address(self.evaluate),
            training=address(self.training),
            training_sha256=self.training.sha256,
        )


def _listed(outputs: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(filter(None, outputs.get(name, "").split(",")))


def git_commit(root: Path = ROOT) -> str:
    """The commit checked out in `root`, with `-dirty` when files of it were changed; "unknown" outside of git."""
    try:
        head, changed = (
            subprocess.run(
                ["git", "-C", str(root), *command], capture_output=True, text=True, check=True
            ).stdout.strip()
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changed else head


def image_tag(root: Path = ROOT) -> str:
    """The tag of the image that container/ describes: another content is another image, and no cached step fits."""
    return fingerprint(root / "container")[:16]


def image_address(ecr: Any, repository: str, tag: str) -> str:
    """The image's address `<repository>@sha256:...`, or `<repository>:<tag>` while none was pushed under the tag.

    `repository` is the registry's name and the repository's. Every command asks here, so that a definition built by
    hand and one built by the delivery pipeline are the same bytes, and its steps come from the same cache.
    """
    _, _, name = repository.partition("/")
    try:
        found = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])["imageDetails"]
    except ClientError as error:
        if not is_missing(error):
            raise
        found = []
    return f"{repository}@{found[0]['imageDigest']}" if found else f"{repository}:{tag}"


def upload_missing(s3: Any, bucket: str, sources: tuple[Source, ...], *, owner: str) -> int:
    """Puts into `bucket` the sources that it does not have yet; the number of uploads.

    A key contains the hash of its content, so an object that exists is the right one.

    `owner` is the account that the bucket must belong to: whoever knows its name could have made it before us.
    """
    uploaded = 0
    for source in sources:
        if not exists(s3, bucket, source.key, owner=owner):
            s3.put_object(Bucket=bucket, Key=source.key, Body=source.content, ExpectedBucketOwner=owner)
            uploaded += 1
    return uploaded
