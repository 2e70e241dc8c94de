"""WatchStream: what is collected for a period, what is published of it, and which violations last."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from lambdas.watch_stream import app, periods
from lambdas.watch_stream.collecting import collect
from lambdas.watch_stream.reading import Clients, NotReadable
from tests.fakes.fake_sagemaker import FakeSageMaker

NOW = datetime(2026, 11, 26, 14, 30, tzinfo=UTC)
PACKAGE = {
    "ModelPackageVersion": 7,
    "DriftCheckBaselines": {
        "ModelDataQuality": {"Statistics": {"S3Uri": "s3://data/pipelines/a/evaluation/statistics.json"}}
    },
}


@pytest.fixture
def sagemaker():
    """An endpoint that has served an approved version for three days."""
    made = FakeSageMaker()
    made.decide(made.register(**PACKAGE), "Approved")
    made.endpoints["loadingbay"] = {"status": "InService", "config": "config", "changed": NOW}
    made.configs["config"] = {
        "CreationTime": NOW - timedelta(days=3),
        "ProductionVariants": [{"VariantName": "main"}],
    }
    return made


@pytest.fixture
def clients(sagemaker):
    """The function's clients on moto's AWS and a SageMaker double."""
    with mock_aws():
        s3, sns = boto3.client("s3", region_name="us-east-1"), boto3.client("sns", region_name="us-east-1")
        s3.create_bucket(Bucket="data")
        topic = sns.create_topic(Name="alarms")["TopicArn"]
        sqs = boto3.client("sqs", region_name="us-east-1")
        url = sqs.create_queue(QueueName="review")["QueueUrl"]
        cloudwatch = boto3.client("cloudwatch", region_name="us-east-1")
        yield Clients(s3, sagemaker, sns, sqs, cloudwatch, "loadingbay", "data", topic, url, 24)


def put(clients, *keys):
    for key in keys:
        clients.s3.put_object(Bucket="data", Key=key, Body=b"{}")


def capture(hour, variant="main", name="a"):
    return f"data-capture/loadingbay/{variant}/2026/11/{hour}/{name}.jsonl"


def listed(clients, found):
    body = clients.s3.get_object(Bucket="data", Key=found["manifest"].removeprefix("s3://data/"))["Body"].read()
    first, *keys = json.loads(body)
    assert first == {"prefix": "s3://data/"}
    return keys


def test_captures_labels_and_baseline_are_listed(clients):
    evaluation = "pipelines/a/evaluation"
    put(clients, capture("26/14"), "labels/2026/11/26/13/l.jsonl", f"{evaluation}/statistics.json")
    put(clients, f"{evaluation}/verification/answers.json", f"{evaluation}/report.png", capture("26/14", "shadow"))
    found = collect(24, 168, NOW, clients)
    assert (found["captured"], found["evaluation"], found["version"]) == (1, evaluation, "7")
    assert listed(clients, found) == [
        capture("26/14"),
        "labels/2026/11/26/13/l.jsonl",
        f"{evaluation}/statistics.json",
    ]


def test_captures_of_a_clock_that_differs_are_listed_when_their_hour_comes(clients):
    put(clients, capture("26/14"), capture("26/17"), "labels/2026/11/26/17/l.jsonl", "labels/2026/11/26/11/l.jsonl")
    assert listed(clients, collect(24, 168, NOW, clients)) == [capture("26/14"), "labels/2026/11/26/11/l.jsonl"]
    later = listed(clients, collect(24, 168, NOW + timedelta(hours=3), clients))
    assert {capture("26/17"), "labels/2026/11/26/17/l.jsonl"} <= set(later)


def test_older_captures_are_listed_for_labels_that_came_late(clients):
    put(clients, capture("26/14"), capture("25/02"), capture("10/02"))
    found = collect(1, 72, NOW, clients)
    assert found["captured"] == 1
    assert listed(clients, found) == [capture("25/02"), capture("26/14")]


def test_answers_of_an_earlier_version_are_no_part_of_the_period(clients):
    put(clients, capture("26/10"))
    clients.sagemaker.configs["config"]["CreationTime"] = NOW - timedelta(hours=1)
    found = collect(24, 168, NOW, clients)
    assert (found["captured"], found["manifest"]) == (0, "none")
    assert found["reason"] == "nothing was captured since 2026-11-26 13:30 UTC"


def test_after_a_rollback_answers_of_the_version_between_are_left_out(clients):
    clients.sagemaker.endpoints["loadingbay"]["config"] = "loadingbay-v1-abc"
    clients.sagemaker.configs["loadingbay-v1-abc"] = clients.sagemaker.configs["config"]
    put(clients, capture("26/14"))
    for record in ("23T143000.000-loadingbay-v1-abc", "26T090000.000-loadingbay-v2-def",
                   "26T133000.000-loadingbay-v1-abc", "26T140000.000-loadingbay-v1-abc-s3-def"):  # fmt: skip
        put(clients, f"deployments/loadingbay/202611{record}.json")
    assert collect(24, 168, NOW, clients)["since"] == "2026-11-26T13:30:00Z"


@pytest.mark.parametrize("hours", [0, -1, 1e9, "nan", "1e400"])
def test_a_window_of_impossible_length_is_refused_by_name(monkeypatch, hours):
    for name in ("ENDPOINT_NAME", "BUCKET_NAME", "ALARMS_TOPIC_ARN", "REVIEW_QUEUE_URL"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("MOST_REVIEW_HOURS", "24")
    monkeypatch.setattr(app, "_boto3_clients", lambda: (None,) * 5)
    with pytest.raises(ValueError, match=f"window_hours {hours}: must be above 0"):
        app.handler({"task": "collect", "window_hours": hours, "look_back_hours": 24}, None)


def test_an_endpoint_that_is_gone_is_said_and_ends_nothing(clients):
    clients.sagemaker.endpoints.clear()
    found = collect(24, 168, NOW, clients)
    assert found["captured"] == 0
    assert "there is no endpoint loadingbay" in found["reason"]


def test_without_an_approved_version_there_is_nothing_to_compare_with(clients):
    clients.sagemaker.decide(1, "Rejected")
    put(clients, capture("26/14"), "unreadable/key")
    found = collect(24, 168, NOW, clients)
    assert (found["captured"], found["evaluation"], found["version"]) == (1, "none", "none")


MONITORING = {
    "count": 200,
    "share_above": 0.5,
    "share_unknown": 0.1,
    "labelled": 40,
    "answers": {"bicycle": 150, "motorcycle": 50},
    "drift": {"psi": 0.3},
    "differences": {"brightness": {"psi": 0.4, "p_value": 0.0001}},
    "estimates": {"accuracy": {"value": 0.8, "low": 0.7, "high": 0.9, "labelled": 40}, "neither_share": None},
}
VIOLATION = {"feature_name": "accepted_share", "description": "accepted_share fell to 0.500 of 200, from 0.860"}


def report(clients, monitoring=MONITORING, violations=(VIOLATION,), place="monitoring/x"):
    for name, content in (("monitoring", monitoring), ("constraint_violations", {"violations": list(violations)})):
        clients.s3.put_object(Bucket="data", Key=f"{place}/{name}.json", Body=json.dumps(content))
    return f"s3://data/{place}"


def publish(clients, hour, *, violations=(VIOLATION,), version="7"):
    return app.publish(report(clients, violations=violations), version, f"2026-11-26T{hour:02}:00:00Z", clients)


def test_a_violation_lasts_from_the_second_of_three_periods_on(clients):
    found = [publish(clients, hour, violations=[VIOLATION] * on) for hour, on in enumerate((1, 0, 1, 1, 0))]
    assert [one["lasting"] for one in found] == [0, 0, 1, 1, 0]
    assert [one["begun"] for one in found] == [0, 0, 1, 0, 0]


def test_each_lasting_violation_is_announced_once_in_one_sentence(clients, monkeypatch):
    said = []
    monkeypatch.setattr(clients.sns, "publish", lambda **given: said.append(given["Message"]))
    for hour in (13, 14, 15):
        publish(clients, hour)
        app.announce(clients)
    assert said == ["accepted_share fell to 0.500 of 200, from 0.860, since Thursday 2026-11-26 13:00 UTC."]


def test_a_new_version_begins_anew(clients):
    publish(clients, 1)
    publish(clients, 2)
    assert publish(clients, 3, version="8")["lasting"] == 0


def test_a_step_that_is_repeated_counts_once(clients):
    publish(clients, 1)
    assert publish(clients, 1)["lasting"] == 0


def test_each_accepted_photo_of_the_sample_goes_to_a_person_once(clients):
    chosen = [{"inference_id": name, "photo": f"{name}.png", "prediction": {"label": "bicycle"}} for name in "ab"]
    for hour, some in ((1, chosen[:1]), (2, chosen)):  # the second period holds the first one's answers too
        clients.s3.put_object(Bucket="data", Key="monitoring/x/sure_ones.json", Body=json.dumps(some))
        publish(clients, hour)
    waiting = clients.sqs.receive_message(QueueUrl=clients.review_queue, MaxNumberOfMessages=10)["Messages"]
    bodies = sorted((json.loads(message["Body"]) for message in waiting), key=lambda body: body["inference_id"])
    assert [body["inference_id"] for body in bodies] == ["a", "b"]
    assert bodies[0]["photo"] == {"bucket": "data", "key": "labelled/photos/a.png", "version_id": None}
    assert {body["reason"] for body in bodies} == {"SampleOfTheSureOnes"}


def oldest_waits(clients, hours):
    """SQS's metric says that the oldest photo in the review queue has waited for so long."""
    at = datetime.now(UTC) - timedelta(minutes=2)
    point = {"MetricName": "ApproximateAgeOfOldestMessage", "Value": hours * 3600, "Unit": "Seconds", "Timestamp": at}
    queue = {"Name": "QueueName", "Value": clients.review_queue.rpartition("/")[2]}
    clients.cloudwatch.put_metric_data(Namespace="AWS/SQS", MetricData=[{**point, "Dimensions": [queue]}])


def test_a_photo_that_waits_for_a_person_too_long_is_named(clients, capsys):
    oldest_waits(clients, 30)
    assert publish(clients, 1, violations=())["violations"] == 1
    written = clients.s3.get_object(Bucket="data", Key="monitoring/x/constraint_violations.json")["Body"].read()
    (violation,) = json.loads(written)["violations"]
    assert violation["feature_name"] == "review_queue_age"
    assert "has waited for 30.0 hours, and should not wait for over 24" in violation["description"]
    assert metrics_of(capsys.readouterr().out)[("ReviewQueueAgeHours", "loadingbay")] == pytest.approx(30)


def test_a_queue_that_waits_is_told_and_rings_no_drift_alarm(clients):
    oldest_waits(clients, 30)
    publish(clients, 1, violations=())
    assert publish(clients, 2, violations=()) == {"violations": 1, "lasting": 1, "begun": 1}
    said = json.loads(clients.s3.get_object(Bucket="data", Key=periods.KEY)["Body"].read())
    assert (said["alarm"], list(said["sentences"])) == ("", ["review_queue_age"])
    assert said["periods"][-1]["review_queue_age_hours"] == pytest.approx(30)


def test_a_photo_that_waits_shorter_is_no_violation(clients):
    oldest_waits(clients, 23)
    assert publish(clients, 1, violations=())["violations"] == 0


def metrics_of(text):
    """The metrics in embedded metric format: value by name and dimensions' values."""
    found = {}
    for line in text.splitlines():
        entry = json.loads(line)
        metric = entry["_aws"]["CloudWatchMetrics"][0]
        (names,) = metric["Dimensions"]
        for one in metric["Metrics"]:
            found[(one["Name"], *(entry[name] for name in names))] = entry[one["Name"]]
    return found


def test_figures_become_metrics_and_unknown_ones_none(clients, capsys):
    publish(clients, 1)
    found = metrics_of(capsys.readouterr().out)
    assert found[("AcceptedShare", "loadingbay")] == 0.5
    assert found[("AccuracyLow", "loadingbay")] == 0.7
    assert found[("StabilityIndex", "loadingbay", "brightness")] == 0.4
    assert found[("AnswerShare", "loadingbay", "bicycle")] == 0.75
    assert found[("Violations", "loadingbay")] == 1
    assert not {"NeitherShare", "AcceptedPrecision"} & {name for name, *_ in found}


def test_a_period_without_answers_says_nothing(clients, capsys):
    place = report(clients, {"count": 0}, ())
    assert app.publish(place, "7", "2026-11-26T01:00:00Z", clients) == {"violations": 0, "lasting": 0, "begun": 0}
    assert capsys.readouterr().out == ""


def test_a_report_that_is_not_there_is_said(clients):
    with pytest.raises(NotReadable, match=r"holds no monitoring\.json"):
        app.publish("s3://data/monitoring/none", "7", "2026-11-26T01:00:00Z", clients)


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_lasting_is_two_of_the_last_three_with_the_latest(violated):
    made = [
        {"time": f"2026-11-26T{hour:02}:00:00Z", "version": "1", "violations": {"a": "a fell"} if on else {}}
        for hour, on in enumerate(violated)
    ]
    assert bool(periods.lasting(made)) == (violated[-1] and sum(violated[-3:]) >= 2)
    for name, since in periods.lasting(made).items():
        assert violated[int(since[11:13])], name
