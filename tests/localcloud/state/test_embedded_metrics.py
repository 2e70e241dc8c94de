"""Embedded metrics: what a function prints becomes what CloudWatch is sent."""

import io
import json
import zipfile

import pytest

from localcloud.state.embedded_metrics import EmbeddedMetrics, metrics
from tests.waiting import soon


def printed(value=1, **more):
    about = {"Namespace": "LoadingBay", "Dimensions": [["Endpoint"]], "Metrics": [{"Name": "NotConverged"}]}
    emf = {"Timestamp": 1_795_382_604_320, "CloudWatchMetrics": [about]}
    return json.dumps({"_aws": emf, "Endpoint": "loadingbay", "NotConverged": value, **more})


DATUM = {
    "MetricName": "NotConverged",
    "Dimensions": [{"Name": "Endpoint", "Value": "loadingbay"}],
    "Timestamp": 1_795_382_604.32,
    "Values": [1.0],
    "Unit": "None",
}


def test_a_printed_metric_is_a_datum_of_its_namespace():
    assert list(metrics(f"INFO:app:live\n{printed()}\nEND")) == [("LoadingBay", DATUM)]


def test_a_list_of_values_is_one_datum():
    ((_, datum),) = metrics(printed([1, 2.5]))
    assert datum["Values"] == [1.0, 2.5]


def test_every_set_of_dimensions_has_its_own_datum():
    document = json.loads(printed(Stage="test"))
    document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = [["Endpoint"], ["Endpoint", "Stage"], []]
    assert [len(datum["Dimensions"]) for _, datum in metrics(json.dumps(document))] == [1, 2, 0]


@pytest.mark.parametrize(
    "line",
    [
        '{"_aws": 1}',
        '{"_aws": {"Timestamp": 1}}',
        '"_aws" is how it starts',
        printed("many"),
        json.dumps({"_aws": json.loads(printed())["_aws"]}),
    ],
)
def test_what_is_no_metric_is_skipped_and_what_comes_after_is_not(line):
    assert list(metrics(f"{line}\n{printed()}")) == [("LoadingBay", DATUM)]


class CloudWatch:
    def __init__(self):
        self.sent = []

    def put_metric_data(self, Namespace, MetricData):  # noqa: N803 - AWS names them so
        self.sent.append((Namespace, MetricData))


def test_what_was_read_is_published_at_the_latest_when_the_cloud_stops():
    cloudwatch = CloudWatch()
    embedded = EmbeddedMetrics(lambda: cloudwatch)
    embedded.read(f"{printed()}\n{printed()}")
    embedded.stop()
    assert cloudwatch.sent == [("LoadingBay", [{**DATUM, "Counts": [2.0]}])]


def test_values_of_one_second_are_published_together():
    cloudwatch = CloudWatch()
    embedded = EmbeddedMetrics(lambda: cloudwatch)
    embedded.read("\n".join([printed([0, 2]), printed(0), printed(2, Endpoint="other"), *map(printed, range(200))]))
    embedded.stop()

    [(_, data)] = cloudwatch.sent
    by_endpoint = {name: [d for d in data if d["Dimensions"][0]["Value"] == name] for name in ("loadingbay", "other")}
    assert [len(datum["Values"]) for datum in by_endpoint["loadingbay"]] == [150, 50]
    assert by_endpoint["loadingbay"][0]["Counts"][:3] == [3.0, 1.0, 2.0]
    assert [(datum["Values"], datum["Counts"]) for datum in by_endpoint["other"]] == [([2.0], [1.0])]


PRINTS = """
import json, time

def handler(event, context):
    about = {"Namespace": "Printed", "Dimensions": [["Name"]], "Metrics": [{"Name": "Bad"}]}
    emf = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [about]}
    print(json.dumps({"_aws": emf, "Name": "mine", "Bad": event["bad"]}))
"""


def test_an_alarm_on_a_metric_that_a_function_prints_goes_off(cloud):
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", PRINTS)
    cloud.client("lambda").create_function(
        FunctionName="prints-metrics", Runtime="python3.11", Handler="app.handler", Timeout=20,
        Role="arn:aws:iam::000000000000:role/any", Code={"ZipFile": code.getvalue()},
    )  # fmt: skip
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="printed", Namespace="Printed", MetricName="Bad", Dimensions=[{"Name": "Name", "Value": "mine"}],
        Statistic="Maximum", Period=3600, EvaluationPeriods=1, Threshold=0, TreatMissingData="notBreaching",
        ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip

    def state():
        return cloudwatch.describe_alarms(AlarmNames=["printed"])["MetricAlarms"][0]["StateValue"]

    assert state() != "ALARM"
    cloud.client("lambda").invoke(FunctionName="prints-metrics", Payload=b'{"bad": 1}')
    assert soon(lambda: state() == "ALARM"), f"the alarm is {state()}"
