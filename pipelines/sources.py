"""The code that jobs run, named by what is in it: scripts, and a reproducible sourcedir.tar.gz of training/."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from pipelines.definition import Settings

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
        """Reads the scripts below `root`."""

        def script(name: str) -> Source:
            return Source(name, (root / "processing" / name).read_bytes())

        return cls(
            stage=script("stage.py"),
            evaluate=script("evaluate.py"),
            monitor=script("monitor.py"),
            training=Source("sourcedir.tar.gz", archive(root / "training")),
        )

    def all(self) -> tuple[Source, ...]:
        """Each of them."""
        return (self.stage, self.evaluate, self.monitor, self.training)

    def settings(self, *, region: str, bucket: str, role: str, image: str) -> Settings:
        """What the definition is built from, when these sources lie in `bucket`."""

        def address(source: Source) -> str:
            return f"s3://{bucket}/{source.key}"

        return Settings(
            region=region,
            bucket=bucket,
            role=role,
            image=image,
            stage=address(self.stage),
            evaluate=address(self.evaluate),
            training=address(self.training),
            training_sha256=self.training.sha256,
        )


def image_tag(root: Path = ROOT) -> str:
    """The tag of the image that container/ describes: another content is another image, and no cached step fits."""
    return fingerprint(root / "container")[:16]


def image_uri(account: str, region: str, tag: str) -> str:
    """The image's address in the account's registry."""
    return f"{account}.dkr.ecr.{region}.amazonaws.com/loadingbay:{tag}"


def upload_missing(s3: Any, bucket: str, sources: tuple[Source, ...]) -> int:
    """Puts into `bucket` what is not there yet; the number of uploads. Keys contain the hash, so there is there."""
    uploaded = 0
    for source in sources:
        if not exists(s3, bucket, source.key):
            s3.put_object(Bucket=bucket, Key=source.key, Body=source.content)
            uploaded += 1
    return uploaded


def exists(s3: Any, bucket: str, key: str) -> bool:
    """Whether the object is there. Other errors than "not found" are raised."""
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True
