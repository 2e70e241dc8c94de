"""Approval deploys what passes its verification, in place; rejection brings the last approved version back."""

import io
import itertools
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest


@pytest.fixture(scope="module")
def second(second_run: dict[str, Any]) -> int:
    """The number of a version that is registered after the one in service, and not approved."""
    return int(second_run["model_package_arn"].rsplit("/", 1)[1])


def _config(bay: Any) -> str:
    return str(bay.client("sagemaker").describe_endpoint(EndpointName=bay.stage)["EndpointConfigName"])


def _wait_for_config(bay: Any, condition: Any) -> str:
    """The endpoint's configuration once it meets the condition; the test fails if it never does."""
    deadline = time.monotonic() + bay.timeout
    while not condition(_config(bay)):
        assert time.monotonic() < deadline, f"the endpoint stayed at {_config(bay)}"
        time.sleep(0.2)
    return _config(bay)


def _wait_until_cleared_away(bay: Any) -> None:
    """A trial endpoint that is left costs money on AWS."""
    deadline = time.monotonic() + bay.timeout
    while bay.client("sagemaker").list_endpoints(NameContains=f"{bay.stage}-verify")["Endpoints"]:
        assert time.monotonic() < deadline, "the endpoint of the verification was left"
        time.sleep(0.2)


def _verification(bay: Any, version: dict[str, Any]) -> tuple[bytes, str]:
    """A photo that Evaluate saved with a version, and the class that the version answered to it there."""
    uri = version["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    folder = f"{key.rpartition('/')[0]}/verification"
    s3 = bay.client("s3")
    answers = json.load(s3.get_object(Bucket=bucket, Key=f"{folder}/answers.json")["Body"])["answers"]
    name = sorted(answers)[0]
    return s3.get_object(Bucket=bucket, Key=f"{folder}/{name}")["Body"].read(), answers[name]["label"]


@contextmanager
def _asked_all_the_time(bay: Any, photo: bytes) -> Iterator[list[str]]:
    """The endpoint is asked about the photo without a pause; every answer, or what went wrong, is in the list."""
    answers: list[str] = []
    runtime, done = bay.client("sagemaker-runtime"), threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                answer = runtime.invoke_endpoint(EndpointName=bay.stage, Body=photo, ContentType="image/png")
                answers.append(json.load(answer["Body"])["predictions"][0]["label"])
            except Exception as error:
                answers.append(repr(error))
            time.sleep(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


def _register_variant(bay: Any, change: Callable[[str, bytes], bytes]) -> int:
    """Registers version 1 anew with files of its artifact changed, but with the same evaluation."""
    first, s3 = bay.versions()[1], bay.client("s3")
    container = first["InferenceSpecification"]["Containers"][0]
    bucket, key = container["ModelDataUrl"].removeprefix("s3://").split("/", 1)
    changed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read())) as before,
        tarfile.open(fileobj=changed, mode="w:gz") as after,
    ):
        for member in before:
            held = before.extractfile(member)
            data = change(member.name.removeprefix("./"), held.read()) if held else b""
            member.size = len(data)
            after.addfile(member, io.BytesIO(data))
    key = f"models/variant-{time.time_ns()}.tar.gz"
    s3.put_object(Bucket=bucket, Key=key, Body=changed.getvalue())
    served = {"Image": container["Image"], "ModelDataUrl": f"s3://{bucket}/{key}"}
    arn = bay.client("sagemaker").create_model_package(
        ModelPackageGroupName=bay.stage,
        InferenceSpecification={**first["InferenceSpecification"], "Containers": [served]},
        ModelMetrics=first["ModelMetrics"],
        ModelApprovalStatus="PendingManualApproval",
    )["ModelPackageArn"]
    return int(arn.rsplit("/", 1)[1])


def _with_swapped_classes(name: str, data: bytes) -> bytes:
    if name != "model.json":
        return data
    about = json.loads(data)
    return json.dumps({**about, "classes": about["classes"][::-1]}).encode()


def _that_cannot_be_loaded(name: str, data: bytes) -> bytes:
    return b'raise RuntimeError("the weights are not there")\n' if name == "code/inference.py" else data


def test_an_unapproved_version_is_not_served(bay: Any, second: int) -> None:
    assert bay.versions()[second]["ModelApprovalStatus"] == "PendingManualApproval"
    assert f"-v{second}-" not in _config(bay)


@pytest.mark.aws
def test_the_version_in_service_was_verified_before(bay: Any, second: int) -> None:
    metadata = bay.versions()[1]["CustomerMetadataProperties"]
    assert metadata["verification"] == "passed"
    assert int(metadata["verification_photos"]) == 40
    assert float(metadata["verification_milliseconds"]) > 0
    _wait_until_cleared_away(bay)


@pytest.mark.aws
def test_every_version_has_a_model_card_that_follows_its_approval(bay: Any, second: int) -> None:
    version = bay.versions()[1]
    cards = {1: {}, second: {}}
    deadline = time.monotonic() + bay.timeout
    while [card.get("status") for card in cards.values()] != ["Approved", "PendingReview"]:
        assert time.monotonic() < deadline, cards
        cards = {number: json.loads(bay.cli("card", number, "--json").stdout) for number in cards}
    details = cards[1]["content"]["additional_information"]["custom_details"]
    metadata = version["CustomerMetadataProperties"]
    assert {name: details[name] for name in metadata} == metadata
    assert metadata["approved_by"]
    decision, *_ = cards[1]["content"]["evaluation_details"][0]["metric_groups"]
    figures = {metric["name"]: metric["value"] for metric in decision["metric_data"]}
    assert figures["accuracy"] == pytest.approx(float(metadata["accuracy"]), abs=1e-4)
    assert "accuracy" in bay.cli("card", 1).stdout


@pytest.mark.aws
def test_a_dry_run_tells_what_would_be_done_and_does_nothing(bay: Any, second: int) -> None:
    plan = json.loads(bay.cli("approve", second, "--dry-run", "--json").stdout)
    assert [step["outcome"] for step in plan["course"]] == ["verify", "verify", "deploy", "live"]
    assert bay.versions()[second]["ModelApprovalStatus"] == "PendingManualApproval"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_with_swapped_classes, "was rolled back: it answered"),
        (_that_cannot_be_loaded, "RuntimeError: the weights are not there"),
    ],
)
def test_a_bad_version_is_rolled_back_while_the_one_in_service_answers(
    bay: Any, second: int, change: Callable[[str, bytes], bytes], why: str
) -> None:
    before = bay.client("sagemaker").describe_endpoint(EndpointName=bay.stage)
    photo, label = _verification(bay, bay.versions()[1])
    bad = _register_variant(bay, change)
    with _asked_all_the_time(bay, photo) as answers:
        done = bay.cli("approve", bad, check=False)
        _wait_until_cleared_away(bay)
    assert done.returncode == 1
    assert why in done.stderr
    version = bay.versions()[bad]
    assert version["ModelApprovalStatus"] == "Rejected"
    assert why in version["ApprovalDescription"]
    assert version["CustomerMetadataProperties"]["verification"] == "failed"
    assert len(answers) > 10
    assert set(answers) == {label}
    after = bay.client("sagemaker").describe_endpoint(EndpointName=bay.stage)
    assert (after["EndpointConfigName"], after["LastModifiedTime"], after["EndpointStatus"]) == (
        before["EndpointConfigName"],
        before["LastModifiedTime"],
        "InService",
    )


@pytest.mark.aws
def test_approval_updates_the_endpoint_and_rejection_brings_the_first_back(bay: Any, second: int) -> None:
    sagemaker = bay.client("sagemaker")
    arn = bay.versions()[second]["ModelPackageArn"]
    before = sagemaker.describe_endpoint(EndpointName=bay.stage)
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="by API")
    _wait_for_config(bay, lambda name: f"-v{second}-" in name)
    after = sagemaker.describe_endpoint(EndpointName=bay.stage)
    assert after["EndpointArn"] == before["EndpointArn"]
    assert after["CreationTime"] == before["CreationTime"]

    bay.cli("reject", second, "--comment", "the first did better")
    _wait_for_config(bay, lambda name: f"-v{second}-" not in name)
    assert bay.versions()[second]["ApprovalDescription"] == "the first did better"


def test_a_rollback_is_one_command_and_the_history_has_all_that_was_served(bay: Any, second: int) -> None:
    bay.cli("approve", second, "--comment", "once more")
    answer = json.loads(bay.cli("rollback", "--json").stdout)
    assert (answer["version"], answer["approval"], answer["in_service"]) == (second, "Rejected", 1)
    assert answer["comment"] == "rolled back to version 1"
    told = json.loads(bay.cli("history", "--json").stdout)
    assert [period["version"] for period in told] == [1, second, 1, second, 1]
    assert [period["in_service"] for period in told] == [True, False, False, False, False]
    assert all(older["until"] == newer["since"] for newer, older in itertools.pairwise(told))
    assert told[1]["comment"] == "once more"
    assert all(period["approved_by"] and float(period["accuracy"]) > 0.5 for period in told)


def test_with_no_approval_left_the_endpoint_serves_on_and_an_alarm_says_so(bay: Any, second: int) -> None:
    before = bay.client("sagemaker").describe_endpoint(EndpointName=bay.stage)
    photo, label = _verification(bay, bay.versions()[1])
    # The alarm looks an hour back, and the bad versions before this test made it ring already.
    counted = _not_converged(bay)
    with _asked_all_the_time(bay, photo) as answers:
        assert "keeps what it serves" in bay.cli("reject", 1).stderr
        deadline = time.monotonic() + bay.timeout
        while _not_converged(bay) == counted or _alarm(bay) != "ALARM":
            assert time.monotonic() < deadline, f"counted {_not_converged(bay)}, {counted} before; {_alarm(bay)}"
            time.sleep(0.2)
        bay.cli("approve", 1)
    assert set(answers) == {label}
    after = bay.client("sagemaker").describe_endpoint(EndpointName=bay.stage)
    assert (after["EndpointStatus"], after["LastModifiedTime"]) == ("InService", before["LastModifiedTime"])


def _not_converged(bay: Any) -> float:
    """How often DeployModel has found that a person is needed."""
    now = datetime.now(UTC)
    points = bay.client("cloudwatch").get_metric_statistics(
        Namespace="LoadingBay", MetricName="NotConverged", Dimensions=[{"Name": "Endpoint", "Value": bay.stage}],
        StartTime=now - timedelta(hours=3), EndTime=now + timedelta(minutes=1), Period=60, Statistics=["Sum"],
    )["Datapoints"]  # fmt: skip
    return float(sum(point["Sum"] for point in points))


def _alarm(bay: Any) -> str:
    (alarm,) = bay.client("cloudwatch").describe_alarms(AlarmNames=[f"{bay.stage}-deployment-stuck"])["MetricAlarms"]
    return str(alarm["StateValue"])
