"""The short form of the story of drift: a camera changes, and the application notices and learns it by itself."""

import json
from typing import Any

import pytest
from PIL import Image

from tests.e2e.conftest import archive

pytestmark = pytest.mark.apart


@pytest.fixture(scope="module")
def told(bay: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `loadingbay story drift --short` wrote down: moments, periods, and what became of each period's photos."""
    # With as few photos as other tests train on, the stream ends before version 2 has shown itself.
    data = archive(tmp_path_factory.mktemp("stream") / "cifar-100-python.tar.gz", 400)
    done = bay.cli("story", "drift", "--camera", "night", "--short", "--data", data)
    assert "Version 2 was trained with what people labelled" in done.stdout
    said: dict[str, Any] = json.loads((bay.folder / "runs" / "drift-night" / "story.json").read_text())
    return said


def test_a_camera_that_changed_leads_to_a_version_that_serves(told: dict[str, Any]) -> None:
    assert [name for name, _ in told["moments"]] == [
        "version 1 serves",
        "drift begins",
        "the alarm rings",
        "a training starts by itself",
        "version 2 is trained",
        "version 2 is compared as a shadow",
        "version 2 is approved and serves",
    ]
    versions = [one["version"] for one in told["periods"]]
    assert versions == sorted(versions)
    assert versions[-1] == "2"


def test_monitoring_says_what_the_camera_changed(told: dict[str, Any]) -> None:
    named = [set(one["violations"]) for one in told["periods"] if one["version"] == "1"]
    assert not named[0]
    assert {"brightness", "accepted_share"} <= named[-1]


def test_the_figures_recover(told: dict[str, Any]) -> None:
    drifted = [one for one in told["periods"] if one["version"] == "1"][-1]
    assert told["periods"][-1]["share_above"] > drifted["share_above"]
    assert told["sent"][-1]["cost_of_thousand"] < max(one["cost_of_thousand"] for one in told["sent"])


def test_the_story_ends_with_a_picture_and_nothing_that_goes_on(bay: Any, told: dict[str, Any]) -> None:
    with Image.open(bay.folder / "runs" / "drift-night" / "report.png") as drawn:
        assert drawn.width > 1000
    schedule = bay.client("scheduler").get_schedule(Name="drift-story-monitoring")
    assert schedule["ScheduleExpression"] == "rate(1 hour)"
    assert "the drift alarm is off" in bay.cli("--stage", "drift-story", "retrain", "--dry-run").stdout
