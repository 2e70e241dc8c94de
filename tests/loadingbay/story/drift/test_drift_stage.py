"""What people label in the story of drift, its pictures, and where it is told."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from PIL import Image

from loadingbay.cli import cli
from loadingbay.errors import UsageError
from loadingbay.screen.progress import Screen
from loadingbay.serving.photos import Outcome
from loadingbay.story.drift import cameras, picture, telling
from loadingbay.story.drift.stage import labelled
from loadingbay.target import Target

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def outcome(name, accepted, vehicle="bicycle"):
    status = "SUCCEEDED" if accepted else "FAILED"
    return Outcome(name, "bicycle", status, vehicle, 0.9, 0.8, "bay", None, None, None, f"arn:{name}", name)


def test_people_see_what_was_not_accepted_and_each_fifth_of_the_rest():
    outcomes = [outcome("unsure", False), *(outcome(f"sure{number}", True) for number in range(7))]
    found = labelled(outcomes, NOW)
    assert [(one.inference_id, one.source) for one in found] == [
        ("unsure", "review"), ("sure0", "review"), ("sure5", "review")
    ]  # fmt: skip


def test_a_driver_at_the_wrong_bay_tells_it():
    found = labelled([outcome("a", True), outcome("b", True, "motorcycle")], NOW)
    assert [(one.inference_id, one.truth, one.source) for one in found][1] == ("b", "bicycle", "correction")


@pytest.mark.parametrize("camera", cameras.CAMERAS)
def test_each_camera_changes_the_photo_and_none_keeps_its_bytes(camera):
    out = io.BytesIO()
    Image.effect_noise((32, 32), 90).convert("RGB").save(out, "PNG")
    assert cameras.taken(out.getvalue(), camera) != cameras.taken(out.getvalue(), "") == out.getvalue()
    assert camera in telling.HAPPENS


def test_the_picture_shows_periods_with_and_without_labels(tmp_path):
    known = {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}}
    periods = [
        {"time": (NOW + timedelta(minutes=at)).isoformat(), "share_above": 0.5, "estimates": known if at else {}}
        for at in range(3)
    ]
    sent = [{"time": one["time"], "cost_of_thousand": 300} for one in periods]
    moments = [("version 1 serves", NOW), ("version 2 is approved and serves", NOW + timedelta(minutes=2))]
    picture.draw(tmp_path / "report.png", periods, sent, moments, "A title")
    with Image.open(tmp_path / "report.png") as drawn:
        assert drawn.size == (1430, 935)


def test_it_is_not_told_on_aws(tmp_path):
    with pytest.raises(UsageError, match="for a local cloud"):
        telling.tell(
            Target("endpoint", "http://x", "us-east-1"), Screen(), tmp_path, environment={}, data=None, camera="night",
            pace=telling.SHORT
        )  # fmt: skip


def test_an_unknown_camera_is_wrong_use():
    assert CliRunner().invoke(cli, ["story", "drift", "--camera", "gone"]).exit_code == 2
