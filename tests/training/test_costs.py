"""Costs of mistakes: read from hyperparameters, and thresholds fitted for them on out-of-fold answers."""

from collections.abc import Callable
from typing import Any

import costs
import decision
import numpy as np
import pytest
import thresholds
import train
from hypothesis import given
from hypothesis import strategies as st

from pipelines import costs as pipeline_costs

TWO = ["bicycle", "motorcycle"]


@pytest.mark.parametrize(
    ("text", "wrong_bay"),
    [
        ("5", {"bicycle": 5.0, "motorcycle": 5.0}),
        ("bicycle=2,motorcycle=10", {"bicycle": 2.0, "motorcycle": 10.0}),
        ("5, motorcycle=0", {"bicycle": 5.0, "motorcycle": 0.0}),
    ],
)
def test_costs_are_read_by_class(text: str, wrong_bay: dict[str, float]) -> None:
    found = costs.parse(text, 1.5, TWO)
    assert found == costs.Costs(wrong_bay, 1.5)
    assert found is not None
    assert found.equal == (len(set(wrong_bay.values())) == 1)


def test_without_costs_the_target_precision_sets_the_threshold() -> None:
    assert costs.parse("none", 1, TWO) is None


@pytest.mark.parametrize(
    ("text", "review", "sentence"),
    [
        ("nan", 1, "nan is not a number from 0 to 1,000,000"),
        ("-1", 1, "-1 is not a number"),
        ("bicycle=inf,motorcycle=1", 1, "inf is not a number"),
        ("", 1, " is not a number"),
        ("5,lorry=2", 1, "there is no class lorry among bicycle,motorcycle"),
        ("bicycle=2", 1, "there is no cost for motorcycle"),
        ("bicycle=2,bicycle=3,motorcycle=1", 1, "bicycle comes twice"),
        ("5", float("nan"), "the cost of a review: nan is not"),
        ("5", "cheap", "the cost of a review: cheap is not"),
    ],
)
def test_what_is_no_cost_is_refused_with_a_sentence(text: str, review: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        costs.parse(text, review, TWO)


_TEXTS = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "b", "c", " a"]), st.sampled_from(["1", "0", " 2.5", "-1", "nan", "1e7", "", "x"])
    ),
    min_size=1,
    max_size=4,
).map(lambda parts: ",".join(f"{name}={number}" if name else number for name, number in parts))


@given(st.one_of(_TEXTS, st.just("none"), st.text(max_size=12)))
def test_training_reads_costs_as_the_pipeline_does(text: str) -> None:
    def outcome(read: Callable[..., Any]) -> object:
        try:
            found = read(text, 1.0, ["a", "b"])
        except ValueError:
            return "refused"
        return found and (dict(found.wrong_bay), found.review)

    assert outcome(pipeline_costs.of) == outcome(costs.parse)


def test_the_job_refuses_costs_of_unknown_classes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        train.main(["--classes", "ant,bee", "--cost-of-wrong-bay", "5,lorry=2"])
    assert "there is no class lorry among ant,bee" in capsys.readouterr().err


def _calibrated(*flags: str) -> dict[str, Any]:
    """`out_of_fold` of 2,000 answers, of which those that say `b` are wrong more often than those that say `a`."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 2000)
    logits = rng.normal(0, 1, (2000, 3)).astype(np.float32)
    logits[np.arange(2000), labels] += np.where(labels == 0, 3, 2)
    logits[:, 2] = -9
    found = thresholds.OutOfFold(logits, logits)
    return thresholds.calibrate(found, labels, train.parser().parse_args(["--classes", "a,b", *flags]))[1]


def test_without_costs_nothing_is_fitted_for_them() -> None:
    assert not {"costs", "class_thresholds"} & set(_calibrated("--cost-of-review", "3"))


def test_equal_costs_set_one_threshold() -> None:
    dear, cheap = (_calibrated("--cost-of-wrong-bay", text) for text in ("50", "3"))
    assert dear["class_thresholds"] == cheap["class_thresholds"] == {}
    assert dear["value"] > cheap["value"]
    assert dear["coverage"] < cheap["coverage"]
    low, high = dear["costs"]["intervals"]["all"]
    assert low <= dear["value"] <= high


def test_unequal_costs_set_a_threshold_for_each_class() -> None:
    found = _calibrated("--cost-of-wrong-bay", "a=2,b=50")
    limits = found["class_thresholds"]
    assert limits["a"] < limits["b"] == found["value"]
    one = _calibrated("--cost-of-wrong-bay", "50")
    assert found["costs"]["of_a_thousand"] < one["costs"]["of_a_thousand"]


def test_the_rule_judges_each_answer_by_its_own_threshold() -> None:
    rule = decision.Rule.of(
        {"temperature": 1, "threshold": 0.9, "in_distribution_threshold": 0.5, "classes": ["a", "b"],
         "class_thresholds": {"a": 0.6, "b": 0.9}}
    )  # fmt: skip
    sure = np.log([[0.6, 0.4, 1e-9], [0.4, 0.6, 1e-9], [0.9, 0.1, 1e-9], [0.1, 0.9, 1e-9]]).astype(np.float32)
    assert rule.near(sure, 0.01).tolist() == [True, False, False, True]
