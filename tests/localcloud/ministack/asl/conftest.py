"""State machines of one or few states, run on the shared cloud."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests import waiting
from tests.localcloud.conftest import RunningCloud


class Machines:
    """Creates machines with names of their own, and runs them."""

    def __init__(self, cloud: RunningCloud) -> None:
        self.cloud, self.client = cloud, cloud.client("stepfunctions")

    def create(self, definition: dict[str, Any], kind: str = "STANDARD") -> str:
        """The ARN of a machine; a definition without States is that of its only state."""
        if "States" not in definition:
            ends = {} if definition["Type"] in ("Succeed", "Fail", "Choice") else {"End": True}
            definition = {"StartAt": "Only", "States": {"Only": {**ends, **definition}}}
        made = self.client.create_state_machine(
            name=f"asl-{uuid.uuid4().hex[:12]}",
            definition=json.dumps(definition),
            roleArn="arn:aws:iam::000000000000:role/asl",
            type=kind,
        )
        return str(made["stateMachineArn"])

    def run(self, definition: dict[str, Any], given: Any = None) -> dict[str, Any]:
        """The ended execution of an Express machine, or of a Standard one where Express has no distributed Map."""
        if "DISTRIBUTED" in json.dumps(definition):
            return self.ended(self.start(definition, given))
        arn = self.create(definition, "EXPRESS")
        return dict(
            self.client.start_sync_execution(stateMachineArn=arn, input=json.dumps({} if given is None else given))
        )

    def output(self, definition: dict[str, Any], given: Any = None) -> Any:
        """The output of a machine that succeeds."""
        ended = self.run(definition, given)
        assert ended["status"] == "SUCCEEDED", ended
        return json.loads(ended["output"])

    def start(self, definition: dict[str, Any], given: Any = None) -> str:
        """The ARN of an execution of a Standard machine."""
        arn = self.create(definition)
        return str(
            self.client.start_execution(stateMachineArn=arn, input=json.dumps({} if given is None else given))[
                "executionArn"
            ]
        )

    def ended(self, arn: str) -> dict[str, Any]:
        """An execution once it runs no longer."""
        return waiting.ended(self.client, arn)

    def events(self, arn: str) -> list[dict[str, Any]]:
        """The history of an execution."""
        return list(self.client.get_execution_history(executionArn=arn, maxResults=1000)["events"])


def again(machine: dict[str, Any]) -> dict[str, Any]:
    """The same machine with other names of states, for another branch."""
    text = json.dumps(machine)
    for name in machine["States"]:
        text = text.replace(f'"{name}"', f'"{name} again"')
    return dict(json.loads(text))


@pytest.fixture
def machines(cloud: RunningCloud) -> Machines:
    return Machines(cloud)


@pytest.fixture
def soon() -> Callable[[Callable[[], bool]], bool]:
    """`soon(reached)`: whether something is reached within some seconds."""
    return waiting.soon
