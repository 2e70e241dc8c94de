"""`threshold` as a person types it, and what it refuses."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from loadingbay.commands.threshold import threshold
from loadingbay.learning.new_threshold import describe
from loadingbay.learning.threshold import compare
from pipelines.costs import Costs
from tests.loadingbay.learning.test_threshold import MIXED, costs, traffic


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr("loadingbay.commands.threshold.require_running", lambda _: None)
    monkeypatch.setattr("loadingbay.stack.deploy.outputs", lambda _: {})
    monkeypatch.setattr("loadingbay.learning.traffic.read", lambda *_: traffic(MIXED))
    return lambda *arguments: CliRunner().invoke(threshold, list(arguments), obj=lambda: None)


def test_it_shows_cost_share_and_precision_with_their_intervals(run):
    text = run("--at", "0.9").output
    assert "5 labelled answers" in text
    today, cheapest, asked = (next(line for line in text.splitlines() if name in line)
                              for name in ("today", "cheapest", "asked for"))  # fmt: skip
    assert "2,400.0 (" in today
    assert "60.0% (60.0% to 60.0%)" in today
    assert cheapest.split()[0] == asked.split()[0] == "0.900"
    assert "cheapest threshold between" in text


def test_corrections_that_were_left_out_are_told(run, monkeypatch):
    with_corrections = replace(traffic(MIXED), corrections=7)
    monkeypatch.setattr("loadingbay.learning.traffic.read", lambda *_: with_corrections)
    assert "wrong, are left out: 7\n" in run().output


def test_labels_that_monitoring_has_not_seen_are_told(run, monkeypatch):
    assert "Labels have come since" not in run().output
    monkeypatch.setattr("loadingbay.learning.traffic.read", lambda *_: replace(traffic(MIXED), newer=True))
    assert "\nLabels have come since; `" in run().output


def test_costs_by_class_show_a_threshold_for_each(run):
    text = run("--cost-of-wrong-bay", "bicycle=0,motorcycle=10").output
    assert "bicycle 0.600 motorcycle 0.800" in text
    assert "cheapest threshold of bicycle between" in text


def test_as_json_it_gives_all_figures(run):
    found = json.loads(run("--json").output)
    assert found["best"]["thresholds"] == {"bicycle": 0.9, "motorcycle": 0.9}
    assert len(found["best"]["saving_interval"]) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--cost-of-wrong-bay", "nan"], "--cost-of-wrong-bay nan: nan is not a number from 0 to 1,000,000"),
        (["--cost-of-wrong-bay", "-1"], "--cost-of-wrong-bay -1: -1 is not a number"),
        (["--cost-of-wrong-bay", "5,lorry=2"], "there is no class lorry among bicycle,motorcycle"),
        (["--cost-of-wrong-bay", "bicycle=2"], "there is no cost for motorcycle"),
        (["--cost-of-wrong-bay", "none"], "without costs no threshold is cheaper"),
        (["--cost-of-review", "-1"], "--cost-of-review -1: -1 is not a number"),
        (["--cost-of-review", "nan"], "--cost-of-review nan: nan is not a number"),
        (["--at", "1.5"], "--at 1.5: a threshold is a number from 0 to 1, or 1.01 to accept nothing"),
        (["--at", "nan"], "--at nan: a threshold is a number from 0 to 1"),
        (["--at", "none"], "--at none: a threshold is a number from 0 to 1"),
        (["--at", "bicycle=0.5"], "--at bicycle=0.5: there is no threshold for motorcycle"),
        (["--at", "lorry=0.5"], "--at lorry=0.5: there is no class lorry"),
    ],
)
def test_what_is_no_cost_or_threshold_is_refused_with_a_sentence(run, arguments, says):
    done = run(*arguments)
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())


def test_a_version_says_why_it_has_another_threshold():
    found = compare(traffic(MIXED), costs())
    text = describe(3, traffic(MIXED), found, found.best, Costs({"bicycle": 2, "motorcycle": 10}, 1), "drivers wait")
    assert text.startswith(
        "threshold 0.900 instead of 0.800 for the network of version 3: on 5 recent labels a thousand photos cost 600 "
        "instead of 2400 (interval of the saving "
    )
    assert text.endswith("a wrong bay costs 2 (bicycle) and 10 (motorcycle) and a review 1; drivers wait")
    assert len(describe(3, traffic(MIXED), found, found.best, costs(), "x" * 2000)) == 1024
