"""Large objects of S3: parts wait in files up to a limit, and a range of any version is that range."""

import io
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from localcloud.ministack import s3_large

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def s3(cloud: Any) -> Any:
    client = cloud.client("s3")
    client.create_bucket(Bucket="large")
    client.put_bucket_versioning(Bucket="large", VersioningConfiguration={"Status": "Enabled"})
    return client


def test_parts_of_an_upload_are_not_kept_in_memory(cloud: Any, s3: Any) -> None:
    server = psutil.Process(cloud.process.pid)
    part = os.urandom(8 * MIB)
    upload = {"Bucket": "large", "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    s3.upload_part(**upload, PartNumber=1, Body=part)
    before = server.memory_info()

    etags = [s3.upload_part(**upload, PartNumber=number, Body=part)["ETag"] for number in range(1, 9)]

    # Shared pages are those of files.
    grown = server.memory_info()
    assert (grown.rss - grown.shared) - (before.rss - before.shared) < 32 * MIB
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket="large", Key="parts")["Body"].read() == part * 8
    ranged = s3.get_object(Bucket="large", Key="parts", Range=f"bytes={8 * MIB}-{8 * MIB + 99}")
    assert ranged["Body"].read() == part[:100]


def test_a_version_that_is_downloaded_in_ranges_is_whole(s3: Any) -> None:
    old = os.urandom(9 * MIB)
    version = s3.put_object(Bucket="large", Key="version", Body=old)["VersionId"]
    s3.put_object(Bucket="large", Key="version", Body=b"new")

    received = io.BytesIO()
    s3.download_fileobj("large", "version", received, ExtraArgs={"VersionId": version})

    assert received.getvalue() == old


@pytest.mark.parametrize(("asked", "wanted"), [("bytes=2-4", b"234"), ("bytes=-2", b"89"), ("bytes=7-", b"789")])
def test_a_range_of_a_version_is_that_range(s3: Any, asked: str, wanted: bytes) -> None:
    version = s3.put_object(Bucket="large", Key="digits", Body=b"0123456789")["VersionId"]

    answer = s3.get_object(Bucket="large", Key="digits", VersionId=version, Range=asked)

    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Body"].read()) == (206, wanted)


def test_a_range_beyond_a_version_is_refused(s3: Any) -> None:
    version = s3.put_object(Bucket="large", Key="digits", Body=b"0123456789")["VersionId"]

    with pytest.raises(s3.exceptions.ClientError, match="InvalidRange"):
        s3.get_object(Bucket="large", Key="digits", VersionId=version, Range="bytes=10-")


def test_an_upload_above_the_limit_is_refused(tmp_path: Path) -> None:
    parts: dict[int, Any] = {}

    def upload_part(_bucket: str, _key: str, body: bytes, query: Any, _headers: Any) -> Any:
        parts[int(query["partNumber"])] = {"body": body, "size": len(body)}
        return 200, {}, b""

    names = dict.fromkeys(("_get_object", "_read_body", "_object_disk_path", "_parse_range"), len)
    s3 = SimpleNamespace(
        __name__="s3", **names, _upload_part=upload_part, _multipart_uploads={"u": {"parts": parts}},
        _qp=lambda query, name: query.get(name), _error=lambda code, *_: (400, {}, code.encode()),
    )  # fmt: skip
    s3_large.install(s3, tmp_path, most_bytes=10)

    def send(number: int, size: int) -> Any:
        return s3._upload_part("b", "k", b"x" * size, {"uploadId": "u", "partNumber": str(number)}, {})

    assert [send(1, 6)[0], send(2, 5)[2], send(1, 10)[0], send(2, 1)[2]] == [
        200, b"EntityTooLarge", 200, b"EntityTooLarge",
    ]  # fmt: skip
