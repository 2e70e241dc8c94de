"""`approve`, `reject`, `rollback` and their plans: what is asked of the cloud, and what is said."""

import io
import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from loadingbay.commands.rollback import rollback
from loadingbay.commands.versions import approve, reject
from loadingbay.errors import UsageError, WorkError
from loadingbay.registry import versions as registry
from loadingbay.stack import deploy
from loadingbay.target import Target

PLAN = {
    "outcome": "verify",
    "because": "Version 2 is verified on endpoint loadingbay-verify before it serves.",
    "actions": [{"action": "CreateEndpoint", "endpoint_name": "loadingbay-verify", "config_name": "c"}],
    "course": [
        {
            "outcome": "verify",
            "because": "Version 2 is verified on endpoint loadingbay-verify before it serves.",
            "actions": [{"action": "CreateEndpoint", "endpoint_name": "loadingbay-verify", "config_name": "c"}],
        },
        {"outcome": "live", "because": "Version 2 is live.", "actions": []},
    ],
}


class Registry:
    """Versions by number and approval; what is decided is kept, and the endpoint follows at once."""

    def __init__(self, **approvals):
        self.approvals = {int(name[1:]): status for name, status in approvals.items()}
        self.decided, self.asked, self.answer = [], [], {"Payload": io.BytesIO(json.dumps(PLAN).encode())}

    def version(self, number):
        arn = f"arn:aws:sagemaker:us-east-1:000000000000:model-package/loadingbay/{number}"
        return registry.Version(number, arn, self.approvals[number], datetime.now(UTC), "", {}, "")

    def decide(self, _target, version, *, approve, comment):
        self.decided.append((version.number, approve, comment))
        self.approvals[version.number] = "Approved" if approve else "Rejected"

    def approved(self, _target, limit=None):
        numbers = sorted((n for n, status in self.approvals.items() if status == "Approved"), reverse=True)
        return [self.version(number) for number in numbers[:limit]]

    def invoke(self, FunctionName, Payload):  # noqa: N803 - AWS names them so
        self.asked.append((FunctionName, json.loads(Payload)))
        return self.answer


@pytest.fixture
def call(monkeypatch):
    """Calls a command on a registry; the answer of click's runner, and the registry."""

    def call(command, *arguments, **approvals):
        known = Registry(**approvals)
        target = Target("endpoint", "http://127.0.0.1:1", "us-east-1")
        target.clients["lambda"] = known
        monkeypatch.setattr(registry, "numbered", lambda _, number: known.version(number))
        monkeypatch.setattr(registry, "get", lambda _, arn: known.version(int(arn.rsplit("/", 1)[1])))
        monkeypatch.setattr(registry, "decide", known.decide)
        monkeypatch.setattr(registry, "approved", known.approved)
        monkeypatch.setattr(registry, "wait_until_served", lambda *_, **__: None)
        monkeypatch.setattr(deploy, "outputs", lambda _: {"EndpointName": "loadingbay"})
        answer = CliRunner().invoke(command, arguments, obj=lambda: target)
        return answer, known

    return call


def test_a_rollback_rejects_the_newest_approved_and_says_what_serves(call):
    answer, known = call(rollback, "--json", _1="Approved", _2="Rejected", _3="Approved")
    assert known.decided == [(3, False, "rolled back to version 1")]
    assert json.loads(answer.stdout)["in_service"] == 1


def test_a_rollback_keeps_the_reason_that_was_given(call):
    _, known = call(rollback, "--comment", "drivers complain", _1="Approved", _2="Approved")
    assert known.decided == [(2, False, "drivers complain")]


@pytest.mark.parametrize(
    ("approvals", "said"),
    [
        ({"_1": "Rejected"}, "no version is approved"),
        ({"_1": "Rejected", "_4": "Approved"}, "version 4 is the only approved one, so there is nothing to go back to"),
    ],
)
def test_where_there_is_nothing_to_go_back_to_nothing_is_rejected(call, approvals, said):
    answer, known = call(rollback, **approvals)
    assert isinstance(answer.exception, UsageError)
    assert said in str(answer.exception)
    assert known.decided == []


@pytest.mark.parametrize(
    ("command", "arguments", "status"),
    [(approve, ["2"], "Approved"), (reject, ["2"], "Rejected"), (rollback, [], "Rejected")],
)
def test_a_dry_run_tells_the_deployers_plan_and_decides_nothing(call, command, arguments, status):
    answer, known = call(command, *arguments, "--dry-run", "--json", _1="Approved", _2="Approved")
    assert json.loads(answer.stdout) == PLAN
    ((function, event),) = known.asked
    assert function == "loadingbay-deploy-model"
    assert event["dry_run"] is True
    assert event["detail"]["ModelPackageArn"].endswith("/2")
    assert event["detail"]["ModelApprovalStatus"] == status
    assert known.decided == []


def test_a_plan_is_shown_step_by_step(call):
    answer, _ = call(approve, "2", "--dry-run", _2="PendingManualApproval")
    lines = [line.split() for line in answer.stdout.splitlines()]
    assert lines[1][:3] == ["1", "verify", "Version"]
    assert lines[2] == ["CreateEndpoint", "endpoint_name=loadingbay-verify", "config_name=c"]
    assert lines[3][:3] == ["2", "live", "Version"]


def test_a_plan_that_fails_is_an_error_with_its_reason(call, monkeypatch):
    failed = {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorMessage": "no such role"}')}
    monkeypatch.setattr(Registry, "invoke", lambda *_, **__: failed)
    answer, _ = call(approve, "2", "--dry-run", _2="PendingManualApproval")
    assert isinstance(answer.exception, WorkError)
    assert "the deployment cannot be planned: no such role" in str(answer.exception)
