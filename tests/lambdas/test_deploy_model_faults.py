"""DeployModel where something is refused, busy or slow: what is tried again, and who is told."""

import json
import logging

import pytest
from botocore.exceptions import ClientError

from lambdas.deploy_model.environment import SettingsMissing, read_settings
from lambdas.deploy_model.verification import NotVerified
from tests.fakes.fake_sagemaker import refusal
from tests.lambdas.deployment_cloud import TRIAL
from tests.lambdas.deployment_steps import ENVIRONMENT, HOURLY, converge, drain, waits


def test_an_endpoint_that_is_deleted_while_it_is_read_is_not_there(serving, monkeypatch):
    class Gone:
        def paginate(self, **_):
            raise refusal("ListTags", "Could not find resource endpoint/loadingbay")
            yield

    real = serving.get_paginator
    monkeypatch.setattr(serving, "get_paginator", lambda name: Gone() if name == "list_tags" else real(name))
    assert converge(serving, {"dry_run": True})["because"] == "Version 1 is the first to serve."


def test_an_endpoint_that_became_busy_meanwhile_is_planned_for_again(serving, monkeypatch):
    serving.decide(serving.register(), "Approved")
    converge(serving, serving.events.pop())
    serving.settle()

    def busy(**_):
        raise refusal("UpdateEndpoint", 'Cannot update in-progress endpoint "arn".')

    monkeypatch.setattr(serving, "update_endpoint", busy)
    serving.calls.clear()
    told = converge(serving, serving.events[-1])
    assert (told["outcome"], "busy" in told["because"]) == ("try again", True)
    assert "AddTags" not in serving.calls


@pytest.mark.parametrize("specification", [None, {"SupportedContentTypes": ["image/png"]}])
def test_a_version_without_a_container_loses_its_approval(serving, specification):
    number = serving.register(InferenceSpecification=specification)
    if specification is None:
        del serving.packages[number]["InferenceSpecification"]
    serving.decide(number, "Approved")
    converge(serving, serving.events.pop())
    assert serving.status[number] == "Rejected"
    assert "without a container" in serving.packages[number]["ApprovalDescription"]
    assert serving.live == 1


def test_a_refusal_that_nobody_foresaw_is_raised_as_it_is(cloud, monkeypatch):
    cloud.decide(cloud.register(), "Approved")

    def refused(**_):
        raise refusal("CreateModel", "Requested image not found.")

    monkeypatch.setattr(cloud, "create_model", refused)
    with pytest.raises(Exception, match="Requested image not found"):
        converge(cloud, cloud.events[-1])


def test_the_last_rejection_is_an_error_in_the_log_and_in_the_alarm(serving, recorded, caplog, capsys):
    serving.decide(1, "Rejected")
    capsys.readouterr()
    with caplog.at_level(logging.INFO):
        assert converge(serving, recorded("scheduled"))["outcome"] == "unapproved serves"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert json.loads(capsys.readouterr().out)["NotConverged"] == 1
    assert serving.live == 1


def test_the_log_says_what_an_update_of_a_version_set(serving, recorded, caplog):
    with caplog.at_level(logging.INFO):
        converge(serving, recorded("model_package_approved"))
    assert "set ModelApprovalStatus, ApprovalDescription." in caplog.messages[0]


def test_a_version_that_was_rolled_back_is_counted_for_the_alarm(serving, capsys):
    serving.decide(serving.register("wrong"), "Approved")
    converge(serving, serving.events.pop())
    serving.settle()
    capsys.readouterr()
    converge(serving, serving.events.pop())
    assert json.loads(capsys.readouterr().out.splitlines()[0])["NotConverged"] == 1


def counted(capsys):
    """What the alarm sees of all that was printed since the last time."""
    return [json.loads(line)["NotConverged"] for line in capsys.readouterr().out.splitlines()]


def test_a_verification_that_could_not_be_made_is_counted_for_the_alarm(verifying, capsys):
    verifying.verifiable = False
    capsys.readouterr()
    with pytest.raises(NotVerified):
        converge(verifying, verifying.events[-1])
    assert counted(capsys) == [1]


@pytest.mark.parametrize("call", ["list", "describe_endpoint", "create_model"])
def test_a_refused_call_is_counted_for_the_alarm(cloud, monkeypatch, capsys, call):
    cloud.decide(cloud.register(), "Approved")

    def throttled(*_, **__):
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, call)

    monkeypatch.setattr(cloud, "get_paginator" if call == "list" else call, throttled)
    with pytest.raises(ClientError, match="Rate exceeded"):
        converge(cloud, cloud.events[-1])
    assert counted(capsys) == [1]


def test_no_machine_in_the_accounts_quota_is_counted_for_the_alarm(serving, capsys):
    serving.quota = 1
    serving.decide(serving.register(), "Approved")
    capsys.readouterr()
    with pytest.raises(ClientError, match="service limit"):
        converge(serving, serving.events[-1])
    assert counted(capsys) == [1]


def test_an_endpoint_that_is_busy_for_a_while_is_not_counted_for_the_alarm(verifying, capsys):
    verifying.delete_endpoint(EndpointName=TRIAL)
    capsys.readouterr()
    assert converge(verifying, verifying.events[-1])["outcome"] == "try again"
    assert counted(capsys) == [0]


def test_a_deletion_that_takes_long_is_no_error_and_the_schedule_goes_on(verifying):
    verifying.delete_endpoint(EndpointName=TRIAL)
    assert converge(verifying, verifying.events.pop())["outcome"] == "try again"
    verifying.settle()
    verifying.events.append(HOURLY)
    drain(verifying)
    assert verifying.live == 2


def test_a_deletion_that_ends_soon_is_waited_for(verifying):
    verifying.delete_endpoint(EndpointName=TRIAL)
    told = converge(verifying, verifying.events.pop(), waits(verifying))
    assert told["outcome"] == "verify"
    assert verifying.endpoints[TRIAL]["status"] == "Creating"


def test_that_a_version_passed_is_announced_with_its_arn(serving):
    assert serving.announced == [{"Stage": "loadingbay", "ModelPackageArn": serving.arn(1), "ModelPackageVersion": 1}]


def test_a_version_that_failed_is_not_announced(cloud):
    cloud.decide(cloud.register("wrong"), "Approved")
    drain(cloud)
    assert cloud.announced == []


def test_an_announcement_that_is_not_taken_is_made_again(verifying, monkeypatch):
    entry = {"ErrorCode": "InternalFailure", "ErrorMessage": "try later"}
    with monkeypatch.context() as refusing:
        refusing.setattr(verifying, "put_events", lambda **_: {"FailedEntryCount": 1, "Entries": [entry]})
        with pytest.raises(NotVerified, match="did not take the event that says so: try later"):
            converge(verifying, verifying.events[-1])
    drain(verifying)
    assert [event["ModelPackageVersion"] for event in verifying.announced] == [1, 2]


@pytest.mark.parametrize("name", ["ENDPOINT_ROLE_ARN", "DATA_CAPTURE_URI"])
def test_a_missing_variable_is_named(name):
    with pytest.raises(SettingsMissing, match=name):
        read_settings({key: value for key, value in ENVIRONMENT.items() if key != name})
