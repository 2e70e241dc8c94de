"""The deployment plan: what is decided for each state of registry and endpoint."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lambdas.deploy_model.actions import (
    CreateEndpoint,
    CreateEndpointConfig,
    CreateModel,
    DeleteEndpoint,
    NoteApproval,
    NoteUnverified,
    RecordDeployment,
    RejectVersion,
    UpdateEndpoint,
    VerifyVersion,
)
from lambdas.deploy_model.plan import Outcome, plan_deployment
from lambdas.deploy_model.state import Current, Endpoint, Settings, Version, config_name, trial_config_name
from lambdas.deploy_model.trigger import Trigger, parse

ARN = "arn:aws:sagemaker:us-east-1:000000000000"
SETTINGS = Settings(
    endpoint_name="loadingbay",
    package_group="loadingbay",
    execution_role_arn="arn:aws:iam::000000000000:role/endpoint",
    instance_type="ml.m5.large",
    instance_count=1,
    capture_uri="s3://bucket/data-capture",
)
V1, V2, V3, V10 = (
    replace(version, passed_as=config_name(version, SETTINGS))
    for version in (Version(f"{ARN}:model-package/loadingbay/{n}", n, 1_793_700_000 + n) for n in (1, 2, 3, 10))
)
NEW = replace(V3, passed_as="")
TRIAL = SETTINGS.trial_name
NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)


def endpoint(version, status="InService", attempted=None, reason=""):
    name = config_name(version, SETTINGS)
    tried = name if attempted is None else config_name(attempted, SETTINGS)
    return Endpoint(f"{ARN}:endpoint/loadingbay", status, name, tried, reason, "now", f"{name}@now")


def trial(version, status="InService", reason=""):
    config = trial_config_name(config_name(version, SETTINGS))
    return Endpoint(f"{ARN}:endpoint/{TRIAL}", status, "" if status == "Failed" else config, config, reason)


def plan(*approved, serving=None, event=None, on_trial=None, now=NOON):
    return plan_deployment(parse(event or {}), Current(approved, serving, on_trial, now), SETTINGS)


def test_before_the_first_approval_there_is_nothing_to_do():
    made = plan()
    assert made.outcome is Outcome.NOTHING_APPROVED
    assert made.actions == ()


def test_the_first_approval_makes_model_configuration_and_endpoint():
    name = config_name(V1, SETTINGS)
    assert plan(V1).actions == (
        CreateModel(name, V1.arn, 1),
        CreateEndpointConfig(name, name),
        CreateEndpoint("loadingbay", name),
    )


def test_the_highest_number_is_the_newest_whatever_the_order():
    assert plan(V10, V2, V1).actions[0] == CreateModel(config_name(V10, SETTINGS), V10.arn, 10)


def test_a_second_approval_updates_the_endpoint_in_place():
    made = plan(V1, V2, serving=endpoint(V1))
    assert made.actions[-1] == UpdateEndpoint(config_name(V2, SETTINGS), f"{ARN}:endpoint/loadingbay", watched=True)


def test_a_live_newest_version_needs_nothing():
    assert plan(V1, V2, serving=endpoint(V2)).outcome is Outcome.LIVE


def test_rejecting_the_live_version_brings_back_the_newest_still_approved():
    made = plan(V1, V2, serving=endpoint(V3))
    assert made.actions[-1] == UpdateEndpoint(config_name(V2, SETTINGS), f"{ARN}:endpoint/loadingbay")


def test_with_no_approval_left_the_endpoint_serves_on_and_says_so():
    made = plan(serving=endpoint(V1))
    assert made.actions == ()
    assert made.outcome.needs_a_person
    assert "stays InService with loadingbay-v1-" in made.because


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack"])
def test_a_busy_endpoint_is_waited_for(status):
    made = plan(V1, V2, serving=endpoint(V1, status))
    assert (made.outcome, made.actions) == (Outcome.WAIT, ())


def test_an_endpoint_under_deletion_is_asked_for_again():
    assert plan(V1, serving=endpoint(V1, "Deleting")).outcome is Outcome.TRY_AGAIN


def test_a_version_that_the_endpoint_fell_back_from_is_rejected_with_why(recorded):
    fallen = endpoint(V1, attempted=V2, reason="it did not answer")
    made = plan(V1, V2, serving=fallen, event=recorded("endpoint_in_service"))
    why = "Version 2 did not come into service: it did not answer"
    assert (made.outcome, made.actions) == (Outcome.FELL_BACK, (RejectVersion(V2.arn, why),))


def test_approving_the_failing_version_anew_tries_it_once_more(recorded):
    fallen = endpoint(V1, attempted=V3, reason="it did not answer")
    assert plan(V1, V3, serving=fallen, event=recorded("model_package_approved")).outcome is Outcome.DEPLOY


def test_the_event_of_another_version_does_not_try_the_failing_one_again(recorded):
    fallen = endpoint(V1, attempted=V2, reason="it did not answer")
    assert plan(V1, V2, serving=fallen, event=recorded("model_package_approved")).outcome is Outcome.FELL_BACK


def test_a_version_stays_approved_if_its_endpoint_is_changed_by_hand(recorded):
    made = plan(V1, V2, serving=endpoint(V1, attempted=V2), event=recorded("endpoint_in_service"))
    assert (made.outcome, made.actions) == (Outcome.STUCK, ())
    assert made.outcome.needs_a_person


def test_the_schedule_takes_back_what_was_changed_by_hand(recorded):
    made = plan(V1, V2, serving=endpoint(V1, attempted=V2), event=recorded("scheduled"))
    assert made.actions[-1] == UpdateEndpoint(config_name(V2, SETTINGS), f"{ARN}:endpoint/loadingbay", watched=True)


SHORTAGES = [
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error.",
    "ResourceLimitExceeded: The account-level service limit 'ml.m5.large for endpoint usage' is 0 Instances.",
    "Request to service failed. If failure persists after retry, contact customer support.",
]


@pytest.mark.parametrize("reason", SHORTAGES)
def test_a_version_for_which_there_was_no_machine_keeps_its_approval(reason, recorded):
    made = plan(V1, V2, serving=endpoint(V1, attempted=V2, reason=reason), event=recorded("endpoint_in_service"))
    assert (made.outcome, made.actions) == (Outcome.STUCK, ())
    assert reason in made.because


@pytest.mark.parametrize("reason", SHORTAGES)
def test_a_first_endpoint_without_a_machine_is_made_anew_by_the_schedule(reason, recorded):
    made = plan(V1, serving=endpoint(V1, "Failed", reason=reason), event=recorded("scheduled"))
    assert (made.outcome, made.actions) == (Outcome.TRY_AGAIN, (DeleteEndpoint("loadingbay"),))


@pytest.mark.parametrize("status", ["Failed", "UpdateRollbackFailed"])
def test_a_failed_state_is_evidence_even_without_a_reason(status, recorded):
    made = plan(V1, V2, serving=endpoint(V1, status, attempted=V2), event=recorded("scheduled"))
    assert made.outcome is Outcome.FELL_BACK


def test_a_newer_version_goes_past_one_that_failed():
    assert plan(V2, V3, serving=endpoint(V1, attempted=V2)).actions[-1].config_name == config_name(V3, SETTINGS)


@pytest.mark.parametrize("serving", [None, V1])
def test_a_version_without_a_container_is_rejected_at_once(serving):
    made = plan(V1, replace(NEW, servable=False), serving=serving and endpoint(serving))
    assert (made.outcome, made.actions) == (Outcome.FELL_BACK, (RejectVersion(V3.arn, made.because),))


def test_an_endpoint_that_failed_to_start_is_deleted_for_the_next():
    made = plan(V1, V2, serving=endpoint(V1, "Failed"))
    assert (made.outcome, made.actions) == (Outcome.TRY_AGAIN, (DeleteEndpoint("loadingbay"),))


def test_an_endpoint_that_failed_to_come_up_is_left_for_its_log_to_be_read(recorded):
    made = plan(V1, serving=endpoint(V1, "Failed"), event=recorded("scheduled"))
    assert [type(action) for action in made.actions] == [RejectVersion]


def test_the_plan_does_not_read_times_from_the_event(recorded):
    event = recorded("model_package_approved")
    odd = {**event, "time": 7, "detail": {**event["detail"], "CreationTime": 1793700862000, "LastModifiedTime": "?"}}
    assert plan(V3, event=odd) == plan(V3, event=event)


def test_a_group_made_anew_with_the_same_numbers_is_another_deployment():
    assert config_name(V1, SETTINGS) != config_name(replace(V1, created=V1.created + 1), SETTINGS)


def test_another_instance_type_deploys_the_live_version_anew():
    larger = replace(SETTINGS, instance_type="ml.m5.xlarge")
    assert plan_deployment(Trigger(), Current((V1,), endpoint(V1), None, NOON), larger).outcome is Outcome.VERIFY


def test_the_longest_names_fit_into_63_characters():
    longest = replace(SETTINGS, endpoint_name="e" * 31 + "-" + "x" * 31)
    name = trial_config_name(config_name(replace(V1, number=999_999_999), longest))
    assert len(name) <= 63
    assert "--" not in name


def test_an_unverified_version_gets_an_endpoint_of_its_own_first():
    made = plan(V1, NEW, serving=endpoint(V1))
    name = config_name(V3, SETTINGS)
    assert made.outcome is Outcome.VERIFY
    assert made.actions == (
        CreateModel(name, V3.arn, 3),
        CreateEndpointConfig(trial_config_name(name), name, trial=True),
        CreateEndpoint(TRIAL, trial_config_name(name)),
    )


def test_a_version_in_service_on_trial_is_verified_there():
    made = plan(V1, NEW, serving=endpoint(V1), on_trial=trial(NEW))
    assert made.actions == (VerifyVersion(V3.arn, config_name(V3, SETTINGS)),)


def test_a_trial_that_nobody_could_verify_for_hours_is_given_up(recorded):
    state = {"serving": endpoint(V1), "event": recorded("scheduled")}
    on_trial = replace(trial(NEW), since=NOON.isoformat(timespec="milliseconds"))
    assert plan(NEW, **state, on_trial=on_trial, now=NOON + timedelta(hours=1)).outcome is Outcome.VERIFY
    given_up = NOON + timedelta(hours=3)
    made = plan(NEW, **state, on_trial=on_trial, now=given_up)
    assert (made.outcome, made.outcome.needs_a_person) == (Outcome.STUCK, True)
    assert made.actions == (NoteUnverified(V3.arn, given_up.isoformat()), DeleteEndpoint(TRIAL))
    approved_anew = {**state, "event": recorded("model_package_approved")}
    assert plan(NEW, **approved_anew, on_trial=on_trial, now=given_up).outcome is Outcome.VERIFY


@pytest.mark.parametrize(
    ("hours", "decided_by", "outcome"),
    [(1, "", Outcome.STUCK), (11, "", Outcome.STUCK), (13, "", Outcome.VERIFY), (1, "ada", Outcome.VERIFY)],
)
def test_a_version_that_was_given_up_is_tried_again_later_or_on_a_decision(hours, decided_by, outcome, recorded):
    version = replace(NEW, given_up=NOON.isoformat(), decided_by=decided_by)
    made = plan(version, serving=endpoint(V1), event=recorded("scheduled"), now=NOON + timedelta(hours=hours))
    assert made.outcome is outcome
    assert bool(made.actions) is (outcome is Outcome.VERIFY)


def test_a_version_that_passed_takes_over_and_its_trial_is_cleared_away():
    made = plan(V1, V3, serving=endpoint(V1), on_trial=trial(V3))
    assert isinstance(made.actions[-1], UpdateEndpoint)
    assert DeleteEndpoint(TRIAL) in made.actions[:-1]


def test_having_passed_with_other_settings_is_not_having_passed():
    larger = replace(SETTINGS, instance_type="ml.m5.xlarge")
    assert plan_deployment(Trigger(), Current((V1, V3), endpoint(V1), None, NOON), larger).outcome is Outcome.VERIFY


@pytest.mark.parametrize(("status", "outcome"), [("Creating", Outcome.WAIT), ("Deleting", Outcome.TRY_AGAIN)])
def test_a_busy_trial_is_waited_for(status, outcome):
    made = plan(V1, NEW, serving=endpoint(V1), on_trial=trial(NEW, status))
    assert (made.outcome, made.actions) == (outcome, ())


@pytest.mark.parametrize("status", ["InService", "Failed"])
def test_the_trial_of_another_version_makes_room(status):
    made = plan(V1, NEW, serving=endpoint(V1), on_trial=trial(V2, status))
    assert (made.outcome, made.actions) == (Outcome.TRY_AGAIN, (DeleteEndpoint(TRIAL),))


def test_a_version_that_does_not_start_on_trial_leaves_the_live_one_alone(recorded):
    fallen = trial(NEW, "Failed", reason="it did not answer")
    made = plan(V1, NEW, serving=endpoint(V1), on_trial=fallen, event=recorded("endpoint_in_service"))
    why = "Version 3 did not come into service: it did not answer"
    assert (made.outcome, made.actions) == (Outcome.FELL_BACK, (RejectVersion(V3.arn, why), DeleteEndpoint(TRIAL)))


def test_a_trial_without_a_machine_waits_for_the_schedule(recorded):
    fallen = trial(NEW, "Failed", reason=SHORTAGES[0])
    state = {"serving": endpoint(V1), "on_trial": fallen}
    assert plan(V1, NEW, **state, event=recorded("endpoint_in_service")).outcome is Outcome.STUCK
    assert plan(V1, NEW, **state, event=recorded("scheduled")).actions == (DeleteEndpoint(TRIAL),)


def test_a_trial_that_nobody_needs_any_more_is_cleared_away():
    assert plan(V1, serving=endpoint(V1), on_trial=trial(V2)).actions == (DeleteEndpoint(TRIAL),)
    assert plan(on_trial=trial(V2)).actions == (DeleteEndpoint(TRIAL),)


def test_what_the_endpoint_serves_is_recorded_unless_the_history_has_it():
    new = replace(endpoint(V1), recorded="")
    assert plan(V1, serving=new).actions == (RecordDeployment(new.config_name, "now", 1, new.arn),)
    assert plan(V1, serving=endpoint(V1)).actions == ()


def test_a_new_time_of_change_alone_is_no_new_deployment():
    touched = replace(endpoint(V1), since="later")
    assert plan(V1, serving=touched).actions == ()


def test_new_metadata_are_no_new_decision(recorded):
    event = recorded("model_package_approved")
    noted = {**event, "detail": {**event["detail"], "UpdatedModelPackageFields": ["CustomerMetadataProperties"]}}
    fallen = endpoint(V1, attempted=V3, reason="it did not answer")
    assert plan(V1, V3, serving=fallen, event=event).outcome is Outcome.DEPLOY
    assert plan(V1, V3, serving=fallen, event=noted).outcome is Outcome.FELL_BACK


def test_who_approved_is_noted_only_when_that_approval_arrives(recorded):
    event = recorded("model_package_approved")
    decided = replace(V3, decided_by="ada")
    assert NoteApproval(V3.arn, "ada") in plan(V1, decided, serving=endpoint(V1), event=event).actions
    noted = replace(decided, approved_by="ada")
    for state in ({"event": event}, {"event": recorded("scheduled")}):
        version = noted if "Package" in state["event"]["detail-type"] else decided
        assert not [a for a in plan(V1, version, serving=endpoint(V1), **state).actions if isinstance(a, NoteApproval)]


def test_the_plan_can_be_shown_as_json():
    shown = plan(V1).as_json()
    assert shown["outcome"] == "deploy"
    assert [action["action"] for action in shown["actions"]] == [
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
    ]
