"""How an update moves requests over: the steps, and what they do on a running endpoint."""

import io
import json
import tarfile
import threading
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.api import ApiError
from localcloud.serving import shift
from localcloud.serving.metrics import Metrics
from localcloud.serving.shift import Step
from tests.localcloud.resources.served import wait_for
from tests.waiting import soon

BUCKET = "models-of-deployment-tests"


def deployment(kind: str, wait: int = 60, **members: Any) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **members}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, [Step(1.0, 0)]),
        ({"BlueGreenUpdatePolicy": None}, [Step(1.0, 0)]),
        (deployment("ALL_AT_ONCE"), [Step(1.0, 60)]),
        (deployment("CANARY", CanarySize=percent(10)), [Step(0.1, 60), Step(1.0, 60)]),
        (deployment("CANARY", CanarySize={"Type": "INSTANCE_COUNT", "Value": 1}), [Step(0.25, 60), Step(1.0, 60)]),
        (deployment("LINEAR", 5, LinearStepSize=percent(50)), [Step(0.5, 5), Step(1.0, 5)]),
        (deployment("LINEAR", 5, LinearStepSize=percent(40)), [Step(0.4, 5), Step(0.8, 5), Step(1.0, 5)]),
    ],
)
def test_the_steps_of_a_deployment(config: dict[str, Any] | None, expected: list[Step]) -> None:
    shift.check(config, 4)

    assert shift.steps(config, 4) == expected


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (deployment("CANARY"), "of Type CANARY needs CanarySize"),
        (deployment("ALL_AT_ONCE", CanarySize=percent(10)), "of Type ALL_AT_ONCE has no CanarySize"),
        (deployment("CANARY", CanarySize=percent(60)), "CanarySize is 60 %"),
        (deployment("LINEAR", LinearStepSize=percent(5)), "LinearStepSize is 5 %"),
        ({"RollingUpdatePolicy": {}}, "does not implement RollingUpdatePolicy"),
    ],
)
def test_options_that_aws_refuses_are_refused(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ApiError, match=sentence):
        shift.check(config, 4)


class Endpoint:
    """One endpoint of the running cloud, and the configurations it moves between."""

    def __init__(self, cloud: Any, name: str) -> None:
        self.cloud, self.name = cloud, name
        self.sagemaker, self.runtime = cloud.client("sagemaker"), cloud.client("sagemaker-runtime")
        cloud.client("s3").create_bucket(Bucket=BUCKET)

    def model(self, label: str, **files: str) -> str:
        """Create a model of these files and an endpoint configuration of it; the configuration's name."""
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as tar:
            for path, text in {"name": label, **files}.items():
                member = tarfile.TarInfo(path)
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text.encode()))
        name = f"{self.name}-{label}"
        self.cloud.client("s3").put_object(Bucket=BUCKET, Key=name, Body=data.getvalue())
        self.sagemaker.create_model(
            ModelName=name, PrimaryContainer={"Image": "image:1", "ModelDataUrl": f"s3://{BUCKET}/{name}"}
        )
        return name

    def configure(self, label: str, **members: Any) -> str:
        name = self.model(label)
        variant = {"VariantName": "A", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **members)
        return name

    def create(self, config: str) -> None:
        self.sagemaker.create_endpoint(EndpointName=self.name, EndpointConfigName=config)
        self.rest()

    def rest(self) -> dict[str, Any]:
        """The endpoint's description once it is InService or Failed."""
        return wait_for(self.sagemaker, self.name, "InService", "Failed")

    def update(self, config: str, **deployment: Any) -> None:
        self.sagemaker.update_endpoint(
            EndpointName=self.name, EndpointConfigName=config, DeploymentConfig=deployment or {}
        )

    def ask(self, **members: str) -> str:
        answer = self.runtime.invoke_endpoint(EndpointName=self.name, Body=b"photo", **members)
        label: str = json.loads(answer["Body"].read())["model"]
        return label

    def put_alarm(self, state: str) -> str:
        """Create an alarm in this state; its name."""
        cloudwatch = self.cloud.client("cloudwatch")
        cloudwatch.put_metric_alarm(
            AlarmName=self.name,
            Namespace="Tests",
            MetricName=self.name,
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
        cloudwatch.set_alarm_state(AlarmName=self.name, StateValue=state, StateReason="a test")
        return self.name


@pytest.fixture
def endpoint(cloud: Any, request: pytest.FixtureRequest) -> Endpoint:
    return Endpoint(cloud, request.node.name.replace("_", "-")[:40].strip("-"))


def test_an_endpoint_whose_files_cannot_be_written_fails_and_is_deletable(endpoint: Endpoint) -> None:
    endpoints = endpoint.cloud.home / "endpoints"
    endpoints.mkdir(exist_ok=True)
    (endpoints / endpoint.name).write_text("a file where the directory should be")

    endpoint.create(endpoint.configure("model"))

    described = endpoint.rest()
    assert described["EndpointStatus"] == "Failed"
    assert "cannot be written" in described["FailureReason"]
    endpoint.sagemaker.delete_endpoint(EndpointName=endpoint.name)


def test_a_canary_takes_its_share_and_then_all(endpoint: Endpoint) -> None:
    endpoint.create(endpoint.configure("old"))
    endpoint.update(endpoint.configure("new"), **deployment("CANARY", 6, CanarySize=percent(50)))

    assert soon(lambda: endpoint.ask() == "new")
    assert soon(lambda: endpoint.ask() == "old"), "all requests moved at once"
    endpoint.rest()
    assert {endpoint.ask() for _ in range(10)} == {"new"}


def test_an_alarm_during_an_update_rolls_it_back(endpoint: Endpoint) -> None:
    endpoint.create(endpoint.configure("old"))
    alarm = endpoint.put_alarm("OK")
    endpoint.update(
        endpoint.configure("new"),
        **deployment("CANARY", 300, CanarySize=percent(50)),
        AutoRollbackConfiguration={"Alarms": [{"AlarmName": alarm}]},
    )
    assert soon(lambda: endpoint.ask() != "old")

    endpoint.put_alarm("ALARM")
    at_rest = endpoint.rest()

    assert at_rest["EndpointStatus"] == "InService"
    assert at_rest["FailureReason"] == f"The update was rolled back: the alarm {alarm} is in the state ALARM."
    assert at_rest["EndpointConfigName"].endswith("old")
    assert {endpoint.ask() for _ in range(20)} == {"old"}


def test_an_alarm_that_is_not_there_is_named(endpoint: Endpoint) -> None:
    endpoint.create(endpoint.configure("old"))

    with pytest.raises(ClientError, match="Could not find the CloudWatch alarm 'absent'"):
        endpoint.update(endpoint.configure("new"), AutoRollbackConfiguration={"Alarms": [{"AlarmName": "absent"}]})


def test_a_shadow_variant_gets_copies_and_answers_nobody(cloud: Any, endpoint: Endpoint) -> None:
    shadow = {"VariantName": "S", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1, "InitialVariantWeight": 1}
    capture = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/shadow",
        "CaptureOptions": [{"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    }
    endpoint.create(
        endpoint.configure(
            "production",
            ShadowProductionVariants=[{**shadow, "ModelName": endpoint.model("shadow")}],
            DataCaptureConfig=capture,
        )
    )

    answers = {endpoint.ask(InferenceId=f"id-{n}") for n in range(5)}

    described = endpoint.sagemaker.describe_endpoint(EndpointName=endpoint.name)
    assert answers == {"production"}
    assert [v["VariantName"] for v in described["ShadowProductionVariants"]] == ["S"]
    s3, models = cloud.client("s3"), {}

    def both() -> bool:
        for found in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"shadow/{endpoint.name}/").get("Contents", []):
            lines = s3.get_object(Bucket=BUCKET, Key=found["Key"])["Body"].read().splitlines()
            output = json.loads(lines[0])["captureData"]["endpointOutput"]["data"]
            models[found["Key"].split("/")[2]] = json.loads(output)["model"]
        return len(models) == 2

    assert soon(both)
    assert models == {"A": "production", "S": "shadow"}


def test_what_fails_in_a_shadow_never_reaches_the_caller(cloud: Any, endpoint: Endpoint) -> None:
    shadow = {"VariantName": "S", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1, "InitialVariantWeight": 1}
    capture = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/failing",
        "CaptureOptions": [{"CaptureMode": "Output"}],
    }
    failing = endpoint.model("failing", raises="1")
    endpoint.create(
        endpoint.configure(
            "production", ShadowProductionVariants=[{**shadow, "ModelName": failing}], DataCaptureConfig=capture
        )
    )

    assert {endpoint.ask() for _ in range(5)} == {"production"}

    s3, prefix = cloud.client("s3"), f"failing/{endpoint.name}/"
    listed = soon(lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", []))
    assert {found["Key"].split("/")[2] for found in listed} == {"A"}


class CloudWatch:
    """Keeps what is put."""

    def __init__(self) -> None:
        self.data: list[dict[str, Any]] = []

    def put_metric_data(self, *, Namespace: str, MetricData: list[dict[str, Any]]) -> None:  # noqa: N803 - boto3's names
        assert Namespace == "AWS/SageMaker"
        self.data += MetricData


def test_metrics_are_counted_by_variant_with_latencies_in_microseconds() -> None:
    cloudwatch = CloudWatch()
    metrics = Metrics(lambda: cloudwatch)
    metrics.put("e", "v", 200, 0.012_34, 0.013_5)
    metrics.put("e", "v", 200, 0.012_29, 0.013_4)
    metrics.put("e", "v", 500, 0.5, 0.6)

    metrics.stop()

    values = {d["MetricName"]: dict(zip(d["Values"], d["Counts"], strict=True)) for d in cloudwatch.data}
    assert values["Invocations"] == {1.0: 3.0}
    assert values["Invocation5XXErrors"] == {0.0: 2.0, 1.0: 1.0}
    assert values["ModelLatency"] == {12_000.0: 2.0, 500_000.0: 1.0}
    assert cloudwatch.data[0]["Dimensions"] == [
        {"Name": "EndpointName", "Value": "e"},
        {"Name": "VariantName", "Value": "v"},
    ]


def test_an_error_of_a_model_sets_off_an_alarm(cloud: Any, endpoint: Endpoint) -> None:
    endpoint.create(endpoint.configure("only"))
    cloudwatch = cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=endpoint.name,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint.name}, {"Name": "VariantName", "Value": "A"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )

    with pytest.raises(ClientError, match="ModelError"):
        endpoint.runtime.invoke_endpoint(EndpointName=endpoint.name, Body=b"raise")

    def states() -> list[str]:
        return [a["StateValue"] for a in cloudwatch.describe_alarms(AlarmNames=[endpoint.name])["MetricAlarms"]]

    assert soon(lambda: states() == ["ALARM"])


def test_no_request_fails_while_models_are_switched_under_load(endpoint: Endpoint) -> None:
    endpoint.create(endpoint.configure("first"))
    configs = {label: endpoint.configure(label) for label in ("second", "third")}
    stop = threading.Event()
    answers: list[str] = []
    errors: list[Exception] = []

    def load() -> None:
        while not stop.is_set():
            try:
                answers.append(endpoint.ask())
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for label, config in configs.items():
        endpoint.update(config)
        endpoint.rest()
        assert soon(partial(answers.count, label))
    stop.set()
    for thread in threads:
        thread.join()

    assert errors == []
    assert set(answers) == {"first", "second", "third"}
    assert endpoint.ask() == "third"
