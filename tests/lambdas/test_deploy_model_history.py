"""What DeployModel writes down, tidies up, and says beforehand: history, pruning, dry runs."""

from datetime import datetime

from tests.fakes.fake_sagemaker import NAME
from tests.formats import check
from tests.lambdas.deployment_steps import HOURLY, converge, drain


def test_the_history_has_each_change_once_with_who_approved_it(serving):
    serving.decide(serving.register(), "Approved", by="arn:aws:iam::000000000000:user/grace")
    drain(serving)
    serving.decide(2, "Rejected")
    drain(serving)
    told = serving.history()
    for record in told:
        check("deployment", record)
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


def test_old_models_and_configs_are_pruned_and_made_again_at_need(serving):
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
