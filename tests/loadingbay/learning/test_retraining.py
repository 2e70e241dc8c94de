"""`retrain`: what it asks the function, and how it says what comes of it."""

import io
import json

import pytest
from click.testing import CliRunner

from loadingbay.commands import retrain as commands

SAID = {
    "outcome": "start",
    "because": "it fell; 40 new labels",
    "alarm": "v7-x",
    "photos": {"train": 28, "recent": 12},
    "execution": "arn:e",
}


class Target:
    """A stage whose function answers what it is told to."""

    def __init__(self, said, failed=False):
        self.stage, self.said, self.failed, self.asked = "bay", said, failed, []

    def client(self, _):
        return self

    def invoke(self, FunctionName, Payload):  # noqa: N803
        self.asked.append((FunctionName, json.loads(Payload)))
        return {
            "Payload": io.BytesIO(json.dumps(self.said).encode()),
            **({"FunctionError": "x"} if self.failed else {}),
        }


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(commands, "require_running", lambda _: None)
    return lambda target, *arguments: CliRunner().invoke(commands.retrain, arguments, obj=lambda: target)


def test_what_was_started_is_said_with_its_reason(run):
    target = Target(SAID)
    said = run(target).output
    assert target.asked == [("bay-retrain", {"dry_run": False, "by_hand": True})]
    assert "start: it fell; 40 new labels" in said
    assert "28 to learn from, 12 as the recent test" in said
    assert "Started arn:e" in said


def test_a_dry_run_asks_what_the_alarm_would_lead_to(run):
    target = Target({"outcome": "nothing to do", "because": "the drift alarm is off", "alarm": "", "execution": ""})
    assert run(target, "--dry-run").output == "nothing to do: the drift alarm is off\n"
    assert target.asked[0][1] == {"dry_run": True, "by_hand": False}


def test_a_function_that_fails_is_said(run):
    result = run(Target({"errorMessage": "no bucket"}, failed=True))
    assert "no bucket" in str(result.exception)
