"""`monitor --history`: what the schedule found, as records and as a person reads them."""

import json
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from moto import mock_aws

from loadingbay.commands import watch
from loadingbay.learning import periods
from loadingbay.target import Target

ESTIMATE = {"value": 0.9, "low": 0.8, "high": 0.95, "labelled": 40}
SAID = {
    "alarm": "v7-x",
    "sentences": {"accepted_share": "accepted_share fell to 0.500, since Monday"},
    "periods": [
        {"time": "2026-11-26T13:00:00Z", "version": "7", "count": 200, "share_above": 0.86, "violations": {},
         "estimates": {"accuracy": ESTIMATE, "accepted_precision": None}},
        {"time": "2026-11-26T14:00:00Z", "version": "7", "count": 90, "share_above": 0.5,
         "violations": {"accepted_share": "it fell"}, "estimates": {}},
    ],
}  # fmt: skip


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(watch, "require_running", lambda _: None)
    monkeypatch.setattr("loadingbay.stack.deploy.outputs", lambda _: {"BucketName": "data"})

    monkeypatch.setattr(periods, "runs", lambda _: True)

    class Moto:
        def client(self, name):
            return boto3.client(name, region_name="us-east-1")

    with mock_aws():
        Moto().client("s3").create_bucket(Bucket="data")

        def invoke(*arguments, said=None):
            if said:
                Moto().client("s3").put_object(Bucket="data", Key=periods.KEY, Body=json.dumps(said))
            return CliRunner().invoke(watch.monitor, ["--history", *arguments], obj=Moto)

        yield invoke


def test_a_schedule_without_its_pipeline_is_told_with_the_remedy(run, monkeypatch):
    monkeypatch.setattr(periods, "runs", lambda _: False)
    said = run(said=SAID)
    assert "the schedule's pipeline is gone. `loadingbay run` makes it again." in said.stderr
    assert len(said.stdout.splitlines()) == 3


@pytest.mark.parametrize(("answer", "there"), [("", True), ("ResourceNotFound", False)])
def test_the_pipeline_of_the_schedule_is_asked_for_by_its_name(answer, there):
    asked = []

    def describe(PipelineName):  # noqa: N803 - AWS names its arguments so
        asked.append(PipelineName)
        if answer:
            raise ClientError({"Error": {"Code": answer, "Message": "it does not exist"}}, "DescribePipeline")

    clients = {"sagemaker": SimpleNamespace(describe_pipeline=describe)}
    target = Target("aws", None, "us-east-1", stage="bay", clients=clients)
    assert periods.runs(target) is there
    assert asked == ["bay-monitoring"]


def test_each_period_is_a_line_and_what_lasts_a_sentence(run):
    first, second, lasts = run(said=SAID).output.splitlines()
    assert "version   7     200 answers   86% accepted  accuracy 0.80 to 0.95  -" in first
    assert second.endswith("accuracy    not known  accepted_share")
    assert lasts == "Lasts: accepted_share fell to 0.500, since Monday"


def test_before_the_first_period_it_says_so(run):
    assert "found nothing yet" in run().output


def test_as_json_it_is_what_a_console_shows(run):
    said = json.loads(run("--json", said=SAID).output)
    assert said["alarm"] == "v7-x"
    assert said["periods"][0]["accuracy"] == ESTIMATE
    assert said["periods"][1]["precision"] is None
