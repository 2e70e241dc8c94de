"""Moves files between S3 and a job's directory."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.api import strict_json
from localcloud.jobs.archive import check_space, collect
from localcloud.jobs.failure import CancelledError, JobError
from localcloud.state import s3_addresses

_ONE_REQUEST = 16 * 2**20


@dataclass(frozen=True)
class Location:
    """The bucket and key of an address in S3."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Location:
        """Parse `uri`; JobError of kind ClientError if it is not an S3 URI."""
        try:
            return cls(*s3_addresses.split(uri))
        except ValueError as error:
            raise JobError("ClientError", str(error)) from None

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def join(self, name: str) -> Location:
        """Return the location of `name` under this prefix."""
        return Location(self.bucket, f"{self.key.rstrip('/')}/{name}".lstrip("/"))


class Transfer:
    """Downloads and uploads with one boto3 S3 client.

    Setting `cancelled` ends a download before its next file with CancelledError.
    """

    def __init__(self, s3: Any, cancelled: threading.Event | None = None) -> None:
        self._s3 = s3
        self._cancelled = cancelled or threading.Event()

    def keys(self, location: Location) -> list[str]:
        """Return all keys that start with the location's key; JobError if they cannot be listed."""
        found: list[str] = []
        try:
            for answer in self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=location.bucket, Prefix=location.key
            ):
                found += [item["Key"] for item in answer.get("Contents", [])]
        except (ClientError, BotoCoreError) as error:
            raise _problem(f"{location} cannot be listed", error) from None
        return found

    def read_text(self, location: Location, limit: int, version: str | None = None) -> str:
        """Return a UTF-8 object of at most `limit` bytes; JobError if it is larger or cannot be read."""
        place = {"Bucket": location.bucket, "Key": location.key, **({"VersionId": version} if version else {})}
        try:
            body = self._s3.get_object(**place)["Body"].read(limit + 1)
            if len(body) > limit:
                raise JobError("ClientError", f"{location} is larger than {limit:,} bytes.")
            return str(body.decode())
        except (ClientError, BotoCoreError) as error:
            raise _problem(f"{location} cannot be read", error) from None
        except UnicodeDecodeError:
            raise JobError("ClientError", f"{location} is not UTF-8 text.") from None

    def read_json(self, location: Location, limit: int = 2**22) -> Any:
        """Return the parsed JSON of an object of at most `limit` bytes; JobError if it is larger or not JSON (NaN)."""
        try:
            return strict_json.loads(self.read_text(location, limit))
        except ValueError as error:
            raise JobError("ClientError", f"{location} is not JSON: {error}.") from None

    def download(self, uri: str, target: Path, manifest: bool = False, shard: tuple[int, int] = (0, 1)) -> int:
        """Download an object, or all objects under a prefix, into the directory `target`.

        `manifest` says that `uri` is a manifest file that lists the objects. `shard` (i, n) downloads every n-th file,
        starting with the i-th (ShardedByS3Key). Returns the number of files of all shards. JobError if there is none.
        """
        target.mkdir(parents=True, exist_ok=True)
        location = Location.parse(uri)
        plan = self._manifest(location) if manifest else self._prefix(location)
        if not plan:
            raise JobError(
                "ClientError",
                f'No S3 objects found under S3 URL "{uri}" given in input data source. '
                "Please ensure that the bucket and the prefix exist.",
            )
        for source, path in sorted(plan.items(), key=lambda item: str(item[0]))[shard[0] :: shard[1]]:
            self._check_cancelled()
            self._get(source, target / path)
        return len(plan)

    def _prefix(self, location: Location) -> dict[Location, PurePosixPath]:
        return _plan(location.bucket, self.keys(location), location.key)

    def _manifest(self, location: Location) -> dict[Location, PurePosixPath]:
        """Read a manifest; return the path in the input's directory of each object. JobError for another form."""
        entries = self.read_json(location)
        if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
            raise JobError("ClientError", f"{location} is not a manifest: a list that begins with a prefix object.")
        base = Location.parse(str(entries[0].get("prefix", "")))
        names = [entry for entry in entries[1:] if isinstance(entry, str)]
        return _plan(base.bucket, (base.key + name for name in names), base.key)

    def _get(self, source: Location, target: Path) -> None:
        """Download one object to a file; JobError if S3 or the file system refuses it."""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            body = self._s3.get_object(Bucket=source.bucket, Key=source.key)["Body"]
            with target.open("wb") as file:
                shutil.copyfileobj(body, file, 2**20)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise JobError(
                "ClientError", f"{source} cannot be downloaded: one key is both a file and a folder."
            ) from None
        except (ClientError, BotoCoreError) as error:
            raise _problem(f"{source} cannot be downloaded", error) from None

    def put(self, path: Path, target: Location) -> None:
        """Upload one file; JobError if S3 refuses it, or if its name is not UTF-8 as keys must be."""
        try:
            target.key.encode()
        except UnicodeEncodeError:
            message = f"The name of the file {target.key!a} is not UTF-8: S3 has no such keys."
            raise JobError("ClientError", message) from None
        from boto3.exceptions import Boto3Error  # here: whoever has a client has imported boto3 already

        try:
            if path.stat().st_size <= _ONE_REQUEST:
                with path.open("rb") as file:
                    self._s3.put_object(Bucket=target.bucket, Key=target.key, Body=file)
            else:
                check_space([path])
                self._s3.upload_file(str(path), target.bucket, target.key)
        except (ClientError, BotoCoreError, Boto3Error) as error:
            raise _problem(f"{target} cannot be uploaded", error) from None

    def upload(self, source: Path, uri: str) -> int:
        """Upload all files of a directory under a prefix; return how many. JobError if the disk cannot hold them."""
        location, files = Location.parse(uri), collect([source])
        check_space(files.values())
        for name, path in files.items():
            self.put(path, location.join(name))
        return len(files)

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise CancelledError


class Mirror:
    """Uploads new and changed files of a directory to S3 while a job runs: checkpoints, continuous outputs.

    A file is uploaded once its size and modification time are the same in two passes, `interval` seconds apart, so
    that no half-written file is sent; the last pass uploads everything. Nothing is deleted from S3.
    """

    def __init__(self, transfer: Transfer, source: Path, uri: str, interval: float = 2.0) -> None:
        self._transfer, self._source, self._location = transfer, source, Location.parse(uri)
        self._interval = interval
        self._sent: dict[str, tuple[int, int]] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="mirror", daemon=True)
        self.problem: JobError | None = None

    def start(self) -> None:
        """Start the uploads in a thread; files that exist now are not uploaded until they change."""
        self._sent = {name: _mark(path) for name, path in collect([self._source]).items()}
        self._thread.start()

    def finish(self) -> None:
        """Stop the thread and upload all files that changed since their last upload. JobError if that fails."""
        self._end.set()
        self._thread.join()
        self._pass(settled=False)

    def _loop(self) -> None:
        """Run a pass every `interval` seconds; the next pass tries again what failed, and `finish` raises it."""
        while not self._end.wait(self._interval):
            try:
                self._pass(settled=True)
                self.problem = None
            except (JobError, OSError) as error:
                # The next pass tries again; finish() raises it if it persists.
                self.problem = JobError("InternalServerError", str(error))

    def _pass(self, *, settled: bool) -> None:
        """Upload files that changed since their last upload; if `settled`, only those unchanged since the last pass."""
        for name, path in collect([self._source]).items():
            try:
                mark = _mark(path)
            except FileNotFoundError:
                continue
            if self._sent.get(name) == mark or (settled and self._seen.get(name) != mark):
                self._seen[name] = mark
                continue
            try:
                self._transfer.put(path, self._location.join(name))
            except FileNotFoundError:
                continue
            self._sent[name] = mark


def _plan(bucket: str, keys: Iterable[str], prefix: str) -> dict[Location, PurePosixPath]:
    """Where in the input's directory the object of each key goes; JobError if one would leave it."""
    try:
        paths = s3_addresses.relative_paths(keys, prefix)
    except ValueError as error:
        raise JobError("ClientError", str(error)) from None
    return {Location(bucket, key): path for key, path in paths.items()}


def _mark(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _problem(what: str, error: Exception) -> JobError:
    """Return an error of S3 or of a connection as a JobError that begins with `what`."""
    if isinstance(error, ClientError):
        code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
        kind = "InternalServerError" if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500 else "ClientError"
        return JobError(kind, f"{what}: {code}: {message}")
    return JobError("InternalServerError", f"{what}: {error}")
