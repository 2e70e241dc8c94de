"""VerifyEndpoint: labelled photos in S3, an endpoint that answers, and the verdict on the version."""

import io
import json
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from lambdas.verify_endpoint import app
from lambdas.verify_endpoint.verdict import MAX_PHOTOS, Limits, Tally, chosen
from tests.lambdas.lambda_cases import BUCKET

LIMITS = Limits(tolerance=0.05, milliseconds=500)
PLACE = "pipelines/loadingbay/abc/evaluate/evaluation"
EVALUATION = f"s3://{BUCKET}/{PLACE}/evaluation.json"
LABELS = {f"{label}-{n:02d}.png": label for label in ("bicycle", "motorcycle") for n in range(1, 21)}
WRONG_IN_EVALUATION = {"bicycle-07.png", "motorcycle-11.png"}
OTHER = {"bicycle": "motorcycle", "motorcycle": "bicycle"}


class Runtime:
    """An endpoint that recognizes a photo by its bytes; `answer(label)` may change what it says, or raise."""

    def __init__(self, answer=lambda label: label):
        self.answer, self.asked = answer, []

    def invoke_endpoint(self, *, EndpointName, Body, ContentType, Accept):  # noqa: N803 - AWS names them so
        assert (EndpointName, ContentType, Accept) == ("loadingbay-verify", "image/png", "application/json")
        name = Body.removeprefix(b"\x89PNG").decode()
        self.asked.append(name)
        answered = self.answer(evaluated(name))
        if isinstance(answered, bytes):
            return {"Body": io.BytesIO(answered)}
        return {"Body": io.BytesIO(json.dumps({"predictions": [{"label": answered}]}).encode())}


def evaluated(name):
    return OTHER[LABELS[name]] if name in WRONG_IN_EVALUATION else LABELS[name]


@pytest.fixture
def saved(upload):
    """What Evaluate saves with a version."""
    answers = {name: {"label": evaluated(name), "confidence": 0.9} for name in LABELS}
    upload(f"{PLACE}/verification/labels.json", json.dumps(LABELS).encode())
    upload(f"{PLACE}/verification/answers.json", json.dumps({"accuracy": 0.95, "answers": answers}).encode())
    for name in LABELS:
        upload(f"{PLACE}/verification/{name}", b"\x89PNG" + name.encode())


def verify(s3, runtime, limits=LIMITS, first=None):
    return app.verify(EVALUATION, "loadingbay-verify", limits, s3, first or Runtime(), runtime)


def model_error(status, message):
    said = {"Error": {"Code": "ModelError", "Message": "..."}, "OriginalStatusCode": status, "OriginalMessage": message}
    return ClientError(said, "InvokeEndpoint")


def raising(error):
    def answer(_):
        raise error

    return answer


def test_a_version_that_answers_as_it_was_evaluated_passes(s3, saved):
    runtime = Runtime()
    verdict = verify(s3, runtime)
    assert (verdict.passed, verdict.reason) == (True, "")
    assert (verdict.photos, verdict.accuracy, verdict.evaluated_accuracy) == (40, 0.95, 0.95)
    assert runtime.asked == sorted(LABELS)


def test_a_version_with_its_classes_swapped_fails_and_few_photos_show_it(s3, saved):
    runtime = Runtime(OTHER.get)
    verdict = verify(s3, runtime)
    assert not verdict.passed
    assert verdict.reason == (
        "it answered 0 of 5 labelled photos right; in evaluation it was 38 of 40, and a loss of 0.05 is tolerated"
    )
    assert len(runtime.asked) == 5


def test_a_loss_within_the_tolerance_passes_and_one_above_fails(s3, saved):
    def with_mistakes(count):
        mistakes = iter([True] * count)
        return Runtime(lambda label: OTHER[label] if label == "bicycle" and next(mistakes, False) else label)

    assert verify(s3, with_mistakes(2)).passed
    assert not verify(s3, with_mistakes(3)).passed


def test_an_error_of_the_model_server_fails_the_version_with_what_it_said(s3, saved):
    verdict = verify(s3, Runtime(raising(model_error(500, "CUDA is not what it was"))))
    assert verdict.reason == "bicycle-01.png was answered with an error: status 500, CUDA is not what it was"
    assert not verdict.passed


NO_ANSWER = ReadTimeoutError(endpoint_url="http://x")


def test_the_first_request_starts_the_endpoint_and_is_not_judged(s3, saved):
    first = Runtime(raising(model_error(500, "it was asleep")))
    assert verify(s3, Runtime(), first=first).passed
    assert first.asked == ["bicycle-01.png"]


@pytest.mark.parametrize("error", [NO_ANSWER, model_error(0, "Your invocation timed out")])
def test_an_endpoint_that_does_not_start_in_time_rejects_no_version(s3, saved, error):
    runtime = Runtime()
    with pytest.raises(app.EndpointUnavailable, match="loadingbay-verify"):
        verify(s3, runtime, first=Runtime(raising(error)))
    assert runtime.asked == []


def test_the_first_request_may_take_as_long_as_a_start():
    _, first, runtime = app._clients()
    assert first.meta.config.read_timeout >= 60 > runtime.meta.config.read_timeout
    assert first.meta.config.retries["total_max_attempts"] == 1


def test_no_answer_in_time_fails_the_version(s3, saved):
    verdict = verify(s3, Runtime(raising(NO_ANSWER)))
    assert verdict.reason == "bicycle-01.png was answered with an error: none came within 10 s"


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"predictions": []}', b"<html>", b"[" * 100_000])
def test_an_answer_that_is_no_prediction_fails_the_version(s3, saved, answer):
    verdict = verify(s3, Runtime(lambda _: answer))
    assert not verdict.passed
    assert "is no prediction" in verdict.reason


@pytest.mark.parametrize("code", ["ThrottlingException", "ValidationError", "ServiceUnavailable"])
def test_an_endpoint_that_cannot_be_asked_is_no_answer_of_the_version(s3, saved, code):
    error = ClientError({"Error": {"Code": code, "Message": "not now"}}, "InvokeEndpoint")
    failing = Runtime(raising(error))
    for requests in ({"runtime": failing}, {"runtime": Runtime(), "first": failing}):
        with pytest.raises(app.EndpointUnavailable, match="not now"):
            verify(s3, **requests)


def test_a_version_without_labelled_photos_cannot_be_verified(s3):
    verdict = verify(s3, Runtime())
    assert not verdict.passed
    assert verdict.reason.startswith(f"s3://{BUCKET}/{PLACE}/verification/labels.json is not there")


def test_a_version_registered_without_an_evaluation_cannot_be_verified(s3, monkeypatch):
    monkeypatch.setattr(s3, "get_object", raising(AssertionError("asked S3 for nothing")))
    assert "no evaluation" in app.verify("", "loadingbay-verify", LIMITS, s3, Runtime(), Runtime()).reason


def test_a_photo_that_is_gone_fails_the_version(s3, saved):
    s3.delete_object(Bucket=BUCKET, Key=f"{PLACE}/verification/bicycle-02.png")
    assert "labelled photo bicycle-02.png is not below" in verify(s3, Runtime()).reason


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.json", b"{"),
        ("labels.json", b"[]"),
        ("labels.json", b"{}"),
        ("labels.json", b'{"../../secret.png": "bicycle"}'),
        ("answers.json", b"{}"),
        ("answers.json", b'{"answers": {}}'),
    ],
)
def test_a_list_of_other_labels_fails_the_version_without_a_request(s3, saved, upload, name, text):
    upload(f"{PLACE}/verification/{name}", text)
    runtime = Runtime()
    assert not verify(s3, runtime).passed
    assert runtime.asked == []


def test_a_missing_variable_is_named(monkeypatch):
    monkeypatch.setenv("ENDPOINT_NAME", "loadingbay-verify")
    monkeypatch.delenv("TOLERANCE", raising=False)
    with pytest.raises(app.SettingsMissing, match="TOLERANCE"):
        app.handler({"evaluation": EVALUATION}, None)


def tally(times, limits=LIMITS, count=40):
    made = Tally(limits, [True] * count)
    for took in times:
        made.add(True, took)
    return made


def test_slow_answers_fail_the_version():
    verdict = tally([100] * 35 + [501, 812, 900, 700, 600]).verdict()
    assert not verdict.passed
    assert verdict.reason == "5 of 39 answers took longer than 500 ms, the slowest 900 ms"


def test_one_error_fails_no_version_and_the_first_answer_is_not_timed():
    verdict = tally([9000, 900, 900, 900] + [100] * 36).verdict()
    assert verdict.passed
    assert verdict.milliseconds == 100


def test_enough_slow_answers_end_the_verification_early():
    assert not tally([0, 600, 600, 600]).hopeless
    assert tally([0, 600, 600, 600, 600]).hopeless


def test_wrong_answers_that_can_still_be_made_good_do_not_end_it():
    made = tally([])
    made.add(False, 1)
    made.add(False, 1)
    assert not made.hopeless
    made.add(False, 1)
    assert made.hopeless


def test_a_tolerance_of_nothing_takes_an_equal_accuracy():
    made = Tally(replace(LIMITS, tolerance=0), [True, True, False])
    for right in (True, True, False):
        made.add(right, 1)
    assert made.verdict().passed


def test_of_many_photos_every_class_keeps_its_share():
    photos = sorted(f"{label}-{n}" for label in "abc" for n in range(100))
    picked = chosen(photos)
    assert len(picked) == len(set(picked)) == MAX_PHOTOS
    assert all(sum(photo.startswith(label) for photo in picked) == MAX_PHOTOS / 3 for label in "abc")
