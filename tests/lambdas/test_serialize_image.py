"""SerializeImage against S3 as moto has it."""

import base64
import json

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from lambdas.serialize_image import app
from tests.lambdas.lambda_cases import BUCKET, JPEG, PNG


def test_a_small_png_travels_inline_with_its_version(s3, upload):
    version = upload("incoming/a.png", PNG)
    out = app.serialize({"bucket": BUCKET, "key": "incoming/a.png"}, s3)
    assert out["photo"] == {
        "bucket": BUCKET,
        "key": "incoming/a.png",
        "version_id": version,
        "content_type": "image/png",
        "size": len(PNG),
    }
    assert base64.b64decode(out["image"]) == PNG


def test_a_jpeg_is_known_by_its_bytes_and_not_by_its_name(s3, upload):
    upload("a.png", JPEG)
    assert app.serialize({"bucket": BUCKET, "key": "a.png"}, s3)["photo"]["content_type"] == "image/jpeg"


def test_the_requested_version_is_read_although_a_newer_one_exists(s3, upload):
    first = upload("a.png", PNG)
    upload("a.png", JPEG)
    out = app.serialize({"bucket": BUCKET, "key": "a.png", "version_id": first}, s3)
    assert out["photo"]["version_id"] == first
    assert out["photo"]["content_type"] == "image/png"


@pytest.mark.parametrize("extra", [0, 1])
def test_a_photo_is_inline_up_to_the_limit_and_by_reference_above_it(s3, upload, extra):
    photo = PNG.ljust(app.MAX_INLINE_BYTES + extra, b"x")
    upload("a.png", photo)
    out = app.serialize({"bucket": BUCKET, "key": "a.png"}, s3)
    assert (out["image"] is None) == bool(extra)
    assert out["photo"]["size"] == len(photo)


def test_the_largest_output_stays_below_half_of_what_a_state_may_carry(s3, upload):
    key = "k" * 1024  # the longest key there is
    upload(key, PNG.ljust(app.MAX_INLINE_BYTES, b"x"))
    state = json.dumps(app.serialize({"bucket": BUCKET, "key": key}, s3))
    assert len(state) < 262_144 * 0.6


def test_a_20_mb_photo_is_refused_before_its_body_is_read(s3):
    class Unread:
        def read(self, *_):
            raise AssertionError("the body was read")

        def close(self):
            pass

    stub = Stubber(s3)
    size = 20 * 1024 * 1024
    stub.add_response("get_object", {"ContentLength": size, "Body": StreamingBody(Unread(), size)})
    with stub, pytest.raises(app.PhotoTooLarge, match=r"20,971,520 bytes.*at most 6,291,456"):
        app.serialize({"bucket": BUCKET, "key": "huge.png"}, s3)


def test_a_photo_of_exactly_the_endpoints_limit_is_accepted(s3, upload):
    upload("a.png", PNG.ljust(app.MAX_PHOTO_BYTES, b"x"))
    assert app.serialize({"bucket": BUCKET, "key": "a.png"}, s3)["photo"]["size"] == app.MAX_PHOTO_BYTES


def test_an_empty_object_is_refused_by_name(s3, upload):
    upload("a.png", b"")
    with pytest.raises(app.EmptyPhoto, match=r"a\.png is empty"):
        app.serialize({"bucket": BUCKET, "key": "a.png"}, s3)


@pytest.mark.parametrize("body", [b"GIF89a" + b"x" * 20, b"%PDF-1.7", b"\x89PNG", b"\xff\xd8", b"plain text"])
def test_what_is_neither_png_nor_jpeg_is_refused_with_its_first_bytes(s3, upload, body):
    upload("a.png", body)
    with pytest.raises(app.UnsupportedPhotoFormat, match=body[:8].hex(" ")):
        app.serialize({"bucket": BUCKET, "key": "a.png"}, s3)


def test_a_missing_photo_is_named(s3):
    with pytest.raises(app.PhotoNotFound, match=r"nowhere\.png is not there \(NoSuchKey\)"):
        app.serialize({"bucket": BUCKET, "key": "nowhere.png"}, s3)


def test_a_missing_bucket_is_named(s3):
    with pytest.raises(app.PhotoNotFound, match=r"s3://no-such-bucket/a\.png"):
        app.serialize({"bucket": "no-such-bucket", "key": "a.png"}, s3)


def test_a_deleted_photo_is_not_there(s3, upload):
    upload("a.png", PNG)
    s3.delete_object(Bucket=BUCKET, Key="a.png")
    with pytest.raises(app.PhotoNotFound):
        app.serialize({"bucket": BUCKET, "key": "a.png"}, s3)


@pytest.mark.parametrize(
    "event", [{}, {"bucket": BUCKET}, {"bucket": BUCKET, "key": ""}, {"bucket": 3, "key": "a"}, {"key": "a"}, []]
)
def test_an_input_that_names_no_photo_is_refused_with_an_example(s3, event):
    with pytest.raises(app.PhotoNotNamed, match="for example"):
        app.serialize(event, s3)


@pytest.mark.parametrize(
    "event",
    [
        {"bucket": f"arn:aws:s3:::{BUCKET}", "key": "photos/a.png"},
        {"bucket": f"s3://{BUCKET}", "key": "photos/a.png"},
        {"bucket": f"{BUCKET}/photos", "key": "a.png"},
        {"bucket": BUCKET, "key": "photos/a.png", "version_id": 5},
        {"bucket": BUCKET, "key": "photos/\ud800.png"},
        {"bucket": "\udfff", "key": "photos/a.png"},
        {"bucket": BUCKET, "key": "photos/a.png", "version_id": "\ud800"},
        {"bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint/photos", "key": "photos/a.png"},
        {"bucket": f"{BUCKET}\n", "key": "photos/a.png"},
    ],
)
def test_a_permanent_mistake_in_the_input_is_not_taken_for_an_outage(s3, event):
    with pytest.raises(app.PhotoNotNamed, match="for example"):
        app.serialize(event, s3)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("InvalidBucketName", 400, app.PhotoNotNamed),
        ("AccessDenied", 403, app.PhotoNotReadable),
        ("InvalidObjectState", 403, app.PhotoNotReadable),
        ("InvalidRequest", 400, app.PhotoNotReadable),
        ("KMS.DisabledException", 400, app.PhotoNotReadable),
        ("SlowDown", 503, app.PhotoStoreUnavailable),
        ("InternalError", 500, app.PhotoStoreUnavailable),
        ("InvalidArgument", 400, app.PhotoNotFound),
    ],
)
def test_what_s3_answers_becomes_a_named_condition(s3, code, status, expected):
    stub = Stubber(s3)
    stub.add_client_error("get_object", code, "told so", status)
    with stub, pytest.raises(expected, match=code):
        app.serialize({"bucket": BUCKET, "key": "a.png"}, s3)


def test_the_door_uses_its_own_client(s3, upload):
    upload("a.png", PNG)
    app._s3.cache_clear()
    assert app.handler({"bucket": BUCKET, "key": "a.png"}, None)["image"]
    assert boto3.DEFAULT_SESSION is not None
    app._s3.cache_clear()
