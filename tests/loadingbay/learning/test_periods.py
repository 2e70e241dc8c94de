"""`monitor --history`: what the schedule found, as records and as a person reads them."""

import json

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws

from loadingbay.commands import watch
from loadingbay.learning import periods, watcher

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
    monkeypatch.setattr("loadingbay.stack.deploy.outputs", lambda _: {"BucketName": "data", "EndpointName": "bay"})
    monkeypatch.setattr("loadingbay.registry.versions.endpoint", lambda *_: None)
    whole = watcher.Watcher("bay-monitoring", "bay", "rate(1 hour)", enabled=True, pipeline=True, serves=True)
    monkeypatch.setattr(watcher, "read", lambda *_, **__: whole)

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


def test_what_keeps_monitoring_from_running_is_told_with_the_remedy(run, monkeypatch):
    gone = watcher.Watcher("bay-monitoring", "bay", "rate(1 hour)", enabled=True, pipeline=False, serves=True)
    monkeypatch.setattr(watcher, "read", lambda *_, **__: gone)
    said = run(said=SAID)
    assert "Nothing watches now: there is no pipeline bay-monitoring" in said.stderr
    assert len(said.stdout.splitlines()) == 3
    assert json.loads(run("--json", said=SAID).stdout)["missing"] == list(gone.missing)


@pytest.mark.parametrize("said", [[], {"periods": [{}]}, {"alarm": ""}, {"periods": 3}, "not an object"])
def test_periods_that_are_damaged_are_told_with_the_remedy(run, said):
    assert "is not the list of periods that monitoring writes" in str(run(said=said or {"periods": [0]}).exception)


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
