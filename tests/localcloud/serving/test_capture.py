"""Data capture without a cloud: the format, the sample, the path, the spool."""

import json
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.serving.capture import Captured, Recorder, object_key, record, wanted
from tests.formats import check
from tests.waiting import soon

CONFIG = {
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://bucket/captures/",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
}


def captured(config: dict[str, Any] = CONFIG, **changes: Any) -> Captured:
    """An answered request that is to be captured, with these changes."""
    members = {
        "endpoint": "loadingbay",
        "variant": "AllTraffic",
        "role": "arn:aws:iam::000000000000:role/endpoint",
        "config": config,
        "content_type": "image/png",
        "body": b"\x89PNG",
        "answer_type": "application/json; charset=utf-8",
        "answer": b'{"a": 1}',
        "inference_id": "mine",
        "time": 1777420998.25,
    }
    return Captured(**{**members, **changes})


class Bucket:
    """Keeps what is put; refuses or fails on demand."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.error: Exception | None = None

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803 - boto3's names
        if self.error is not None:
            raise self.error
        self.objects[f"{Bucket}/{Key}"] = Body

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for body in self.objects.values() for line in body.splitlines()]


def test_a_record_has_the_documented_form() -> None:
    line = record(captured())
    check("capture", line)

    uuid.UUID(line["eventMetadata"].pop("eventId"))
    assert line == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "image/png",
                "mode": "INPUT",
                "data": "iVBORw==",
                "encoding": "BASE64",
            },
            "endpointOutput": {
                "observedContentType": "application/json; charset=utf-8",
                "mode": "OUTPUT",
                "data": '{"a": 1}',
                "encoding": "JSON",
            },
        },
        "eventMetadata": {"inferenceTime": "2026-04-29T00:03:18Z", "inferenceId": "mine"},
        "eventVersion": "0",
    }


def test_only_what_the_options_name_is_captured() -> None:
    line = record(captured({**CONFIG, "CaptureOptions": [{"CaptureMode": "Output"}]}))

    assert list(line["captureData"]) == ["endpointOutput"]


def test_text_that_is_none_is_captured_as_base64() -> None:
    line = record(captured(content_type="text/csv", body=b"\xff\xfe"))

    assert line["captureData"]["endpointInput"]["encoding"] == "BASE64"


def test_the_key_is_partitioned_by_hour() -> None:
    moment = datetime(2026, 4, 29, 7, 3, 18, 250_000, UTC)
    identity = uuid.UUID(int=5)

    assert (
        object_key("/captures/", "e", "v", moment, identity) == f"captures/e/v/2026/04/29/07/03-18-250-{identity}.jsonl"
    )
    assert object_key("", "e", "v", moment, identity).startswith("e/v/2026")


@pytest.mark.parametrize(("percentage", "low", "high"), [(0, 0, 0), (100, 2000, 2000), (30, 450, 750)])
def test_the_sample_is_as_large_as_asked(percentage: int, low: int, high: int) -> None:
    config = {**CONFIG, "InitialSamplingPercentage": percentage}

    assert low <= sum(wanted(config) for _ in range(2000)) <= high


def test_capture_can_be_off() -> None:
    assert not wanted(None)
    assert not wanted({**CONFIG, "EnableCapture": False})


def test_a_stop_sends_everything_by_endpoint_and_hour(tmp_path: Path) -> None:
    bucket = Bucket()
    recorder = Recorder(tmp_path, lambda _role: bucket)
    for number in range(200):
        recorder.put(captured(inference_id=str(number), time=1777420998.25 + 3600 * (number % 2)))

    recorder.stop()

    assert sorted(int(line["eventMetadata"]["inferenceId"]) for line in bucket.lines()) == list(range(200))
    assert {key.rpartition("/")[0] for key in bucket.objects} == {
        "bucket/captures/loadingbay/AllTraffic/2026/04/29/00",
        "bucket/captures/loadingbay/AllTraffic/2026/04/29/01",
    }
    assert list(tmp_path.iterdir()) == []


def test_the_next_recorder_sends_what_is_left_without_a_cut_last_record(tmp_path: Path) -> None:
    bucket = Bucket()
    bucket.error = ConnectionError("no S3")
    first = Recorder(tmp_path, lambda _role: bucket)
    first.put(captured())
    first.stop()
    [spool] = tmp_path.glob("*.spool")
    spool.write_bytes(spool.read_bytes() + spool.read_bytes()[:-3])
    bucket.error = None

    second = Recorder(tmp_path, lambda _role: bucket)
    second.stop()

    assert [line["eventMetadata"]["inferenceId"] for line in bucket.lines()] == ["mine"]


def test_sending_a_spool_again_writes_the_same_object(tmp_path: Path) -> None:
    bucket = Bucket()
    bucket.error = ConnectionError("no S3")
    first = Recorder(tmp_path, lambda _role: bucket)
    first.put(captured())
    first.stop()
    [spool] = tmp_path.glob("*.spool")
    content, bucket.error = spool.read_bytes(), None
    Recorder(tmp_path, lambda _role: bucket).stop()
    spool.write_bytes(content)

    Recorder(tmp_path, lambda _role: bucket).stop()

    assert len(bucket.objects) == 1


def test_records_that_s3_refuses_stay_on_disk_out_of_the_way(tmp_path: Path) -> None:
    bucket = Bucket()
    bucket.error = ClientError({"Error": {"Code": "NoSuchBucket", "Message": "gone"}}, "PutObject")
    recorder = Recorder(tmp_path, lambda _role: bucket)
    recorder.put(captured())

    assert soon(lambda: list(tmp_path.glob("*.refused")))
    bucket.error = None
    recorder.put(captured(inference_id="later"))
    recorder.stop()

    assert [line["eventMetadata"]["inferenceId"] for line in bucket.lines()] == ["later"]
    assert len(list(tmp_path.glob("*.refused"))) == 1


def test_a_record_is_on_disk_before_its_answer_goes_out(tmp_path: Path) -> None:
    bucket = Bucket()
    bucket.error = ConnectionError("no S3")
    recorder = Recorder(tmp_path, lambda _role: bucket)

    recorder.put(captured(body=b"a photo that is not to be lost"))

    assert any(b"a photo that is not to be lost" in spool.read_bytes() for spool in tmp_path.iterdir())
    recorder.stop()


def test_records_that_come_while_others_are_sent_are_sent_later(tmp_path: Path) -> None:
    bucket = Bucket()
    recorder = Recorder(tmp_path, lambda _role: bucket)
    sending = bucket.put_object

    def put_object(**members: Any) -> None:
        bucket.put_object = sending
        recorder.put(captured(inference_id="meanwhile-0"))
        sending(**members)
        recorder.put(captured(inference_id="meanwhile-1"))

    bucket.put_object = put_object
    recorder.put(captured(inference_id="first"))
    assert soon(lambda: bucket.objects)
    recorder.stop()

    assert {line["eventMetadata"]["inferenceId"] for line in bucket.lines()} == {
        "first",
        "meanwhile-0",
        "meanwhile-1",
    }


def test_what_a_full_disk_does_not_take_is_kept_and_written_once_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket()
    recorder = Recorder(tmp_path, lambda _role: bucket)
    write = os.writev

    def half(file: int, parts: list[bytes]) -> int:
        whole = b"".join(parts)
        return os.write(file, whole[: len(whole) // 2])

    monkeypatch.setattr("localcloud.serving.capture.os.writev", half)
    for number in range(3):
        recorder.put(captured(inference_id=str(number)))
    kept = recorder.full
    monkeypatch.setattr("localcloud.serving.capture.os.writev", write)
    recorder.stop()

    assert not kept
    assert [line["eventMetadata"]["inferenceId"] for line in bucket.lines()] == ["0", "1", "2"]
