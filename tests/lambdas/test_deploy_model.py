"""DeployModel against a SageMaker in memory: what is performed, what is tolerated, and where any history ends."""

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_sagemaker import MemorySageMaker, refusal

from lambdas.deploy_model import app

ENVIRONMENT = {
    "ENDPOINT_NAME": "loadingbay",
    "MODEL_PACKAGE_GROUP_NAME": "loadingbay",
    "ENDPOINT_ROLE_ARN": "arn:aws:iam::000000000000:role/endpoint",
    "ENDPOINT_INSTANCE_TYPE": "ml.m5.large",
    "ENDPOINT_INSTANCE_COUNT": "1",
    "DATA_CAPTURE_URI": "s3://bucket/data-capture",
}


def converge(cloud, event):
    return app.converge(event, app.read_settings(ENVIRONMENT), cloud)


@pytest.fixture
def cloud():
    return MemorySageMaker()


@pytest.fixture
def serving(cloud):
    cloud.decide(cloud.register(), "Approved")
    converge(cloud, cloud.events.pop())
    cloud.settle()
    return cloud


def test_nothing_is_deployed_before_a_version_is_approved(cloud, recorded):
    cloud.register()
    assert converge(cloud, recorded("model_package_approved"))["outcome"] == "nothing approved"
    assert cloud.endpoint is None


def test_an_approval_brings_the_version_into_service(serving):
    assert serving.live == 1


def test_every_request_and_answer_is_captured_and_json_stays_json(serving):
    (config,) = serving.configs.values()
    capture = config["DataCaptureConfig"]
    assert capture["EnableCapture"]
    assert capture["InitialSamplingPercentage"] == 100
    assert capture["CaptureOptions"] == [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]
    assert capture["DestinationS3Uri"] == "s3://bucket/data-capture"
    assert capture["CaptureContentTypeHeader"]["JsonContentTypes"] == ["application/json"]


def test_the_same_event_twice_changes_nothing(serving, recorded):
    before = serving.endpoint.copy()
    converge(serving, recorded("endpoint_in_service"))
    converge(serving, recorded("endpoint_in_service"))
    assert serving.endpoint == before


def test_going_back_to_a_version_uses_its_model_and_configuration_again(serving, recorded):
    serving.decide(serving.register(), "Approved")
    converge(serving, recorded("endpoint_in_service"))
    serving.settle()
    serving.decide(2, "Rejected")
    converge(serving, recorded("endpoint_in_service"))
    serving.settle()
    assert serving.live == 1
    assert len(serving.models) == len(serving.configs) == 2


def test_a_version_that_does_not_come_into_service_is_rejected_with_the_reason_and_the_next_newest_serves(serving):
    good, bad = serving.register(), serving.register()
    serving.broken.add(bad)
    serving.decide(bad, "Approved")
    serving.decide(good, "Approved")
    drain(serving, lambda n: 0)
    assert serving.live == good
    assert serving.status[bad] == "Rejected"
    assert "ping health check" in serving.descriptions[serving.arn(bad)]


def test_a_version_that_found_no_machine_is_not_rejected_and_serves_once_there_are_machines(serving, recorded):
    newest = serving.register()
    serving.decide(newest, "Approved")
    serving.machines = False
    drain(serving, lambda n: 0)
    assert (serving.live, serving.status[newest]) == (1, "Approved")
    serving.machines = True
    serving.events.append(recorded("scheduled"))
    drain(serving, lambda n: 0)
    assert serving.live == newest


def test_a_first_version_that_found_no_machine_serves_once_there_are_machines(cloud, recorded):
    cloud.decide(cloud.register(), "Approved")
    cloud.machines = False
    drain(cloud, lambda n: 0)
    assert (cloud.live, cloud.status[1]) == (None, "Approved")
    cloud.machines = True
    cloud.events.append(recorded("scheduled"))
    drain(cloud, lambda n: 0)
    assert cloud.live == 1


def test_a_dry_run_only_reads(serving):
    serving.decide(serving.register(), "Approved")
    serving.calls.clear()
    assert converge(serving, {"dry_run": True})["outcome"] == "deploy"
    assert set(serving.calls) == {"ListModelPackages", "DescribeEndpoint", "ListTags"}


def test_an_endpoint_that_became_busy_meanwhile_makes_lambda_deliver_the_event_again(serving, monkeypatch):
    serving.decide(serving.register(), "Approved")

    def busy(**_):
        raise refusal("UpdateEndpoint", 'Cannot update in-progress endpoint "arn".')

    monkeypatch.setattr(serving, "update_endpoint", busy)
    with pytest.raises(app.EndpointNotReady, match="busy"):
        converge(serving, serving.events[-1])
    assert "AddTags" not in serving.calls


def test_a_refusal_that_nobody_foresaw_is_raised_as_it_is(cloud, monkeypatch):
    cloud.decide(cloud.register(), "Approved")

    def refused(**_):
        raise refusal("CreateModel", "Requested image not found.")

    monkeypatch.setattr(cloud, "create_model", refused)
    with pytest.raises(Exception, match="Requested image not found"):
        converge(cloud, cloud.events[-1])


def test_the_last_rejection_is_logged_as_an_error_and_counted_for_the_alarm(serving, recorded, caplog, capsys):
    serving.decide(1, "Rejected")
    with caplog.at_level(logging.INFO):
        assert converge(serving, recorded("scheduled"))["outcome"] == "unapproved serves"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert json.loads(capsys.readouterr().out)["NotConverged"] == 1
    assert serving.live == 1


def test_a_missing_variable_is_named():
    with pytest.raises(app.SettingsMissing, match="ENDPOINT_ROLE_ARN"):
        app.read_settings({key: value for key, value in ENVIRONMENT.items() if key != "ENDPOINT_ROLE_ARN"})


steps = st.one_of(
    st.just(("register",)),
    st.just(("register", "broken")),
    st.tuples(st.sampled_from(["Approved", "Rejected"]), st.integers(0, 5)),
    st.tuples(st.just("deliver"), st.integers(0, 9), st.booleans()),
    st.just(("settle",)),
)


def play(cloud, history):
    """People decide, the endpoint comes to rest, and events arrive in any order, some of them twice."""
    for step in history:
        match step:
            case ("register", *broken):
                version = cloud.register()
                cloud.broken |= {version} if broken else set()
            case ("deliver", which, twice):
                if cloud.events:
                    event = cloud.events.pop(which % len(cloud.events))
                    deliver(cloud, event)
                    if twice:
                        deliver(cloud, event)
            case ("settle",):
                cloud.settle()
            case (decision, which):
                if cloud.status:
                    cloud.decide(1 + which % len(cloud.status), decision)


def deliver(cloud, event):
    """Whether the event was handled; if not, Lambda delivers it again, minutes later."""
    try:
        converge(cloud, event)
    except app.EndpointNotReady:
        cloud.events.append(event)
        return False
    return True


def drain(cloud, pick):
    """Every event arrives and the endpoint comes to rest. An endless argument between the two fails the test."""
    for _ in range(100):
        if cloud.events:
            if not deliver(cloud, cloud.events.pop(pick(len(cloud.events)))):
                cloud.settle()
        elif cloud.busy:
            cloud.settle()
        else:
            return
    raise AssertionError("events and endpoint never come to rest")


@settings(max_examples=200, deadline=None)
@given(st.lists(steps, max_size=25), st.data())
def test_whatever_happened_in_whatever_order_the_newest_approved_version_serves(history, data):
    cloud = MemorySageMaker()
    play(cloud, history)
    serving = cloud.live
    drain(cloud, lambda n: data.draw(st.integers(0, n - 1), label="which event arrives"))
    if cloud.approved():
        assert cloud.live == max(cloud.approved())
        assert cloud.live not in cloud.broken
    elif serving is not None:
        assert cloud.live is not None, "the endpoint stopped serving because an approval was withdrawn"
