"""What a photo's arrival becomes: the rule's input transformer, rendered as EventBridge does, and read by a Lambda."""

import json
import re
from typing import Any

import pytest

from lambdas.serialize_image import app
from tests.workflow.application import ROOT, resources

EVENT = json.loads((ROOT / "tests" / "events" / "photo_created.json").read_text())
OBJECT = EVENT["detail"]["object"]


def execution_input(event: dict[str, Any]) -> dict[str, Any]:
    """The input of the execution that the event starts. What the event lacks is rendered as nothing."""
    rule = resources("AWS::Events::Rule")["PhotoArrived"]
    (target,) = rule["Targets"]
    paths = target["InputTransformer"]["InputPathsMap"]

    def value(found: re.Match[str]) -> str:
        here: Any = event
        for name in paths[found[2]].removeprefix("$.").split("."):
            here = here.get(name, "") if isinstance(here, dict) else ""
        # A string in the place of a value gets its quotes; between quotes it has them already.
        return f'"{here}"' if here or found[1] else ""

    return json.loads(re.sub(r'("?)<(\w+)>\1', value, target["InputTransformer"]["InputTemplate"]))


def test_the_very_version_that_arrived_is_the_one_that_is_read():
    assert app._request(execution_input(EVENT)) == {
        "Bucket": EVENT["detail"]["bucket"]["name"],
        "Key": OBJECT["key"],
        "VersionId": OBJECT["version-id"],
    }


@pytest.mark.parametrize("lacking", ["version-id", "etag"])
def test_an_event_without_a_version_asks_for_the_newest(lacking):
    event = {**EVENT, "detail": {**EVENT["detail"], "object": {k: v for k, v in OBJECT.items() if k != lacking}}}
    assert ("VersionId" in app._request(execution_input(event))) == (lacking != "version-id")
