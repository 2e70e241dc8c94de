"""What a tuning job tries next, and which training jobs it stops early."""

from typing import Any

import pytest

from localcloud.jobs.search_space import Search, SearchError, check_ranges

MINIMIZE = {"Type": "Minimize", "MetricName": "loss"}
NUMBERS: dict[str, Any] = {
    "ContinuousParameterRanges": [
        {"Name": "rate", "MinValue": "0.001", "MaxValue": "1", "ScalingType": "Logarithmic"},
        {"Name": "decay", "MinValue": "0.9", "MaxValue": "0.999", "ScalingType": "ReverseLogarithmic"},
    ],
    "IntegerParameterRanges": [{"Name": "depth", "MinValue": "2", "MaxValue": "5"}],
    "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
}


def search(strategy: str, ranges: dict[str, Any], **config: Any) -> Search:
    return Search(ranges, MINIMIZE, {"Strategy": strategy, **config}, seed=1)


@pytest.mark.parametrize("strategy", ["Random", "Bayesian", "Hyperband"])
def test_proposals_lie_in_their_ranges(strategy: str) -> None:
    tried = search(strategy, NUMBERS)

    for number in range(12):
        trial = tried.propose()
        assert trial is not None
        given = trial.parameters
        assert 0.001 <= float(given["rate"]) <= 1
        assert 0.9 - 1e-9 <= float(given["decay"]) <= 0.999 + 1e-9
        assert given["depth"] in ("2", "3", "4", "5")
        assert given["kind"] in ("a", "b")
        tried.ended(trial, float(number))


def test_a_grid_tries_each_combination_once() -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "a", "Values": ["1", "2"]}, {"Name": "b", "Values": ["x", "y"]}]}
    tried = search("Grid", ranges)

    found = [trial.parameters for trial in iter(tried.propose, None)]

    assert found == [{"a": a, "b": b} for a in "12" for b in "xy"]


def test_a_bayesian_search_comes_closer_than_its_first_tries() -> None:
    ranges = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "-10", "MaxValue": "10"}]}
    tried = search("Bayesian", ranges)
    losses = []
    for _ in range(40):
        trial = tried.propose()
        assert trial is not None
        losses.append((float(trial.parameters["x"]) - 3) ** 2)
        tried.ended(trial, losses[-1])

    assert min(losses[10:]) < min(losses[:10]) / 4


def test_what_another_job_found_is_learned() -> None:
    ranges = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "10"}]}
    tried = search("Bayesian", ranges)
    for number in range(200):
        tried.learn({"x": str(number / 20)}, abs(number / 20 - 7))
    tried.learn({"x": "99"}, 0.0)

    proposals = [trial for trial in (tried.propose() for _ in range(5)) if trial is not None]

    assert all(5 < float(trial.parameters["x"]) < 9 for trial in proposals)


def test_early_stopping_stops_what_is_worse_than_the_median() -> None:
    tried = search("Random", NUMBERS, TrainingJobEarlyStoppingType="Auto")
    for _ in range(4):
        trial = tried.propose()
        assert trial is not None
        assert not tried.hopeless(trial, [5.0, 4.0, 3.0, 2.0, 1.0])
        tried.ended(trial, 1.0)

    poor, good = tried.propose(), tried.propose()

    assert poor is not None
    assert good is not None
    assert tried.hopeless(poor, [9.0, 9.0, 9.0, 9.0])
    assert not tried.hopeless(good, [4.0, 3.0, 2.0, 1.0])


def test_without_early_stopping_nothing_is_stopped() -> None:
    tried = search("Random", NUMBERS)
    trial = tried.propose()

    assert trial is not None
    assert not tried.hopeless(trial, [1e9] * 50)


@pytest.mark.parametrize(
    ("ranges", "strategy", "said"),
    [
        ({}, "Random", "nothing to tune"),
        (
            {"IntegerParameterRanges": NUMBERS["IntegerParameterRanges"]},
            "Grid",
            "takes CategoricalParameterRanges only",
        ),
        (
            {"IntegerParameterRanges": [{"Name": "n", "MinValue": "5", "MaxValue": "2"}]},
            "Random",
            "'n', 5 to 2, is empty",
        ),
        ({"IntegerParameterRanges": [{"Name": "n", "MinValue": "a", "MaxValue": "2"}]}, "Random", "no number"),
        (
            {
                "ContinuousParameterRanges": [
                    {"Name": "n", "MinValue": "0", "MaxValue": "2", "ScalingType": "Logarithmic"}
                ]
            },
            "Random",
            "not above 0",
        ),
    ],
)
def test_ranges_that_cannot_be_searched_are_refused(ranges: dict[str, Any], strategy: str, said: str) -> None:
    with pytest.raises(SearchError, match=said):
        check_ranges(ranges, strategy)
