"""Ranges and parts of objects of S3, read by GetObject and HeadObject, also of versions."""

from typing import Any

import pytest

MIB = 1024 * 1024
PARTS = {2: b"2" * 5 * MIB, 5: b"5" * 100}
WHOLE = b"".join(PARTS.values())


@pytest.fixture(scope="module")
def s3(cloud: Any) -> Any:
    client = cloud.client("s3")
    client.create_bucket(Bucket="ranges")
    client.put_bucket_versioning(Bucket="ranges", VersioningConfiguration={"Status": "Enabled"})
    return client


@pytest.fixture(scope="module")
def joined(s3: Any) -> dict[str, str]:
    """Bucket, key and version of an object of two parts that another version has displaced."""
    upload = {"Bucket": "ranges", "Key": "joined"}
    options = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, **options)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in PARTS.items()
    ]
    version = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})["VersionId"]
    s3.put_object(Bucket="ranges", Key="joined", Body=b"new")
    return {"Bucket": "ranges", "Key": "joined", "VersionId": version}


def code(s3: Any, read: str, **request: Any) -> Any:
    """The code of a refusal; of HeadObject, whose answers have no body, its status."""
    with pytest.raises(s3.exceptions.ClientError) as refused:
        getattr(s3, read)(Bucket="ranges", **request)
    return refused.value.response["Error"]["Code"]


@pytest.mark.parametrize("number", PARTS)
def test_a_part_of_a_version_is_read_by_its_number(s3: Any, joined: dict[str, str], number: int) -> None:
    answer = s3.get_object(**joined, PartNumber=number)

    start = WHOLE.index(PARTS[number])
    assert answer["Body"].read() == PARTS[number]
    assert answer["ContentRange"] == f"bytes {start}-{start + len(PARTS[number]) - 1}/{len(WHOLE)}"
    assert (answer["PartsCount"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (2, 206)


@pytest.mark.parametrize("number", PARTS)
def test_the_size_of_a_part_is_told_without_reading_it(s3: Any, joined: dict[str, str], number: int) -> None:
    answer = s3.head_object(**joined, PartNumber=number)

    assert (answer["ContentLength"], answer["PartsCount"]) == (len(PARTS[number]), 2)


def test_the_attributes_tell_the_parts_and_their_checksums(s3: Any, joined: dict[str, str]) -> None:
    found = s3.get_object_attributes(**joined, ObjectAttributes=["ObjectParts", "Checksum"])

    assert {part["PartNumber"]: part["Size"] for part in found["ObjectParts"]["Parts"]} == {2: 5 * MIB, 5: 100}
    assert all(part["ChecksumCRC64NVME"] for part in found["ObjectParts"]["Parts"])
    assert found["Checksum"]["ChecksumType"] == "FULL_OBJECT"


def test_an_object_without_parts_is_its_first_part(s3: Any) -> None:
    s3.put_object(Bucket="ranges", Key="digits", Body=b"0123456789")

    answer = s3.get_object(Bucket="ranges", Key="digits", PartNumber=1)

    assert (answer["Body"].read(), "PartsCount" in answer) == (b"0123456789", False)
    assert code(s3, "get_object", Key="digits", PartNumber=2) == "InvalidPartNumber"
    assert code(s3, "head_object", Key="digits", PartNumber=2) == "416"


@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_a_number_that_no_part_has_is_refused(s3: Any, number: int) -> None:
    s3.put_object(Bucket="ranges", Key="digits", Body=b"0123456789")

    assert code(s3, "get_object", Key="digits", PartNumber=number) == "InvalidArgument"
    assert code(s3, "get_object", Key="digits", PartNumber=1, Range="bytes=0-1") == "InvalidRequest"


@pytest.mark.parametrize(("asked", "wanted"), [("bytes=2-4", b"234"), ("bytes=-2", b"89"), ("bytes=7-", b"789")])
def test_a_range_of_any_version_is_that_range(s3: Any, asked: str, wanted: bytes) -> None:
    version = s3.put_object(Bucket="ranges", Key="digits", Body=b"0123456789")["VersionId"]

    for place in ({"Key": "digits"}, {"Key": "digits", "VersionId": version}):
        answer = s3.get_object(Bucket="ranges", **place, Range=asked)

        assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Body"].read()) == (206, wanted)
        assert s3.head_object(Bucket="ranges", **place, Range=asked)["ContentLength"] == len(wanted)


def test_a_range_beyond_an_object_is_refused(s3: Any) -> None:
    version = s3.put_object(Bucket="ranges", Key="digits", Body=b"0123456789")["VersionId"]

    for place in ({"Key": "digits"}, {"Key": "digits", "VersionId": version}):
        assert code(s3, "get_object", **place, Range="bytes=10-") == "InvalidRange"
