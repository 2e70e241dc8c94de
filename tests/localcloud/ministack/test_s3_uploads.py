"""Uploads to S3 in parts: kept, refused, completed and aborted as on AWS, and not lost by a kill."""

import base64
import hashlib
import os
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

MIB = 1024 * 1024
FIRST, SECOND, LAST = os.urandom(5 * MIB), os.urandom(5 * MIB), b"the last part may be small"


@pytest.fixture(scope="module")
def s3(cloud: Any) -> Any:
    client = cloud.client("s3")
    client.create_bucket(Bucket="uploads")
    return client


class Upload:
    """An upload in parts to a key of the bucket `uploads`."""

    def __init__(self, s3: Any, key: str, **options: Any) -> None:
        self.s3, self.place = s3, {"Bucket": "uploads", "Key": key}
        self.upload = {**self.place, "UploadId": s3.create_multipart_upload(**self.place, **options)["UploadId"]}
        self.parts: list[dict[str, Any]] = []

    def send(self, *bodies: bytes, **options: Any) -> "Upload":
        for body in bodies:
            number = len(self.parts) + 1
            answer = self.s3.upload_part(**self.upload, PartNumber=number, Body=body, **options)
            self.parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        return self

    def complete(self, parts: list[dict[str, Any]] | None = None, **options: Any) -> Any:
        return self.s3.complete_multipart_upload(
            **self.upload, MultipartUpload={"Parts": self.parts if parts is None else parts}, **options
        )

    def refusal(self, parts: list[dict[str, Any]] | None = None, **options: Any) -> Any:
        with pytest.raises(self.s3.exceptions.ClientError) as refused:
            self.complete(parts, **options)
        return refused.value.response["Error"]

    def body(self) -> bytes:
        return self.s3.get_object(**self.place)["Body"].read()


def kept(home: Path, upload: Upload) -> Path:
    """Where the parts of an upload lie."""
    return home / "emulator" / "s3-uploads" / upload.upload["UploadId"]


def md5(body: bytes) -> bytes:
    return hashlib.md5(body, usedforsecurity=False).digest()


def crc32(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def test_the_etag_is_the_md5_of_the_parts_md5s(cloud: Any, s3: Any) -> None:
    upload = Upload(s3, "etag").send(FIRST, LAST)

    answer = upload.complete()

    assert answer["ETag"] == f'"{md5(md5(FIRST) + md5(LAST)).hex()}-2"'
    assert upload.body() == FIRST + LAST
    assert not kept(cloud.home, upload).exists()


def test_an_object_is_as_its_upload_was_created(s3: Any) -> None:
    upload = Upload(
        s3, "described", ContentType="a/b", CacheControl="no-store", Metadata={"who": "me"}, Tagging="colour=red",
    ).send(FIRST, LAST)  # fmt: skip

    upload.complete()

    answer = s3.head_object(**upload.place)
    assert (answer["ContentType"], answer["CacheControl"], answer["Metadata"]) == ("a/b", "no-store", {"who": "me"})
    assert s3.get_object_tagging(**upload.place)["TagSet"] == [{"Key": "colour", "Value": "red"}]


def test_parts_are_listed_with_their_sizes(s3: Any) -> None:
    upload = Upload(s3, "listed").send(FIRST, LAST)

    listed = s3.list_parts(**upload.upload)["Parts"]

    assert [(part["PartNumber"], part["Size"], part["ETag"]) for part in listed] == [
        (1, len(FIRST), upload.parts[0]["ETag"]), (2, len(LAST), upload.parts[1]["ETag"]),
    ]  # fmt: skip


def test_parts_that_are_not_in_order_are_refused(s3: Any) -> None:
    upload = Upload(s3, "order").send(FIRST, SECOND)

    assert upload.refusal(upload.parts[::-1])["Code"] == "InvalidPartOrder"
    assert upload.refusal([*upload.parts, upload.parts[1]])["Code"] == "InvalidPartOrder"


def test_a_part_that_was_not_sent_or_is_another_is_refused(s3: Any) -> None:
    upload = Upload(s3, "invalid").send(FIRST, LAST)
    missing, other = {"PartNumber": 7, "ETag": upload.parts[1]["ETag"]}, {**upload.parts[1], "ETag": '"0"'}

    assert [upload.refusal([upload.parts[0], part])["Code"] for part in (missing, other)] == ["InvalidPart"] * 2
    upload.complete()


def test_a_part_before_the_last_of_less_than_five_mebibytes_is_refused(s3: Any) -> None:
    refused = Upload(s3, "small").send(FIRST[:-1], LAST).refusal()

    assert refused["Code"] == "EntityTooSmall"
    assert (refused["ProposedSize"], refused["PartNumber"]) == (str(5 * MIB - 1), "1")


def test_an_upload_without_parts_is_refused(s3: Any) -> None:
    assert Upload(s3, "none").refusal([])["Code"] == "MalformedXML"


@pytest.mark.parametrize("number", [0, 10_001])
def test_a_part_number_that_is_none_is_refused(s3: Any, number: int) -> None:
    upload = Upload(s3, "number")
    s3.put_object(Bucket="uploads", Key="small", Body=LAST)

    for send in (
        lambda: s3.upload_part(**upload.upload, PartNumber=number, Body=b""),
        lambda: s3.upload_part_copy(**upload.upload, PartNumber=number, CopySource="uploads/small"),
    ):
        with pytest.raises(s3.exceptions.ClientError, match="InvalidArgument"):
            send()


def test_a_part_that_is_sent_again_replaces_the_former_one(s3: Any) -> None:
    upload = Upload(s3, "again").send(FIRST)
    upload.parts.clear()
    upload.send(SECOND)

    upload.complete()

    assert upload.body() == SECOND


def test_only_the_named_parts_make_the_object(s3: Any) -> None:
    upload = Upload(s3, "some").send(FIRST, SECOND, LAST)

    upload.complete([upload.parts[0], upload.parts[2]])

    assert upload.body() == FIRST + LAST


def test_an_aborted_upload_leaves_nothing(cloud: Any, s3: Any) -> None:
    upload = Upload(s3, "aborted").send(FIRST)
    assert any(kept(cloud.home, upload).iterdir())

    s3.abort_multipart_upload(**upload.upload)

    assert not kept(cloud.home, upload).exists()
    assert upload.refusal()["Code"] == "NoSuchUpload"


def test_completing_twice_gives_the_same_answer_and_one_version(s3: Any) -> None:
    s3.create_bucket(Bucket="upload-versions")
    s3.put_bucket_versioning(Bucket="upload-versions", VersioningConfiguration={"Status": "Enabled"})
    upload = Upload.__new__(Upload)
    upload.s3, upload.place, upload.parts = s3, {"Bucket": "upload-versions", "Key": "twice"}, []
    former = s3.put_object(**upload.place, Body=b"former")["VersionId"]
    upload.upload = {**upload.place, "UploadId": s3.create_multipart_upload(**upload.place)["UploadId"]}
    upload.send(FIRST, LAST)

    answers = [upload.complete() for _ in range(2)]

    assert answers[0]["VersionId"] == answers[1]["VersionId"]
    versions = s3.list_object_versions(Bucket="upload-versions", Prefix="twice")["Versions"]
    assert [version["VersionId"] for version in versions] == [answers[0]["VersionId"], former]
    assert s3.get_object(**upload.place, VersionId=former)["Body"].read() == b"former"
    s3.delete_object(**upload.place, VersionId=answers[0]["VersionId"])
    assert upload.body() == b"former"


def test_a_condition_that_does_not_hold_keeps_the_upload(s3: Any) -> None:
    upload = Upload(s3, "condition").send(LAST)
    s3.put_object(**upload.place, Body=b"there")

    assert upload.refusal(IfNoneMatch="*")["Code"] == "PreconditionFailed"
    upload.complete()
    assert upload.body() == LAST


def test_parts_are_copied_from_objects_and_their_ranges(s3: Any) -> None:
    s3.put_object(Bucket="uploads", Key="source", Body=FIRST + SECOND)
    upload = Upload(s3, "copied", ChecksumAlgorithm="CRC32")
    source = {"Bucket": "uploads", "Key": "source"}
    for number, given in enumerate(
        ({"CopySourceRange": f"bytes=1-{6 * MIB}"}, {}, {"CopySourceRange": "bytes=0-9"}), 1
    ):
        answer = s3.upload_part_copy(**upload.upload, PartNumber=number, CopySource=source, **given)
        upload.parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})

    upload.complete()

    whole = FIRST + SECOND
    assert upload.body() == whole[1 : 6 * MIB + 1] + whole + whole[:10]


def test_the_checksum_of_a_whole_object_follows_from_its_parts(s3: Any) -> None:
    upload = Upload(s3, "checksum", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT").send(
        FIRST, LAST, ChecksumAlgorithm="CRC32"
    )

    assert upload.refusal(ChecksumCRC32=crc32(b"other"), ChecksumType="FULL_OBJECT")["Code"] == "BadDigest"
    answer = upload.complete(ChecksumCRC32=crc32(FIRST + LAST), ChecksumType="FULL_OBJECT")

    assert (answer["ChecksumCRC32"], answer["ChecksumType"]) == (crc32(FIRST + LAST), "FULL_OBJECT")
    assert s3.get_object(**upload.place, ChecksumMode="ENABLED")["Body"].read() == FIRST + LAST


def described(upload: Upload) -> tuple[Any, Any]:
    """What is known of the parts of an object."""
    found = upload.s3.get_object_attributes(**upload.place, ObjectAttributes=["ObjectParts", "Checksum", "ObjectSize"])
    second = upload.s3.head_object(**upload.place, PartNumber=2)
    return [found[name] for name in ("ObjectParts", "Checksum", "ObjectSize")], second["ContentLength"]


def begun(running: Any) -> Generator[None, None, tuple[Upload, Upload, Any]]:
    """An upload that has begun, one that has ended, and what was known of the second one."""
    s3 = running.client("s3")
    s3.create_bucket(Bucket="uploads")
    yield
    upload = Upload(s3, "killed", ContentType="a/b", ChecksumAlgorithm="CRC32").send(FIRST)
    aborted = Upload(s3, "aborted").send(LAST)
    s3.abort_multipart_upload(**aborted.upload)
    (kept(running.home, upload) / "never-acknowledged").write_bytes(b"half")
    ended = Upload(s3, "ended", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT").send(FIRST, LAST)
    ended.complete()
    return upload, ended, described(ended)


@pytest.mark.restarted(begun, "kill")
def test_an_upload_goes_on_after_a_kill(restarted: tuple[Any, tuple[Upload, Upload, Any]]) -> None:
    running, (upload, ended, before) = restarted
    ended.s3 = upload.s3 = s3 = running.client("s3")
    s3.put_object_tagging(**ended.place, Tagging={"TagSet": []})  # its description is written again
    assert described(ended) == before
    assert [found["Key"] for found in s3.list_multipart_uploads(Bucket="uploads")["Uploads"]] == ["killed"]
    upload.send(LAST).complete()

    assert upload.body() == FIRST + LAST
    assert s3.head_object(**upload.place)["ContentType"] == "a/b"
    assert list((running.home / "emulator" / "s3-uploads").iterdir()) == []
