"""A local cloud of its own is killed at random moments under mixed load: nothing acknowledged is lost.

`FAULTS_KILLS` and `FAULTS_LINES` say how often, and how many log lines are kept: 4 and 20,000 in `make test`.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.faults import kill_load

pytestmark = pytest.mark.apart

KILLS, LINES = int(os.environ.get("FAULTS_KILLS", "4")), int(os.environ.get("FAULTS_LINES", "20000"))


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was acknowledged and lost in all kills."""
    return kill_load.run(tmp_path_factory.mktemp("kills"), KILLS, LINES, seed=1, load_seconds=1.0)


@pytest.mark.timeout(3600)
def test_nothing_that_was_acknowledged_is_lost_by_kills(outcome: dict[str, Any]) -> None:
    target = os.environ.get("FAULTS_REPORT")
    if target:
        kill_load.write_report(Path(target) / "kills.json", outcome)

    assert outcome["lost"] == {}


@pytest.mark.timeout(3600)
def test_each_kind_of_load_had_something_acknowledged(outcome: dict[str, Any]) -> None:
    """Or the test before would hold of a cloud that answers nothing."""
    assert [kind for kind, count in outcome["acknowledged"].items() if not count] == []
