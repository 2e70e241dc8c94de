"""DeployModel against a SageMaker in memory: a version's way into service, and out of it."""

import json
from datetime import timedelta

import pytest

from lambdas.deploy_model import environment
from lambdas.deploy_model.verification import NotVerified
from lambdas.verify_endpoint import app as verify_endpoint
from tests.fakes.fake_sagemaker import NAME
from tests.lambdas.deployment_cloud import TRIAL
from tests.lambdas.deployment_steps import HOURLY, converge, deliver, drain, play
from tests.lambdas.lambda_cases import ROOT


def test_nothing_is_deployed_before_a_version_is_approved(cloud, recorded):
    cloud.register()
    assert converge(cloud, recorded("model_package_approved"))["outcome"] == "nothing approved"
    assert cloud.endpoint is None


def test_an_approval_brings_the_version_into_service(serving):
    assert serving.live == 1


def test_a_version_is_verified_first_and_its_trial_is_cleared_away(cloud):
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


def test_a_version_that_answers_wrongly_never_serves_and_says_why(serving):
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


def test_a_verification_that_was_not_possible_rejects_no_version(serving):
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


def test_a_verification_that_is_never_made_costs_no_machine_for_long(verifying):
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


def test_a_dry_run_ends_with_the_trial_that_would_be_given_up(verifying):
    verifying.clock += timedelta(hours=3)
    told = converge(verifying, {"dry_run": True})
    assert [plan["outcome"] for plan in told["course"]] == ["stuck", "stuck"]
    assert [action["action"] for action in told["actions"]] == ["NoteUnverified", "DeleteEndpoint"]


@pytest.mark.parametrize("rest", [True, False])
def test_of_two_verifications_at_once_the_second_does_not_undo_the_first(verifying, rest):
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


def test_the_answers_of_another_version_on_trial_do_not_count_for_this_one(verifying):
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
    reading = environment._boto3_clients()[1].meta.config.read_timeout
    assert verify_endpoint.START_SECONDS * 2 < verifying < reading < waiting < 900


def test_a_version_that_passed_is_not_verified_again_when_it_comes_back(serving):
    serving.decide(serving.register(), "Approved")
    drain(serving)
    serving.calls.clear()
    serving.decide(2, "Rejected")
    drain(serving)
    assert serving.live == 1
    assert "Invoke" not in serving.calls
    assert "CreateEndpoint" not in serving.calls


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


def test_a_version_that_fails_to_start_is_rejected_for_the_next(serving):
    good, bad = serving.register(), serving.register("broken")
    serving.decide(bad, "Approved")
    serving.decide(good, "Approved")
    drain(serving)
    assert serving.live == good
    assert serving.status[bad] == "Rejected"
    assert "ping health check" in serving.packages[bad]["ApprovalDescription"]
    assert bad not in serving.served


def test_a_version_that_failed_to_take_over_may_be_approved_anew(serving):
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


def test_a_version_that_found_no_machine_serves_once_there_are_machines(serving, recorded):
    newest = serving.register()
    serving.decide(newest, "Approved")
    serving.machines = False
    drain(serving)
    assert (serving.live, serving.status[newest]) == (1, "Approved")
    serving.machines = True
    serving.events.append(recorded("scheduled"))
    drain(serving)
    assert serving.live == newest


def test_a_first_version_without_a_machine_serves_once_there_is_one(cloud, recorded):
    cloud.decide(cloud.register(), "Approved")
    cloud.machines = False
    drain(cloud)
    assert (cloud.live, cloud.status[1]) == (None, "Approved")
    cloud.machines = True
    cloud.events.append(recorded("scheduled"))
    drain(cloud)
    assert cloud.live == 1
