"""Downloads models from S3: archives, which are unpacked, and models whose files lie there as they are."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sandbox.artifacts import ArtifactError, unpack
from localcloud.state.s3_addresses import relative_paths, split


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


def fetch(s3: Any, url: str, target: Path) -> None:
    """Download the archive at `url` with the client `s3` and unpack it into the new directory `target`.

    Beside `target` the archive and what is half unpacked lie meanwhile; nothing is left of a failure. ModelDataError.
    """
    archive = target.with_name(f"{target.name}.tar.gz")
    with _unfinished(url, target) as unpacked:
        try:
            s3.download_file(*split(url), str(archive))
            unpack(archive, unpacked)
        except ArtifactError as error:
            raise ArchiveError(f"Failed to extract model data archive {url}: {error}") from error
        finally:
            archive.unlink(missing_ok=True)


def fetch_files(s3: Any, url: str, target: Path) -> None:
    """Download the object at `url`, or all below it, with the client `s3` into the new directory `target`.

    Nothing is left of a failure. ModelDataError.
    """
    bucket, prefix = split(url)
    with _unfinished(url, target) as folder:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        try:
            paths = relative_paths(keys, prefix)
        except ValueError as error:
            raise ArchiveError(f"The model data below {url} cannot be used: {error}") from error
        if not paths:
            raise MissingError(f"{url}: there is no object below it")
        for key, path in paths.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, key, str(folder / path))


@contextmanager
def _unfinished(url: str, target: Path) -> Iterator[Path]:
    """A place beside `target` that becomes `target` if all goes well; ModelDataError for what S3 answers."""
    unfinished = target.with_name(f"{target.name}.unpacked")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        yield unfinished
        unfinished.rename(target)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        kind = {403: DeniedError, 404: MissingError}.get(status, StorageError if status >= 500 else MissingError)
        raise kind(f"{url}: {error}") from error
    except BotoCoreError as error:
        raise StorageError(f"{url}: {error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
