"""The formats of docs/formats.json on the command line: it reads the examples, and writes labels and model.json."""

import io
import json
import tarfile
from datetime import UTC, datetime

import boto3
from moto import mock_aws

from loadingbay.learning import comparison as compared
from loadingbay.learning import labels, live_comparison, periods
from loadingbay.learning.repacking import repacked
from loadingbay.registry import comparison, cost_curve, history, uncertainty
from loadingbay.serving import monitoring, recent
from pipelines.costs import Costs
from tests.formats import check, example

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
LINE = json.dumps(example("capture")).encode()


def test_captures_are_read_in_their_format():
    (answer,) = recent._in_line(example("capture"))
    assert (answer.label, answer.confidence, answer.threshold, answer.accepted) == ("bicycle", 0.9, 0.8, True)
    (live,) = live_comparison._answer(LINE, NOON.replace(hour=11))
    assert (live.inference_id, live.label, live.confidence) == ("bicycle-07", "bicycle", 0.9)
    assert live.photo == b"\x89PNG\r\n\x1a\n"
    assert monitoring._inference_id(LINE) == "bicycle-07"


def test_a_label_is_written_in_its_format():
    check("label", json.loads(labels.Label("bicycle-07", "bicycle", "review", "ada", NOON).line()))


def test_labels_are_read_in_their_format(tmp_path):
    (tmp_path / "l.jsonl").write_text(json.dumps(example("label")) + "\n")
    assert list(labels.read_file(tmp_path / "l.jsonl")) == [("bicycle-07", "bicycle")]
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="data")
        s3.put_object(Bucket="data", Key=f"{labels.PREFIX}l.jsonl", Body=json.dumps(example("label")).encode())
        assert live_comparison.truths(s3, "data") == {"bicycle-07": "bicycle"}


def test_a_deployment_is_read_in_its_format():
    (period,) = history.periods([example("deployment")])
    assert (period.version, period.shadow, period.comment) == (3, 4, "better")
    assert period.approved_by.endswith("user/ada")
    assert period.metadata == {"accuracy": "0.9000"}


def test_periods_are_read_in_their_format():
    watch = periods.parse(example("periods"))
    (period,) = watch.periods
    assert (period.count, period.accepted, period.version) == (400, 0.8, "3")
    assert period.accuracy == periods.Estimate(0.9, 0.8, 0.95, 60)
    assert (watch.alarm[:3], watch.sentences) == ("v3-", ("The accuracy fell.",))


def test_an_evaluation_is_read_in_its_format():
    evaluation = example("evaluation")
    test, lately = compared.paired_tests(evaluation)
    assert (test.accuracy, test.approved, lately.accuracy, lately.approved) == (0.9, 0.85, 0.75, 0.5)
    assert comparison.same_test(evaluation, evaluation)
    names = {row.figure.path for row in comparison.rows([evaluation])}
    assert {("gate", "accuracy"), ("calibration", "nll"), ("risk_coverage", "aurc")} <= names
    assert uncertainty.interval(evaluation, uncertainty.ECE) is not None
    assert len(cost_curve.cost_curve(evaluation, 10, 1)) == 11


def test_another_threshold_is_written_in_the_format_of_model_json():
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        content = json.dumps(example("model")).encode()
        member = tarfile.TarInfo("model.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    costs = Costs({"bicycle": 2.0, "motorcycle": 10.0}, 1.0)
    packed = repacked(body.getvalue(), {"bicycle": 0.7, "motorcycle": 0.9}, costs, {"from": 1})
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        check("model", json.load(tar.extractfile("model.json")))
