"""Downloads model archives from S3 and unpacks them."""

import shutil
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sandbox.artifacts import ArtifactError, unpack


class ModelDataError(Exception):
    """A model archive cannot be used; the message says which, and why."""


class MissingError(ModelDataError):
    """There is no such object."""


class DeniedError(ModelDataError):
    """The role may not read the object."""


class ArchiveError(ModelDataError):
    """The object is no archive that can be unpacked."""


class StorageError(ModelDataError):
    """S3 or the disk failed: not the archive's fault."""


def place(url: str) -> tuple[str, str]:
    """Return (bucket, key) of `s3://bucket/key`."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def fetch(s3: Any, url: str, target: Path) -> None:
    """Download the archive at `url` with the client `s3` and unpack it into the new directory `target`.

    Beside `target` the archive and what is half unpacked lie meanwhile; nothing is left of a failure. ModelDataError.
    """
    archive, unpacked = target.with_name(f"{target.name}.tar.gz"), target.with_name(f"{target.name}.unpacked")
    archive.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        s3.download_file(*place(url), str(archive))
        unpack(archive, unpacked)
        unpacked.rename(target)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        kind = {403: DeniedError, 404: MissingError}.get(status, StorageError if status >= 500 else MissingError)
        raise kind(f"{url}: {error}") from error
    except BotoCoreError as error:
        raise StorageError(f"{url}: {error}") from error
    except ArtifactError as error:
        raise ArchiveError(f"Failed to extract model data archive {url}: {error}") from error
    finally:
        archive.unlink(missing_ok=True)
