"""The story of a deployment: its events in order, from log, alarms and monitoring, also where some are missing."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from loadingbay.registry import deployments
from loadingbay.registry.history import Period
from loadingbay.target import Target
from tests.fakes.fake_sagemaker import FakeSageMaker, refusal

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CONFIG = "loadingbay-v1-0123456789"
PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/loadingbay/1"
VERDICT = {"passed": True, "reason": "", "photos": 40, "accuracy": 0.725, "evaluated_accuracy": 0.75,
           "milliseconds": 7.2}  # fmt: skip


def _at(minutes):
    return NOON + timedelta(minutes=minutes)


def _period(since=0, until=None, version=1):
    return Period(version, CONFIG, _at(since), None if until is None else _at(until), "user/ada", "", {})


@pytest.fixture
def account():
    """A target whose log, alarms and periods of monitoring a test fills in."""
    target = Target("aws", None, "us-east-1")
    target.__dict__["account"] = "000000000000"
    sagemaker = target.clients["sagemaker"] = FakeSageMaker()
    sagemaker.register(
        CreationTime=_at(-60),
        MetadataProperties={"GeneratedBy": "arn:aws:sagemaker:us-east-1:0:pipeline/p/execution/run1"},
    )
    seen = SimpleNamespace(target=target, sagemaker=sagemaker, lines=[], alarms=[], periods=[])

    def events(startTime, endTime, **_):  # noqa: N803 - AWS names its arguments so
        inside = [(int(time.timestamp() * 1000), said) for time, said in seen.lines]
        return [{"events": [{"timestamp": t, "message": said} for t, said in inside if startTime <= t < endTime]}]

    def history(StartDate, EndDate, **_):  # noqa: N803
        items = [
            {"AlarmName": name, "Timestamp": time, "HistorySummary": said}
            for time, name, said in seen.alarms
            if StartDate <= time <= EndDate
        ]
        return {"AlarmHistoryItems": items}

    class Body:
        def read(self):
            return json.dumps({"periods": seen.periods}).encode()

    target.clients["logs"] = SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=events))
    target.clients["cloudwatch"] = SimpleNamespace(describe_alarm_history=history)
    target.clients["s3"] = SimpleNamespace(head_object=lambda **_: {}, get_object=lambda **_: {"Body": Body()})
    return seen


def _told(account, period, following=None):
    return [event.what for event in deployments.story(account.target, "bucket", period, following)]


@pytest.mark.parametrize("head", ["INFO:deploy_model.app:", "[INFO]\t2026-11-26T12:00:00.000Z\t39ab-11\t"])
def test_a_deployment_is_told_from_its_registration_on(account, head):
    account.lines += [
        (_at(-9), f"{head}Version 1 is verified on endpoint loadingbay-verify before it serves.\n"),
        (_at(-9), f"{head}NoteApproval(package_arn='{PACKAGE}', approved_by='arn:aws:iam::0:user/ada')"),
        (_at(-5), f"{head}Version 1 passed: {VERDICT}"),
        (_at(-4), f"{head}UpdateEndpoint(config_name='{CONFIG}', endpoint_arn='arn', watched=True)"),
    ]
    assert _told(account, _period()) == [
        "Registered by the run run1.",
        "Version 1 is verified on endpoint loadingbay-verify before it serves.",
        "Approved by user/ada.",
        "It passed its verification: 72.5% of 40 labelled photos right, 75.0% when it was evaluated; nine of ten "
        "answers within 7 ms.",
        "The endpoint begins to take it: traffic shifts; alarms would take it back.",
        "The endpoint serves it, and nothing else.",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "INFO:deploy_model.app:Version 11 is verified on endpoint loadingbay-verify before it serves.",
        "INFO:deploy_model.app:Version 1 is live.",
        f"INFO:deploy_model.execution:CreateModel(name='{CONFIG}', package_arn='{PACKAGE}', version=1)",
        "START RequestId: 1 Version: $LATEST",
        '{"_aws": {}}',
    ],
)
def test_lines_of_others_and_details_are_not_told(account, line):
    account.lines.append((_at(-1), line))
    assert len(_told(account, _period())) == 2


def test_a_sentence_that_is_said_twice_is_told_once(account):
    line = "ERROR:deploy_model.app:Version 1 could not be verified for want of a machine."
    account.lines += [(_at(-3), line), (_at(-2), line)]
    (event,) = [e for e in deployments.story(account.target, "bucket", _period(), None) if "machine" in e.what]
    assert (event.time, event.bad) == (_at(-3), True)


def test_alarms_of_the_stage_are_told_while_it_serves(account):
    account.alarms += [
        (_at(1), "loadingbay-endpoint-5xx", "Alarm updated from OK to ALARM"),
        (_at(2), "loadingbay-endpoint-5xx", "Alarm updated from ALARM to OK"),
        (_at(3), "loadingbay-latency", "Alarm updated from INSUFFICIENT_DATA to OK"),
        (_at(3), "other-endpoint-5xx", "Alarm updated from OK to ALARM"),
        (_at(30), "loadingbay-endpoint-5xx", "Alarm updated from OK to ALARM"),
    ]
    told = _told(account, _period(until=10), _period(10, version=2))
    assert [said for said in told if "alarm" in said] == [
        "The alarm endpoint-5xx rings.",
        "The alarm endpoint-5xx is over.",
    ]


def test_the_end_says_what_came_after_and_why(account):
    account.sagemaker.decide(1, "Rejected")
    account.sagemaker.packages[1]["ApprovalDescription"] = "wrong at night"
    told = _told(account, _period(until=10), _period(10, version=2))
    assert told[-1] == "It ended: version 2 took its place. It was rejected: wrong at night"


def test_violations_are_told_when_they_begin(account):
    estimate = {"value": 0.9, "low": 0.8, "high": 0.95, "labelled": 50}
    account.periods = [
        {"time": _at(hour * 60).isoformat(), "version": version, "count": 10, "share_above": 0.5,
         "violations": violations, "estimates": {"accuracy": estimate}}
        for hour, version, violations in
        [(-1, "1", {}), (1, "1", {}), (2, "1", {"drift": "it fell"}), (3, "1", {"drift": "it fell"}), (4, "2", {})]
    ]  # fmt: skip
    told = [said for said in _told(account, _period(until=200)) if said.startswith("Monitoring")]
    figures = "Monitoring: 50.0% of 10 answers acted upon, 90.0% right of all."
    assert told == [figures, "Monitoring: it fell.", figures]


def test_a_version_that_was_deleted_still_has_its_period(account):
    account.sagemaker.packages.clear()
    assert _told(account, _period()) == ["The endpoint serves it, and nothing else."]


def test_a_log_that_is_not_there_is_left_out(account):
    def missing(**_):
        raise refusal("FilterLogEvents", "no such group", "ResourceNotFoundException")

    account.target.clients["logs"] = SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=missing))
    assert len(_told(account, _period())) == 2


def test_a_deployment_is_found_by_when_it_began():
    newest, before = _period(10, version=2), _period(0, 10)
    assert deployments.find([newest, before], "20261120T120000000") == (before, newest)
    assert deployments.find([newest, before], newest.key) == (newest, None)
    assert deployments.find([newest, before], "x") is None
