"""The formats of docs/formats.json in the Lambdas: what they write is in them, and they read each example."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from lambdas.classify_image.app import _prediction
from lambdas.retrain.dataset import Photo, build
from lambdas.retrain.reading import _photo
from lambdas.verify_endpoint.app import read_photos
from lambdas.watch_stream import app, periods, sampling
from lambdas.watch_stream.reading import Clients
from lambdas.write_model_card.content import describe
from tests.formats import check, example
from tests.lambdas.lambda_cases import BUCKET

REPORT = "monitoring/report"
VERSION = {
    "ModelPackageArn": "arn:aws:sagemaker:us-east-1:000000000000:model-package/loadingbay/3",
    "ModelPackageGroupName": "loadingbay",
    "ModelPackageVersion": 3,
    "ModelPackageStatus": "Completed",
    "ModelApprovalStatus": "Approved",
    "CreationTime": datetime(2026, 11, 26, tzinfo=UTC),
    "CustomerMetadataProperties": example("evaluation")["metadata"],
    "InferenceSpecification": {"Containers": [{"Image": "image", "ModelDataUrl": "s3://b/model.tar.gz"}]},
}


@pytest.fixture
def clients(s3):
    """WatchStream's clients: a bucket, a queue that keeps its messages, and no metrics."""
    sent = []
    queue = SimpleNamespace(send_message=lambda QueueUrl, MessageBody: sent.append(json.loads(MessageBody)))  # noqa: N803
    metrics = SimpleNamespace(get_metric_statistics=lambda **_: {"Datapoints": []})
    made = Clients(s3, None, None, queue, metrics, "loadingbay", BUCKET, "topic", "queue", 24)
    return made, sent


def _put(s3, key, document):
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(document).encode())


def test_classify_image_reads_an_answer_in_its_format():
    found = _prediction(json.dumps(example("answer")).encode(), "loadingbay")
    assert (found["label"], found["confidence"], found["threshold"]) == ("bicycle", 0.9, 0.8)
    assert (found["in_distribution"], found["in_distribution_threshold"]) == (0.99, 0.9)


def test_verify_endpoint_reads_photos_in_their_formats(s3):
    for name in ("labels", "answers"):
        _put(s3, f"v/{name}.json", example(f"verification_{name}"))
    (photo,) = read_photos(f"s3://{BUCKET}/v", s3)
    assert (photo.name, photo.label, photo.answered) == ("bicycle-01.png", "bicycle", "bicycle")


def test_retrain_reads_an_entry_and_writes_a_set_in_their_formats():
    entry = example("labelled_entry")
    photo = _photo(entry)
    assert photo == Photo(entry["photo"], "bicycle", entry["inference_time"])
    check("labelled_set", json.loads(build([photo], ("bicycle", "motorcycle"), 20, 100).index))


def test_watch_stream_sends_the_sure_ones_in_their_format(clients):
    made, sent = clients
    _put(made.s3, f"{REPORT}/sure_ones.json", example("sure_ones"))
    assert sampling.send(REPORT, made) == 1
    assert sent[0]["prediction"]["label"] == "bicycle"


def test_watch_stream_reads_monitoring_and_writes_periods_in_format(clients):
    made, _ = clients
    _put(made.s3, f"{REPORT}/monitoring.json", example("monitoring"))
    _put(made.s3, f"{REPORT}/constraint_violations.json", example("violations"))
    app.publish(f"s3://{BUCKET}/{REPORT}", "3", "2026-11-26T12:00:00+00:00", made)
    written = json.load(made.s3.get_object(Bucket=BUCKET, Key=periods.KEY)["Body"])
    check("periods", written)
    assert written["periods"][0]["violations"] == {"accuracy": "The accuracy fell."}
    check("monitoring", json.load(made.s3.get_object(Bucket=BUCKET, Key=f"{REPORT}/monitoring.json")["Body"]))


def test_the_model_card_has_the_figures_of_an_evaluation_in_its_format():
    card = json.dumps(describe(VERSION, example("evaluation")))
    for said in ("Accuracy", "0.9", "0.85", "0.05"):
        assert said.lower() in card.lower()
