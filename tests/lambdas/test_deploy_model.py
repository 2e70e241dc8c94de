"""DeployModel against a SageMaker in memory: what is performed, what is tolerated, and where any history ends."""

import json
import logging
from datetime import datetime, timedelta
from functools import partial

import pytest
from botocore.exceptions import ClientError
from deployment_cloud import TRIAL, DeploymentCloud
from fake_sagemaker import NAME, OURS, refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from lambda_cases import ROOT

from lambdas.deploy_model import app, environment
from lambdas.deploy_model.environment import Clients, SettingsMissing, read_settings
from lambdas.deploy_model.verification import NotVerified
from lambdas.verify_endpoint import app as verify_endpoint

ENVIRONMENT = {
    "ENDPOINT_NAME": "loadingbay",
    "MODEL_PACKAGE_GROUP_NAME": "loadingbay",
    "ENDPOINT_ROLE_ARN": "arn:aws:iam::000000000000:role/endpoint",
    "ENDPOINT_INSTANCE_TYPE": "ml.m5.large",
    "ENDPOINT_INSTANCE_COUNT": "1",
    "DATA_CAPTURE_URI": "s3://bucket/data-capture",
}


def converge(cloud, event, wait=lambda: False, **environment):
    """DeployModel handles the event; without `wait` there is no time to wait for an endpoint that is busy."""
    ours, now = OURS.rsplit("/", 1)[1], lambda: cloud.clock
    clients = Clients(*[cloud] * 6, "loadingbay-verify-endpoint", "s3://b/deployments", ours, now)
    settings = read_settings(ENVIRONMENT | environment)
    if event.get("dry_run"):
        return app.preview(event, settings, clients)
    return app.converge(event, settings, clients, wait)


def patience(cloud, rounds=5):
    """A wait of so many rounds, in each of which the endpoints come to rest."""
    left = iter(range(rounds))

    def wait():
        if next(left, None) is None:
            return False
        cloud.settle()
        return True

    return wait


@pytest.fixture
def cloud():
    return DeploymentCloud()


@pytest.fixture
def serving(cloud):
    cloud.decide(cloud.register(), "Approved")
    drain(cloud)
    return cloud


def test_nothing_is_deployed_before_a_version_is_approved(cloud, recorded):
    cloud.register()
    assert converge(cloud, recorded("model_package_approved"))["outcome"] == "nothing approved"
    assert cloud.endpoint is None


def test_an_approval_brings_the_version_into_service(serving):
    assert serving.live == 1


def test_a_version_is_verified_before_it_serves_and_the_trial_is_cleared_away(cloud):
    cloud.decide(cloud.register(), "Approved")
    converge(cloud, cloud.events.pop())
    assert set(cloud.endpoints) == {TRIAL}
    cloud.settle()
    assert converge(cloud, cloud.events.pop())["outcome"] == "deploy"
    assert cloud.endpoints[TRIAL]["status"] == "Deleting"
    assert cloud.metadata(1)["verification"] == "passed"
    drain(cloud)
    assert set(cloud.endpoints) == {NAME}


@pytest.mark.parametrize(("versions", "quota"), [(1, 1), (2, 2)])
def test_the_trial_gives_its_machine_back_before_production_asks_for_one(cloud, versions, quota):
    cloud.quota = quota
    for version in range(1, versions + 1):
        cloud.decide(cloud.register(), "Approved")
        drain(cloud)
        assert cloud.live == version
    assert set(cloud.endpoints) == {NAME}


def test_a_version_that_answers_wrongly_never_serves_and_the_reason_is_kept_with_it(serving):
    bad = serving.register("wrong")
    serving.decide(bad, "Approved")
    drain(serving)
    assert (serving.live, serving.served) == (1, [1])
    package = serving.packages[bad]
    assert package["ModelApprovalStatus"] == "Rejected"
    assert package["ApprovalDescription"] == "Version 2 was rolled back: it answered 1 of 40 right (by 2,5 %)"
    kept = package["CustomerMetadataProperties"]
    assert kept["verification_reason"] == "Version 2 was rolled back: it answered 1 of 40 right by 2 5"
    assert (kept["verification"], kept["verification_accuracy"]) == ("failed", "0.025")


def test_a_first_version_that_answers_wrongly_leaves_no_endpoint(cloud):
    cloud.decide(cloud.register("wrong"), "Approved")
    drain(cloud)
    assert cloud.endpoints == {}
    assert cloud.status[1] == "Rejected"


def test_a_verification_that_could_not_be_made_says_nothing_about_the_version(serving):
    serving.verifiable = False
    serving.decide(serving.register(), "Approved")
    converge(serving, serving.events.pop())
    serving.settle()
    with pytest.raises(NotVerified, match="Version 2 could not be verified: the endpoint is away"):
        converge(serving, serving.events[-1])
    assert serving.status[2] == "Approved"
    serving.verifiable = True
    drain(serving)
    assert serving.live == 2


@pytest.fixture
def verifying(serving):
    """Version 2 is ready on the trial endpoint; the last event says so."""
    serving.decide(serving.register(), "Approved")
    converge(serving, serving.events.pop())
    serving.settle()
    return serving


def test_a_verification_that_can_never_be_made_costs_no_machine_for_long_and_the_version_keeps_its_chance(verifying):
    verifying.verifiable = False
    hours_with_a_machine = 0
    for _ in range(24):
        play(verifying, [("hour",), *[("deliver", 0, False), ("settle",)] * 4])
        hours_with_a_machine += TRIAL in verifying.endpoints
    assert hours_with_a_machine <= 6
    assert verifying.status[2] == "Approved"
    assert verifying.live == 1
    verifying.verifiable = True
    verifying.decide(2, "Approved")
    drain(verifying)
    assert verifying.live == 2


def test_a_dry_run_says_that_a_trial_would_be_given_up_and_nothing_after_it(verifying):
    verifying.clock += timedelta(hours=3)
    told = converge(verifying, {"dry_run": True})
    assert [plan["outcome"] for plan in told["course"]] == ["stuck", "stuck"]
    assert [action["action"] for action in told["actions"]] == ["NoteUnverified", "DeleteEndpoint"]


@pytest.mark.parametrize("rest", [True, False])
def test_of_two_verifications_at_once_the_second_does_not_reject_the_version_that_the_first_let_pass(verifying, rest):
    ready = verifying.events[-1]

    def first():
        converge(verifying, ready)
        if rest:
            drain(verifying)

    verifying.meanwhile = first
    converge(verifying, ready)
    drain(verifying)
    assert (verifying.live, verifying.status[2]) == (2, "Approved")
    assert verifying.metadata(2)["verification"] == "passed"


def test_a_verification_whose_endpoint_went_away_is_made_again(verifying):
    verifying.meanwhile = lambda: verifying.delete_endpoint(EndpointName=TRIAL)
    told = converge(verifying, verifying.events[-1])
    assert told["outcome"] == "try again"
    assert "changed while version 2 was verified" in told["because"]
    assert verifying.status[2] == "Approved"
    drain(verifying)
    assert verifying.live == 2


def test_the_answers_of_another_version_that_took_the_trial_are_not_taken_for_those_of_this_one(verifying):
    def another():
        verifying.decide(verifying.register("wrong"), "Approved")
        for _ in range(2):  # the trial of version 2 makes room, and that of version 3 is made
            deliver(verifying, verifying.events.pop())
            verifying.settle()

    verifying.meanwhile = another
    assert converge(verifying, verifying.events.pop())["outcome"] == "try again"
    verifying.events.append(HOURLY)
    # Version 3 is rejected, and version 2 verified anew in its turn.
    drain(verifying)
    assert (verifying.status[2], verifying.status[3], verifying.live) == ("Approved", "Rejected", 2)


def test_a_reason_that_a_person_gave_meanwhile_is_kept(verifying):
    verifying.wrong.add(2)
    verifying.packages[2]["ApprovalDescription"] = "too dark"
    verifying.meanwhile = lambda: verifying.decide(2, "Rejected")
    converge(verifying, verifying.events.pop())
    assert verifying.packages[2]["ApprovalDescription"] == "too dark"


def test_whoever_waits_for_a_verification_outlives_it():
    expanded = json.loads((ROOT / "tests" / "workflow" / "expanded_template.json").read_text())["Resources"]
    verifying, waiting = (expanded[name]["Properties"]["Timeout"] for name in ("VerifyEndpoint", "DeployModel"))
    patience = environment._boto3_clients()[1].meta.config.read_timeout
    assert verify_endpoint.START_SECONDS * 2 < verifying < patience < waiting < 900


def test_a_version_that_passed_is_not_verified_again_when_it_comes_back(serving):
    serving.decide(serving.register(), "Approved")
    drain(serving)
    serving.calls.clear()
    serving.decide(2, "Rejected")
    drain(serving)
    assert serving.live == 1
    assert "Invoke" not in serving.calls
    assert "CreateEndpoint" not in serving.calls


def test_the_container_is_told_its_version(serving):
    (model,) = serving.models.values()
    assert model["PrimaryContainer"]["Environment"] == {"MODEL_VERSION": "1"}


def test_every_request_and_answer_is_captured_and_json_stays_json(serving):
    capture = serving.configs[serving.endpoint["config"]]["DataCaptureConfig"]
    assert capture["EnableCapture"]
    assert capture["InitialSamplingPercentage"] == 100
    assert capture["CaptureOptions"] == [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]
    assert capture["DestinationS3Uri"] == "s3://bucket/data-capture"
    assert capture["CaptureContentTypeHeader"]["JsonContentTypes"] == ["application/json"]


def test_the_trial_has_one_server_and_captures_nothing(cloud):
    cloud.decide(cloud.register(), "Approved")
    converge(cloud, cloud.events.pop(), ENDPOINT_INSTANCE_COUNT="3")
    (config,) = cloud.configs.values()
    assert config["ProductionVariants"][0]["InitialInstanceCount"] == 1
    assert "DataCaptureConfig" not in config


def test_without_instances_nothing_is_asked_for_that_sagemaker_has_only_with_them(cloud):
    cloud.decide(cloud.register(), "Approved")
    network = {"ENDPOINT_SUBNET_IDS": "s-1,s-2", "ENDPOINT_SECURITY_GROUP_IDS": "sg-1", "ENDPOINT_KMS_KEY_ARN": "key"}
    drain(cloud, ENDPOINT_SERVERLESS_MEMORY_MB="2048", ENDPOINT_SERVERLESS_CONCURRENCY="7", **network)
    for config in cloud.configs.values():
        (variant,) = config["ProductionVariants"]
        assert variant["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 7}
        assert set(config) == {"EndpointConfigName", "ProductionVariants"}
    (model,) = cloud.models.values()
    assert not {"VpcConfig", "EnableNetworkIsolation"} & set(model)


def test_network_and_key_are_those_of_the_stack(cloud):
    cloud.decide(cloud.register(), "Approved")
    network = {"ENDPOINT_SUBNET_IDS": "s-1,s-2", "ENDPOINT_SECURITY_GROUP_IDS": "sg-1", "ENDPOINT_KMS_KEY_ARN": "key"}
    drain(cloud, **network)
    (model,) = cloud.models.values()
    assert model["VpcConfig"] == {"Subnets": ["s-1", "s-2"], "SecurityGroupIds": ["sg-1"]}
    config = cloud.configs[cloud.endpoint["config"]]
    assert config["KmsKeyId"] == config["DataCaptureConfig"]["KmsKeyId"] == "key"


def test_an_update_is_watched_by_alarms_when_a_bake_time_is_set(serving):
    baked = {"BAKE_SECONDS": "120", "ROLLBACK_ALARMS": "loadingbay-endpoint-5xx,loadingbay-endpoint-latency"}
    serving.decide(serving.register(), "Approved")
    drain(serving, **baked)
    policy = serving.updates[-1]["DeploymentConfig"]
    routing = policy["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 120}
    alarms = policy["AutoRollbackConfiguration"]["Alarms"]
    assert [alarm["AlarmName"] for alarm in alarms] == baked["ROLLBACK_ALARMS"].split(",")


def test_an_alarm_that_goes_off_already_is_no_fault_of_the_version_that_comes(serving):
    serving.ringing = True
    serving.decide(serving.register(), "Approved")
    drain(serving, BAKE_SECONDS="120", ROLLBACK_ALARMS="a")
    assert serving.live == 2
    assert "DeploymentConfig" not in serving.updates[-1]


def test_the_way_back_is_not_watched(serving):
    serving.decide(serving.register(), "Approved")
    drain(serving)
    serving.decide(2, "Rejected")
    drain(serving, BAKE_SECONDS="120", ROLLBACK_ALARMS="a")
    assert serving.live == 1
    assert "DeploymentConfig" not in serving.updates[-1]


def test_of_several_servers_one_takes_requests_first(serving):
    serving.decide(serving.register(), "Approved")
    drain(serving, BAKE_SECONDS="120", ROLLBACK_ALARMS="a", ENDPOINT_INSTANCE_COUNT="2")
    routing = serving.updates[-1]["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert (routing["Type"], routing["CanarySize"]) == ("CANARY", {"Type": "INSTANCE_COUNT", "Value": 1})


def test_another_bake_time_deploys_nothing_anew(serving):
    before = dict(serving.endpoint)
    serving.events.append(HOURLY)
    drain(serving, BAKE_SECONDS="120", ROLLBACK_ALARMS="a")
    assert serving.endpoint == before


def test_without_a_bake_time_an_update_is_not_watched(serving):
    serving.decide(serving.register(), "Approved")
    drain(serving, BAKE_SECONDS="0", ROLLBACK_ALARMS="a")
    assert "DeploymentConfig" not in serving.updates[-1]


def test_the_same_event_twice_changes_nothing(serving, recorded):
    before = json.dumps(serving.endpoint, default=str)
    converge(serving, recorded("endpoint_in_service"))
    converge(serving, recorded("endpoint_in_service"))
    assert json.dumps(serving.endpoint, default=str) == before


def test_going_back_to_a_version_uses_its_model_and_configuration_again(serving):
    serving.decide(serving.register(), "Approved")
    drain(serving)
    serving.decide(2, "Rejected")
    drain(serving)
    assert serving.live == 1
    assert len(serving.models) == 2
    assert len([name for name in serving.configs if not name.endswith("-verify")]) == 2


def test_a_version_that_does_not_come_into_service_is_rejected_with_the_reason_and_the_next_newest_serves(serving):
    good, bad = serving.register(), serving.register("broken")
    serving.decide(bad, "Approved")
    serving.decide(good, "Approved")
    drain(serving)
    assert serving.live == good
    assert serving.status[bad] == "Rejected"
    assert "ping health check" in serving.packages[bad]["ApprovalDescription"]
    assert bad not in serving.served


def test_a_version_that_failed_while_it_took_over_is_rejected_and_once_approved_anew_has_a_new_chance(serving):
    serving.decide(serving.register(), "Approved")
    converge(serving, serving.events.pop())
    serving.settle()
    converge(serving, serving.events.pop())
    serving.broken.add(2)
    drain(serving)
    assert (serving.live, serving.status[2]) == (1, "Rejected")
    serving.broken.clear()
    serving.decide(2, "Approved")
    drain(serving)
    assert (serving.live, serving.status[2]) == (2, "Approved")


def test_a_version_that_found_no_machine_is_not_rejected_and_serves_once_there_are_machines(serving, recorded):
    newest = serving.register()
    serving.decide(newest, "Approved")
    serving.machines = False
    drain(serving)
    assert (serving.live, serving.status[newest]) == (1, "Approved")
    serving.machines = True
    serving.events.append(recorded("scheduled"))
    drain(serving)
    assert serving.live == newest


def test_a_first_version_that_found_no_machine_serves_once_there_are_machines(cloud, recorded):
    cloud.decide(cloud.register(), "Approved")
    cloud.machines = False
    drain(cloud)
    assert (cloud.live, cloud.status[1]) == (None, "Approved")
    cloud.machines = True
    cloud.events.append(recorded("scheduled"))
    drain(cloud)
    assert cloud.live == 1


def test_the_history_has_each_change_of_what_is_served_once_with_who_approved_it(serving):
    serving.decide(serving.register(), "Approved", by="arn:aws:iam::000000000000:user/grace")
    drain(serving)
    serving.decide(2, "Rejected")
    drain(serving)
    told = serving.history()
    assert [record["version"] for record in told] == [1, 2, 1]
    assert [record["approved_by"].rsplit("/", 1)[1] for record in told] == ["ada", "grace", "ada"]
    assert [record["since"] for record in told] == sorted({record["since"] for record in told})
    assert all(record["metadata"]["accuracy"] == "0.9300" for record in told)


def test_the_history_is_in_the_order_of_time_wherever_its_times_were_read(serving, recorded):
    serving.configs["mine"] = serving.configs[serving.endpoint["config"]]
    times = ["2027-01-05T23:00:00-05:00", "2027-01-06T05:30:00+01:00", "2027-01-06T05:00:00+00:00"]
    for name, since in zip(("mine", serving.endpoint["config"], "mine"), times, strict=True):
        serving.endpoint.update(config=name, changed=datetime.fromisoformat(since))
        converge(serving, recorded("endpoint_in_service"))
    told = [record["since"] for record in serving.history()[1:]]
    assert told == [f"2027-01-06T{time}:00.000+00:00" for time in ("04:00", "04:30", "05:00")]


def test_old_models_and_configurations_are_pruned_and_made_again_when_needed(serving):
    for _ in range(3):
        serving.decide(serving.register(), "Approved")
        drain(serving, KEEP_VERSIONS="2")
    assert len(serving.models) == 4
    serving.events.append(HOURLY)
    drain(serving, KEEP_VERSIONS="2")
    assert sorted(serving._version_of(config) for config in serving.configs if not config.endswith("verify")) == [3, 4]
    assert len(serving.models) == 2
    for version in (4, 3, 2):
        serving.decide(version, "Rejected")
    drain(serving, KEEP_VERSIONS="2")
    assert serving.live == 1
    serving.events.append(HOURLY)
    drain(serving, KEEP_VERSIONS="2")
    assert serving.live == 1
    assert serving.endpoint["config"] in serving.configs


def test_without_a_number_to_keep_nothing_is_pruned(serving):
    serving.decide(serving.register(), "Approved")
    drain(serving)
    serving.events.append(HOURLY)
    drain(serving)
    assert len(serving.models) == 2


def test_a_configuration_made_by_hand_is_in_the_history_without_a_version(serving, recorded):
    serving.configs["mine"] = serving.configs[serving.endpoint["config"]]
    serving.endpoint.update(config="mine", changed=serving.clock.replace(year=2027))
    converge(serving, recorded("endpoint_in_service"))
    assert serving.history()[-1] == {"config": "mine", "endpoint": NAME, "since": "2027-11-03T00:00:14.000+00:00"}


def test_a_dry_run_only_reads_and_tells_the_whole_course(serving):
    serving.decide(serving.register(), "Approved")
    serving.calls.clear()
    told = converge(serving, {"dry_run": True})
    assert told["outcome"] == "verify"
    assert [plan["outcome"] for plan in told["course"]] == ["verify", "verify", "deploy", "live"]
    assert not {call for call in serving.calls if not call.startswith(("List", "Describe"))}


def test_a_dry_run_can_ask_what_an_approval_would_do(serving):
    newest = serving.register()
    event = {"dry_run": True, "detail": {"ModelPackageArn": serving.arn(newest), "ModelApprovalStatus": "Approved"}}
    assert converge(serving, event)["outcome"] == "verify"
    assert serving.status[newest] == "PendingManualApproval"


def test_a_dry_run_can_ask_what_a_rejection_would_do(serving):
    serving.decide(serving.register(), "Approved")
    drain(serving)
    event = {"dry_run": True, "detail": {"ModelPackageArn": serving.arn(2), "ModelApprovalStatus": "Rejected"}}
    told = converge(serving, event)
    assert [plan["outcome"] for plan in told["course"]] == ["deploy", "live"]
    assert told["because"].startswith("Version 1 takes the place of loadingbay-v2-")


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


def test_a_refusal_that_nobody_foresaw_is_raised_as_it_is(cloud, monkeypatch):
    cloud.decide(cloud.register(), "Approved")

    def refused(**_):
        raise refusal("CreateModel", "Requested image not found.")

    monkeypatch.setattr(cloud, "create_model", refused)
    with pytest.raises(Exception, match="Requested image not found"):
        converge(cloud, cloud.events[-1])


def test_the_last_rejection_is_logged_as_an_error_and_counted_for_the_alarm(serving, recorded, caplog, capsys):
    serving.decide(1, "Rejected")
    capsys.readouterr()
    with caplog.at_level(logging.INFO):
        assert converge(serving, recorded("scheduled"))["outcome"] == "unapproved serves"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert json.loads(capsys.readouterr().out)["NotConverged"] == 1
    assert serving.live == 1


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
    told = converge(verifying, verifying.events.pop(), patience(verifying))
    assert told["outcome"] == "verify"
    assert verifying.endpoints[TRIAL]["status"] == "Creating"


SCALES = {"ENDPOINT_MAX_INSTANCE_COUNT": "4", "ENDPOINT_INVOCATIONS_PER_INSTANCE": "600"}


def test_a_live_endpoint_scales_by_the_requests_that_each_instance_gets(cloud):
    cloud.decide(cloud.register(), "Approved")
    drain(cloud, **SCALES)
    assert cloud.scaling["target"]["ResourceId"] == "endpoint/loadingbay/variant/AllTraffic"
    assert (cloud.scaling["target"]["MinCapacity"], cloud.scaling["target"]["MaxCapacity"]) == (1, 4)
    tracking = cloud.scaling["policy"]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 600


def test_an_update_keeps_the_number_of_instances_and_scaling_goes_on_after_it(cloud):
    for _ in range(2):
        cloud.decide(cloud.register(), "Approved")
        drain(cloud, **SCALES)
    assert cloud.live == 2
    assert cloud.updates[-1]["RetainAllVariantProperties"] is True
    assert cloud.scaling is not None


def test_an_endpoint_that_is_no_longer_to_scale_does_not(serving):
    serving.events.append(HOURLY)
    drain(serving, **SCALES)
    assert serving.scaling is not None
    serving.events.append(HOURLY)
    drain(serving)
    assert serving.scaling is None
    assert serving.served == [1]


def test_a_serverless_endpoint_scales_without_us(cloud):
    cloud.decide(cloud.register(), "Approved")
    drain(cloud, ENDPOINT_SERVERLESS_MEMORY_MB="2048", **SCALES)
    assert cloud.scaling is None


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


faults = st.sampled_from([(), (), ("broken",), ("wrong",)])
which = st.integers(0, 5)
steps = st.one_of(
    st.tuples(st.just("register"), faults),
    st.tuples(st.just("Approved"), which),
    st.tuples(st.just("Approved"), which),  # twice as often: most of what can go wrong goes wrong after an approval
    st.tuples(st.just("Rejected"), which),
    st.tuples(st.just("deliver"), which, st.booleans()),
    st.just(("settle",)),
    st.just(("rest",)),
    st.just(("vanish",)),
    st.tuples(st.sampled_from(["machines", "verifiable"]), st.booleans()),
    st.just(("hour",)),
)
# Among them what happens while the next verification is made.
steps = st.one_of(steps, st.tuples(st.just("meanwhile"), st.lists(steps, max_size=5)))

HOURLY = {"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}


def play(cloud, history):
    """People decide, endpoints come to rest or are deleted, and events arrive in any order, some of them twice."""
    for step in history:
        match step:
            case ("register", faults):
                cloud.register(*faults)
            case ("rest",):
                for _ in range(20):
                    cloud.settle()
                    if cloud.events:
                        deliver(cloud, cloud.events.pop(0))
            case ("deliver", which, twice):
                if cloud.events:
                    event = cloud.events.pop(which % len(cloud.events))
                    deliver(cloud, event)
                    if twice:
                        deliver(cloud, event)
            case ("settle",):
                cloud.settle()
            case ("vanish",):
                cloud.vanish()
            case ("meanwhile", more):
                cloud.meanwhile = partial(play, cloud, more)
            case ("hour",):
                cloud.clock += timedelta(hours=1)
                cloud.events.append(HOURLY)
            case ("machines" | "verifiable" as what, there):
                setattr(cloud, what, there)
            case (decision, which):
                if cloud.packages:
                    cloud.decide(1 + which % len(cloud.packages), decision)


def deliver(cloud, event, wait=lambda: False, **environment):
    """Whether the event was handled; if not, Lambda delivers it again, minutes later."""
    try:
        converge(cloud, event, wait, **environment)
    except NotVerified:
        cloud.events.append(event)
        return False
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceLimitExceeded":
            raise
        cloud.events.append(event)
        return False
    return True


def drain(cloud, pick=lambda n: 0, **environment):
    """Every event arrives and the endpoints come to rest. An endless argument between the two fails the test."""
    for _ in range(200):
        if cloud.events:
            if not deliver(cloud, cloud.events.pop(pick(len(cloud.events))), patience(cloud), **environment):
                cloud.settle()
        elif cloud.busy:
            cloud.settle()
        else:
            return
    raise AssertionError("events and endpoints never come to rest")


@settings(max_examples=400, deadline=None)
@given(st.lists(faults, min_size=1, max_size=4), st.lists(steps, max_size=30), st.data())
def test_whatever_happened_in_whatever_order_the_newest_approved_version_serves(versions, history, data):
    cloud = DeploymentCloud()
    for kind in versions:
        cloud.register(*kind)
    play(cloud, history)
    cloud.machines = cloud.verifiable = True
    cloud.meanwhile = lambda: None
    cloud.settle()
    serving = cloud.live
    # A day passes, and another: the schedule catches up with what no event tells of.
    for _ in range(3):
        cloud.clock += timedelta(days=1)
        cloud.events.append(HOURLY)
        drain(cloud, lambda n: data.draw(st.integers(0, n - 1), label="which event arrives"))
    if cloud.approved():
        assert cloud.live == max(cloud.approved())
    elif serving is not None:
        assert cloud.live is not None, "the endpoint stopped serving because an approval was withdrawn"
    assert not (cloud.broken | cloud.wrong) & set(cloud.served), "a bad version came to serve"
    assert cloud.rejected_by_code <= cloud.broken | cloud.wrong, "a good version lost its approval"
    assert TRIAL not in cloud.endpoints, "the trial endpoint was left, and costs money"
    if cloud.live is not None:
        assert cloud.history()[-1]["version"] == cloud.live


CHANGING = ("Create", "Update", "Delete", "Invoke", "PutEvents")


@settings(max_examples=100, deadline=None)
@given(st.lists(faults, min_size=1, max_size=3), st.data())
def test_no_order_of_events_about_metadata_loops_or_deploys_twice(versions, data):
    """SageMaker tells of every update of a version, also of those that DeployModel itself writes."""
    cloud = DeploymentCloud()
    told = []
    for version in [cloud.register(*kind) for kind in versions]:
        cloud.decide(version, "Approved")
    while cloud.events or cloud.busy:
        if cloud.events:
            told.append(cloud.events.pop(data.draw(st.integers(0, len(cloud.events) - 1))))
            deliver(cloud, told[-1], patience(cloud))
        else:
            cloud.settle()
        assert len(told) < 100, "the function's own updates keep it going"
    own = [
        event for event in told if "CustomerMetadataProperties" in event["detail"].get("UpdatedModelPackageFields", ())
    ]
    assert own
    assert len(cloud.served) <= 1, "a version was deployed twice, or one after another"
    cloud.calls.clear()
    for event in data.draw(st.permutations(own)):
        deliver(cloud, event, patience(cloud))
    assert not [call for call in cloud.calls if call.startswith(CHANGING)]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_without_machines_only_a_persons_approval_tries_a_version_again(data):
    """The approval makes the trial endpoint; what DeployModel notes with the version does not make another."""
    cloud = DeploymentCloud()
    cloud.machines = False
    cloud.decide(cloud.register(), "Approved")
    deliver(cloud, cloud.events.pop())
    cloud.settle()
    drain(cloud, lambda n: data.draw(st.integers(0, n - 1), label="which event arrives"))
    assert cloud.calls.count("CreateEndpoint") == 1
