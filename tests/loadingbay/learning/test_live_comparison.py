"""A shadow beside the version in service: which answers belong together, and the figures of both."""

import base64
import json
from datetime import UTC, datetime

import pytest
from moto import mock_aws

from loadingbay.commands.compare import _print_live
from loadingbay.errors import WorkError
from loadingbay.learning import live_comparison
from loadingbay.learning.live_comparison import Answer, compared, pairs
from loadingbay.registry import versions as registry
from loadingbay.target import Target
from tests.fakes.fake_sagemaker import FakeSageMaker

SINCE = datetime(2026, 11, 26, 10, 5, 0, 500_000, tzinfo=UTC)
ARN = "arn:aws:sagemaker:us-east-1:123456789012:model-package/loadingbay/"


def answer(name, label, photo=b""):
    return Answer(name, label, 0.9, photo or name.encode())


def test_answers_are_paired_by_inference_id_and_else_by_photo():
    live = [answer("a", "bicycle"), answer("e1", "bicycle", b"p"), answer("alone", "bicycle")]
    shadow = [answer("e2", "motorcycle", b"p"), answer("a", "bicycle")]
    found, left = pairs(live, shadow, {"a": "bicycle"})
    assert [(one.inference_id, one.shadow.label, one.truth) for one in found] == [
        ("a", "bicycle", "bicycle"),
        ("e1", "motorcycle", ""),
    ]
    assert left == 1


def test_one_copy_belongs_to_one_request():
    found, left = pairs([answer("a", "x", b"p"), answer("b", "x", b"p")], [answer("c", "x", b"p")], {})
    assert (len(found), left) == (1, 1)


def test_both_are_right_as_often_as_the_labels_say():
    names = [f"n{n}" for n in range(10)]
    live = [answer(name, "bicycle") for name in names]
    shadow = [answer(name, "motorcycle" if n < 6 else "bicycle") for n, name in enumerate(names)]
    truth = dict.fromkeys(names[:6], "motorcycle") | {"n6": "bicycle", "n7": "neither"}
    found, left = pairs(live, shadow, truth)
    made = compared(1, 2, found, left)
    assert (made.requests, made.agreement.value, len(made.differing)) == (10, 0.4, 6)
    assert (made.live_accuracy.value, made.shadow_accuracy.value) == (1 / 7, 1.0)
    assert (made.won, made.lost, made.p) == (6, 0, 2 / 64)
    assert made.live_accuracy.low < 1 / 7 < made.live_accuracy.high


def test_without_requests_or_labels_nothing_is_claimed():
    made = compared(1, 2, [], 0)
    assert (made.agreement.value, made.live_accuracy.value, made.p) == (None, None, None)
    assert json.loads(json.dumps(made.document()))["agreement"]["count"] == 0


def line(name, label, at="2026-11-26T10:05:00Z"):
    """A captured line: request `name`, answered with `label`."""
    output = {"predictions": [{"label": label, "confidence": 0.9}]}
    data = {
        "endpointInput": {"data": base64.b64encode(name.encode()).decode(), "encoding": "BASE64"},
        "endpointOutput": {"data": json.dumps(output), "encoding": "JSON"},
    }
    return json.dumps(
        {"captureData": data, "eventMetadata": {"inferenceId": name, "eventId": "e", "inferenceTime": at}}
    )


@pytest.fixture
def target():
    with mock_aws():
        target = Target("aws", None, "us-east-1")
        target.client("s3").create_bucket(Bucket="data")
        yield target


def test_the_captures_of_both_variants_since_the_shadow_began_are_compared(target, monkeypatch):
    s3, hour = target.client("s3"), "2026/11/26/10/a.jsonl"
    early = line("early", "bicycle", "2026-11-26T10:04:00Z")
    s3.put_object(Bucket="data", Key=f"c/e/AllTraffic/{hour}", Body=f"{early}\nno json\n{line('a', 'bicycle')}")
    s3.put_object(Bucket="data", Key=f"c/e/Shadow/{hour}", Body=line("a", "motorcycle"))
    label = {"groundTruthData": {"data": "motorcycle"}, "eventMetadata": {"eventId": "a", "labelTime": "2"}}
    older = {"groundTruthData": {"data": "bicycle"}, "eventMetadata": {"eventId": "a", "labelTime": "1"}}
    s3.put_object(Bucket="data", Key="labels/2026/11/26/10/x", Body=f"{json.dumps(label)}\n{json.dumps(older)}\n7")
    now = registry.Endpoint("e", "InService", "", f"{ARN}1", "c", SINCE, f"{ARN}2")
    monkeypatch.setattr(registry, "endpoint", lambda *_: now)
    target.clients["sagemaker"] = sagemaker = FakeSageMaker()
    sagemaker.configs["c"] = {"ProductionVariants": [{"VariantName": "AllTraffic"}]}
    stack = {"DataCaptureUri": "s3://data/c", "EndpointName": "e", "BucketName": "data"}
    two = registry.Version(2, f"{ARN}2", "PendingManualApproval", SINCE, "", {}, "")
    made = live_comparison.compare(target, stack, two)
    assert (made.live, made.shadow, made.requests, made.not_copied, made.won) == (1, 2, 1, 0, 1)
    assert made.differing[0].shadow.photo == b"a"
    with pytest.raises(WorkError, match="version 3 is no shadow of the endpoint e"):
        live_comparison.compare(target, stack, registry.Version(3, f"{ARN}3", "Approved", SINCE, "", {}, ""))


def test_the_newest_requests_answered_differently_are_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LOADINGBAY_FOLDER", str(tmp_path))
    served = [answer(f"request-{n:02d}", "bicycle", f"{n}".encode()) for n in range(12)]
    copied = [answer(f"request-{n:02d}", "motorcycle", f"{n}".encode()) for n in range(12)]
    _print_live(compared(1, 2, *pairs(served, copied, {})))
    lines = [line for line in capsys.readouterr().out.splitlines() if "request-" in line]
    assert [line.split(":")[0].strip() for line in lines] == [f"request-{n:02d}" for n in range(11, 1, -1)]
    assert len(list((tmp_path / "runs" / "shadow-2").iterdir())) == 12
