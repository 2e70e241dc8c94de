"""ClassifyImage against S3 as moto has it and a stubbed runtime, whose requests botocore checks."""

import base64
import io
import json
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from lambdas.classify_image import app
from tests.lambdas.lambda_cases import BUCKET, PNG

ANSWER: dict[str, Any] = {
    "predictions": [{"label": "bicycle", "confidence": 0.98, "probabilities": {"bicycle": 0.98, "motorcycle": 0.02}}],
    "threshold": 0.83,
    "model": {"data_label": "drawn samples"},
}
PHOTO = {"bucket": BUCKET, "key": "a.png", "content_type": "image/png", "size": len(PNG)}


@pytest.fixture
def runtime(runtime_client: Any) -> Any:
    with Stubber(runtime_client) as stub:
        runtime_client.stub = stub
        yield runtime_client
        stub.assert_no_pending_responses()


def answers(runtime: Any, document: Any, **expected: Any) -> None:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    request = {"EndpointName": "loadingbay", "ContentType": ANY, "Accept": "application/json", "Body": ANY, **expected}
    response = {"Body": StreamingBody(io.BytesIO(body), len(body)), "ContentType": "application/json"}
    runtime.stub.add_response("invoke_endpoint", response, request)


def classify(event: dict[str, Any], runtime: Any, s3: Any = None) -> dict[str, Any]:
    return app.classify(event, "loadingbay", app.Clients(s3=s3, runtime=runtime))


def event(**more: Any) -> dict[str, Any]:
    return {"photo": PHOTO, "image": base64.b64encode(PNG).decode(), **more}


def test_an_inline_photo_is_sent_as_it_was_and_the_threshold_comes_back(runtime):
    answers(runtime, ANSWER, Body=PNG, ContentType="image/png", InferenceId="run-1")
    assert classify(event(inference_id="run-1"), runtime) == {
        "photo": PHOTO,
        "inference_id": "run-1",
        "prediction": {
            "label": "bicycle",
            "confidence": 0.98,
            "probabilities": {"bicycle": 0.98, "motorcycle": 0.02},
            "threshold": 0.83,
        },
    }


def test_a_photo_by_reference_is_fetched_in_the_version_that_was_checked(runtime, s3, upload):
    version = upload("a.png", PNG)
    upload("a.png", b"something else")
    answers(runtime, ANSWER, Body=PNG)
    # The stub takes the bytes of the first version only.
    answered = classify({"photo": {**PHOTO, "version_id": version}, "image": None}, runtime, s3)
    assert answered["photo"]["version_id"] == version


def test_a_photo_that_vanished_is_named(runtime, s3):
    with pytest.raises(app.PhotoNotReadable, match=r"a\.png could be read a moment ago"):
        classify({"photo": PHOTO, "image": None}, runtime, s3)


def test_a_photo_that_grew_since_it_was_checked_is_not_sent(runtime, s3, upload):
    upload("a.png", PNG.ljust(app.MAX_PHOTO_BYTES + 1, b"x"))
    with pytest.raises(app.PhotoTooLarge, match="6,291,457"):
        classify({"photo": PHOTO, "image": None}, runtime, s3)


def test_no_inference_id_is_sent_when_there_is_none(runtime):
    answers(runtime, ANSWER)
    assert classify(event(), runtime)["inference_id"] is None


def test_a_long_execution_name_becomes_a_unique_inference_id(runtime):
    ids = []
    for last in "ab":
        answers(runtime, ANSWER, InferenceId=ANY)
        ids.append(classify(event(inference_id="n" * 79 + last), runtime)["inference_id"])
    assert [len(one) for one in ids] == [64, 64]
    assert ids[0] != ids[1]
    assert ids[0].startswith("nnnn")


def test_the_short_id_is_taken_as_it_is(runtime):
    answers(runtime, ANSWER, InferenceId="n" * 64)
    assert classify(event(inference_id="n" * 64), runtime)["inference_id"] == "n" * 64


@pytest.mark.parametrize(
    ("code", "status", "fields", "expected"),
    [
        ("ModelError", 424, {"OriginalStatusCode": 400, "OriginalMessage": "not an image"}, app.ModelRefusedPhoto),
        ("ModelError", 424, {"OriginalStatusCode": 415, "OriginalMessage": "not an image"}, app.ModelRefusedPhoto),
        ("ModelError", 424, {"OriginalStatusCode": 500, "OriginalMessage": "boom"}, app.ModelFailed),
        ("ModelError", 424, {"OriginalStatusCode": 503, "OriginalMessage": "queue full"}, app.EndpointThrottled),
        ("ModelError", 424, {"OriginalStatusCode": 429, "OriginalMessage": "slow down"}, app.EndpointThrottled),
        ("ThrottlingException", 400, {}, app.EndpointThrottled),
        ("ModelNotReadyException", 429, {}, app.EndpointNotReady),
        ("ServiceUnavailable", 503, {}, app.EndpointUnavailable),
        ("InternalFailure", 500, {}, app.EndpointUnavailable),
    ],
)
def test_what_the_endpoint_answers_becomes_a_named_condition(runtime, code, status, fields, expected):
    said = fields.get("OriginalMessage", "told so")
    runtime.stub.add_client_error("invoke_endpoint", code, "told so", status, modeled_fields=fields)
    with pytest.raises(expected, match=said):
        classify(event(), runtime)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ('{"error": "the image is empty"}\n', "the image is empty"),
        ('{"error": 5}', '{"error": 5}'),
        ('["error"]', '["error"]'),
        ("{", "{"),
    ],
)
def test_of_a_containers_json_the_sentence_is_shown(runtime, said, shown):
    fields = {"OriginalStatusCode": 400, "OriginalMessage": said}
    runtime.stub.add_client_error("invoke_endpoint", "ModelError", "told so", 424, modeled_fields=fields)
    with pytest.raises(app.ModelRefusedPhoto) as refused:
        classify(event(), runtime)
    assert str(refused.value).endswith(f"(400): {shown}")


def test_an_endpoint_that_does_not_exist_says_what_to_do(runtime):
    message = "Endpoint loadingbay of account 000000000000 not found."
    runtime.stub.add_client_error("invoke_endpoint", "ValidationError", message, 400)
    with pytest.raises(app.EndpointNotFound, match="approve a model version"):
        classify(event(), runtime)


def test_an_error_that_nobody_foresaw_keeps_its_own_name(runtime):
    runtime.stub.add_client_error("invoke_endpoint", "AccessDeniedException", "no", 403)
    with pytest.raises(runtime.exceptions.ClientError, match="AccessDeniedException"):
        classify(event(), runtime)


def test_an_endpoint_that_does_not_answer_in_time_is_worth_another_try():
    class Slow:
        def invoke_endpoint(self, **_):
            raise ReadTimeoutError(endpoint_url="https://runtime")

    with pytest.raises(app.EndpointUnavailable, match="did not answer"):
        classify(event(), Slow())


@pytest.mark.parametrize(("common", "own", "found"), [(0.9, {"threshold": 0.6}, 0.6), (1.01, {}, 1.01)])
def test_a_class_with_its_own_threshold_is_judged_by_it(runtime, common, own, found):
    answers(runtime, {"predictions": [{**ANSWER["predictions"][0], **own}], "threshold": common})
    assert classify(event(), runtime)["prediction"]["threshold"] == found


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"",
        b"[" * 100_000,
        {},
        {"predictions": [], "threshold": 0.5},
        {"predictions": ANSWER["predictions"] * 2, "threshold": 0.5},
        {"predictions": ANSWER["predictions"]},
        {"predictions": [{"label": "bicycle", "confidence": "sure", "probabilities": {}}], "threshold": 0.5},
        {"predictions": [{"label": "bicycle", "confidence": float("nan"), "probabilities": {}}], "threshold": 0.5},
        {"predictions": [{"label": "bicycle", "confidence": 1.5, "probabilities": {}}], "threshold": 0.5},
        {"predictions": ANSWER["predictions"], "threshold": -0.1},
        {"predictions": ANSWER["predictions"], "threshold": float("inf")},
        [1, 2],
    ],
)
def test_an_answer_in_another_shape_is_refused(runtime, answer):
    answers(runtime, answer)
    with pytest.raises(app.PredictionNotUnderstood, match="expected"):
        classify(event(), runtime)


@pytest.mark.parametrize("bad", [{}, {"photo": None}, {"photo": {"bucket": BUCKET}}, event(image="not base64!")])
def test_an_input_that_serialize_image_did_not_write_is_refused(runtime, bad):
    with pytest.raises(app.InputNotUnderstood):
        classify(bad, runtime)
