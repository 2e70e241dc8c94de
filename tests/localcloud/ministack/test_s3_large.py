"""Large objects of S3 take no memory, and are whole however they are read."""

import io
import os
from typing import Any

import psutil
import pytest

MIB = 1024 * 1024


def private_bytes(server: psutil.Process) -> int:
    """The memory of a process without the pages of files that it shows."""
    found = server.memory_info()
    return int(found.rss - found.shared)


@pytest.fixture(scope="module")
def s3(cloud: Any) -> Any:
    client = cloud.client("s3")
    client.create_bucket(Bucket="large")
    client.put_bucket_versioning(Bucket="large", VersioningConfiguration={"Status": "Enabled"})
    return client


def test_parts_of_an_upload_are_stored_and_joined_without_taking_memory(cloud: Any, s3: Any) -> None:
    server = psutil.Process(cloud.process.pid)
    part = os.urandom(8 * MIB)
    upload = {"Bucket": "large", "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    s3.upload_part(**upload, PartNumber=1, Body=part)
    before = private_bytes(server)

    etags = [s3.upload_part(**upload, PartNumber=number, Body=part)["ETag"] for number in range(1, 9)]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert private_bytes(server) - before < 32 * MIB
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


def test_a_large_object_is_read_and_copied_without_taking_memory(cloud: Any, s3: Any) -> None:
    server, body = psutil.Process(cloud.process.pid), os.urandom(48 * MIB)
    s3.put_object(Bucket="large", Key="whole", Body=body)
    before = private_bytes(server)

    s3.copy_object(
        Bucket="large", Key="copy", CopySource="large/whole", Metadata={"a": "b"}, MetadataDirective="REPLACE"
    )
    answer = s3.get_object(Bucket="large", Key="copy")
    begun = private_bytes(server)
    received = answer["Body"].read()

    assert received == body
    assert answer["Metadata"] == {"a": "b"}
    assert max(begun, private_bytes(server)) - before < 24 * MIB


def test_versions_are_not_kept_in_memory(cloud: Any, s3: Any) -> None:
    server, body = psutil.Process(cloud.process.pid), os.urandom(8 * MIB)
    first = s3.put_object(Bucket="large", Key="versions", Body=b"1" + body)["VersionId"]
    before = private_bytes(server)

    for number in range(12):
        s3.put_object(Bucket="large", Key="versions", Body=b"%d" % number + body)

    assert private_bytes(server) - before < 64 * MIB
    assert s3.get_object(Bucket="large", Key="versions", VersionId=first)["Body"].read() == b"1" + body


def test_an_object_copied_onto_itself_keeps_its_bytes(s3: Any, cloud: Any) -> None:
    body = os.urandom(2 * MIB)
    s3.create_bucket(Bucket="unversioned")
    s3.put_object(Bucket="unversioned", Key="self", Body=body)

    s3.copy_object(
        Bucket="unversioned", Key="self", CopySource="unversioned/self", MetadataDirective="REPLACE", ContentType="a/b"
    )

    answer = s3.get_object(Bucket="unversioned", Key="self")
    assert (answer["Body"].read(), answer["ContentType"]) == (body, "a/b")
    assert list((cloud.home / "emulator" / "s3-commits").iterdir()) == []


def test_a_body_whose_checksum_is_wrong_changes_nothing(cloud: Any, s3: Any) -> None:
    s3.put_object(Bucket="large", Key="wrong", Body=b"former")

    with pytest.raises(s3.exceptions.ClientError, match="BadDigest"):
        s3.put_object(Bucket="large", Key="wrong", Body=bytes(2 * MIB), ChecksumSHA256="A" * 43 + "=")

    assert s3.get_object(Bucket="large", Key="wrong")["Body"].read() == b"former"
    assert list((cloud.home / "emulator" / "s3-commits").iterdir()) == []


def test_a_put_whose_former_version_cannot_be_kept_changes_nothing(cloud: Any, s3: Any) -> None:
    s3.create_bucket(Bucket="unkept")
    s3.put_bucket_versioning(Bucket="unkept", VersioningConfiguration={"Status": "Enabled"})
    former = s3.put_object(Bucket="unkept", Key="key", Body=b"former")["VersionId"]
    # Where the bucket's versions would lie is a file.
    versions = cloud.home / "emulator" / "s3" / ".versions" / "000000000000"
    versions.mkdir(parents=True, exist_ok=True)
    (versions / "unkept").touch()

    with pytest.raises(s3.exceptions.ClientError, match="InsufficientStorage"):
        s3.put_object(Bucket="unkept", Key="key", Body=b"refused")
    (versions / "unkept").unlink()

    answer = s3.get_object(Bucket="unkept", Key="key")
    assert (answer["Body"].read(), answer["VersionId"]) == (b"former", former)
    assert len(s3.list_object_versions(Bucket="unkept")["Versions"]) == 1
