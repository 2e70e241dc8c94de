"""What `loadingbay tune` prints: the best first, a version or why there is none, and how to register the best."""

import io

import pytest
from rich.console import Console

from loadingbay.commands.tune import _default_space
from loadingbay.errors import UsageError
from loadingbay.tuning.record import Trial
from loadingbay.tuning.study import Tuned, show

BEST = Trial(2, {"LearningRate": 0.08652941, "BatchSize": 16}, "arn:2", {"nll": 0.2, "accuracy": 0.91}, 95.0)
OTHER = Trial(1, {"LearningRate": 0.05, "BatchSize": 32}, "arn:1", {"nll": 0.25, "accuracy": 0.9}, 90.0, cached=True)
FAILED = Trial(3, {"LearningRate": 0.2, "BatchSize": 32}, "arn:3", failure="the loss went to the moon")


def _shown(tuned):
    out = io.StringIO()
    show(Console(file=out, width=140), tuned)
    return out.getvalue()


def _tuned(trials=(BEST, OTHER, FAILED), **more):
    return Tuned("abcdef01", "photos", None, "nll", list(trials), {"Epochs": 5}, **{"registering": False, **more})


def test_each_trial_says_its_figures_and_its_version_or_why_there_is_none():
    lines = _shown(_tuned()).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["2", "1", "3"]
    assert "0.08653" in lines[1]
    assert "0.2000     91.0%  1 min 35 s  none: not registered yet" in lines[1]
    assert "cached  none: another is better" in lines[2]
    assert "none: the loss went to the moon" in lines[3]


def test_the_command_that_registers_the_best_has_every_digit():
    said = _shown(_tuned())
    assert "run --epochs 5 --learning-rate 0.08652941 --batch-size 16\n" in said


def test_a_missed_gate_is_why_the_best_has_no_version():
    tuned = _tuned(registering=True, failure="test accuracy 0.5 against a minimum of 0.85")
    assert "none: test accuracy 0.5 against a minimum of 0.85" in _shown(tuned)
    assert tuned.document()["failure"] == "test accuracy 0.5 against a minimum of 0.85"
    assert "Register the best" not in _shown(tuned)


def test_a_search_in_which_all_failed_has_no_best():
    tuned = _tuned([FAILED], failure="no trial succeeded")
    assert tuned.best is None
    assert tuned.document()["best"] is None
    assert "Register" not in _shown(tuned)


def test_the_default_search_leaves_out_what_was_given_a_value():
    assert str(_default_space({})["LearningRate"]) == "0.01:0.2"
    with pytest.raises(UsageError, match="there is nothing to search"):
        _default_space({"LearningRate": 0.03})
