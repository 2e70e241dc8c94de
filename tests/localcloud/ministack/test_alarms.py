"""When an alarm goes off: period by period, for the dimensions that it names, and with missing data as it says."""

import json
import time
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from localcloud.ministack import alarms
from localcloud.ministack.alarms import state

NOW = 1_000_000.0


def alarm(**changes: Any) -> dict[str, Any]:
    """An alarm that rings at two of five points above 0, with these changes."""
    made = {
        "Period": 60,
        "EvaluationPeriods": 5,
        "DatapointsToAlarm": 2,
        "Threshold": 0.0,
        "TreatMissingData": "notBreaching",
    }
    return made | {"ComparisonOperator": "GreaterThanThreshold"} | changes


def points(*values: tuple[float, float]) -> list[dict[str, Any]]:
    """(seconds ago, value)"""
    return [{"Timestamp": NOW - ago, "Value": value} for ago, value in values]


def largest(some: Any) -> float:
    return max(point["Value"] for point in some)


def at(made: dict[str, Any], *values: tuple[float, float]) -> str | None:
    return state(made, points(*values), NOW, largest)


def test_an_alarm_goes_off_when_enough_periods_breach():
    assert at(alarm(), (10, 1), (20, 1), (30, 1)) == "OK"
    assert at(alarm(), (10, 1), (70, 1)) == "ALARM"


def test_without_a_number_of_datapoints_every_period_has_to_breach():
    assert at(alarm(DatapointsToAlarm=None, EvaluationPeriods=2), (10, 1)) == "OK"
    assert at(alarm(DatapointsToAlarm=None, EvaluationPeriods=2), (10, 1), (70, 1)) == "ALARM"


def test_what_is_older_than_the_periods_does_not_count():
    assert at(alarm(), (301, 1), (400, 1)) == "OK"


@pytest.mark.parametrize(
    ("treatment", "expected"),
    [("notBreaching", "OK"), ("breaching", "ALARM"), ("missing", "INSUFFICIENT_DATA"), ("ignore", None)],
)
def test_without_any_data_the_alarm_is_as_it_says(treatment, expected):
    assert at(alarm(TreatMissingData=treatment)) == expected


def test_a_statistic_that_there_is_none_of_is_missing_data():
    assert state(alarm(TreatMissingData="missing"), points((10, 1)), NOW, lambda _: None) == "INSUFFICIENT_DATA"


@pytest.mark.parametrize(
    ("comparison", "value", "expected"),
    [
        ("GreaterThanOrEqualToThreshold", 0, "ALARM"),
        ("GreaterThanThreshold", 0, "OK"),
        ("LessThanThreshold", -1, "ALARM"),
        ("LessThanOrEqualToThreshold", 1, "OK"),
    ],
)
def test_the_value_is_compared_as_the_alarm_says(comparison, value, expected):
    made = alarm(ComparisonOperator=comparison, EvaluationPeriods=1, DatapointsToAlarm=1)
    assert at(made, (1, value)) == expected


def test_the_alarm_of_one_endpoint_does_not_go_off_for_another(cloud: Any) -> None:
    cloudwatch = cloud.client("cloudwatch")
    for name in ("ours", "theirs"):
        cloudwatch.put_metric_alarm(
            AlarmName=f"alarm-{name}", Namespace="Two", MetricName="Errors", Statistic="Sum", Period=60,
            Dimensions=[{"Name": "EndpointName", "Value": name}], EvaluationPeriods=1, Threshold=0,
            ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
        )  # fmt: skip
    datum = {"MetricName": "Errors", "Dimensions": [{"Name": "EndpointName", "Value": "theirs"}], "Value": 1.0}
    cloudwatch.put_metric_data(Namespace="Two", MetricData=[datum])
    listed = cloudwatch.describe_alarms(AlarmNames=["alarm-ours", "alarm-theirs"])["MetricAlarms"]
    assert {each["AlarmName"]: each["StateValue"] for each in listed}["alarm-theirs"] == "ALARM"
    assert {each["AlarmName"]: each["StateValue"] for each in listed}["alarm-ours"] != "ALARM"


def test_an_alarm_set_by_hand_stays_until_its_metric_says_otherwise(cloud: Any) -> None:
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="short", Namespace="Short", MetricName="Errors", Statistic="Sum", Period=10, EvaluationPeriods=1,
        Threshold=0, ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip

    def shown() -> str:
        return str(cloudwatch.describe_alarms(AlarmNames=["short"])["MetricAlarms"][0]["StateValue"])

    cloudwatch.set_alarm_state(AlarmName="short", StateValue="ALARM", StateReason="by hand")
    assert shown() == "ALARM"
    datum = {"MetricName": "Errors", "Value": 0.0, "Timestamp": time.time()}
    cloudwatch.put_metric_data(Namespace="Short", MetricData=[datum])
    assert shown() == "OK"


def test_a_change_of_state_starts_what_a_rule_says(cloud: Any) -> None:
    events, queues, cloudwatch = (cloud.client(name) for name in ("events", "sqs", "cloudwatch"))
    url = queues.create_queue(QueueName="alarm-changes")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": ["told"], "state": {"value": ["ALARM"]}}}
    events.put_rule(Name="alarm-changes", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="alarm-changes", Targets=[{"Id": "q", "Arn": arn}])
    cloudwatch.put_metric_alarm(
        AlarmName="told", Namespace="N", MetricName="M", Statistic="Maximum", Period=60, EvaluationPeriods=1,
        Threshold=0, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
    )  # fmt: skip
    for _ in range(2):  # the second changes nothing
        cloudwatch.put_metric_data(Namespace="N", MetricData=[{"MetricName": "M", "Value": 1}])
    answer = queues.receive_message(QueueUrl=url, WaitTimeSeconds=20, MaxNumberOfMessages=10)
    (told,) = [json.loads(message["Body"]) for message in answer["Messages"]]
    assert told["detail-type"] == "CloudWatch Alarm State Change"
    assert told["detail"]["previousState"]["value"] == "INSUFFICIENT_DATA"
    assert told["detail"]["configuration"]["metrics"][0]["metricStat"]["metric"]["name"] == "M"


def test_the_history_of_alarms_ends_after_30_days() -> None:
    entries = [{"Timestamp": f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"} for days in (60, 31, 29)]
    cloudwatch: Any = ModuleType("cloudwatch")
    vars(cloudwatch).update(dict.fromkeys(alarms._NAMES))
    cloudwatch._history_entries = lambda: entries
    cloudwatch._record_history = lambda *change, reason: entries.append({"Timestamp": "9999", "reason": reason})
    cloudwatch._dispatch_alarm_actions = cloudwatch._evaluate_alarm = lambda *_: None
    alarms.install(cloudwatch, lambda *_: None)

    cloudwatch._record_history("alarm", "OK", "ALARM", reason="why")

    assert [entry.get("reason") for entry in entries] == [None, "why"]
    assert len(entries) == 2
