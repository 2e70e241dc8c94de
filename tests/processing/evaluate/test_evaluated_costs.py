"""What a thousand test photos cost: against the definition photo by photo, and in every output of the evaluation."""

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np
import pytest

from processing.evaluate import artifact, costs
from processing.evaluate.answers import Answers, Prediction
from processing.evaluate.artifact import About
from tests.processing.evaluate import small_artifact
from tests.processing.evaluate.evaluations import run_evaluation, write_photos
from tests.processing.evaluate.small_artifact import CLASSES, encoded, tinted


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    model = small_artifact.write(tmp_path_factory.mktemp("artifact") / "model")
    return artifact.metrics(artifact.load(model, model))


DEAR = {"wrong_bay": {"ant": 2.0, "bee": 50.0}, "review": 1.0}
EQUAL = {"wrong_bay": {"ant": 10.0, "bee": 10.0}, "review": 2.0}


def answered(count: int = 60, **own: float) -> tuple[Answers, np.ndarray]:
    """Answers whose confidence is honest, and the labels; `own` are thresholds by class."""
    rng = np.random.default_rng(5)
    bee = rng.uniform(0, 1, count)
    rows = []
    for one in bee.tolist():
        label = "bee" if one > 0.5 else "ant"
        row = Prediction(label=label, confidence=max(one, 1 - one), probabilities={"ant": 1 - one, "bee": one})
        if label in own:
            row["threshold"] = own[label]
        row["in_distribution"] = 0.9 if rng.random() < 0.9 else 0.1
        rows.append(row)
    return Answers(rows, list(CLASSES), max(own.values(), default=0.8), 0.5), (rng.random(count) < bee).astype(int)


def about(**more: object) -> About:
    return cast(About, {**small_artifact.ABOUT, **more})


def cost_by_hand(answers: Answers, labels: np.ndarray, given: dict, thresholds: dict[str, float]) -> float:
    """What a thousand photos cost, added up photo by photo."""
    total = 0.0
    for one, label in zip(answers.predictions, labels, strict=True):
        if one["in_distribution"] < 0.5 or one["confidence"] < thresholds[one["label"]]:
            total += given["review"]
        elif one["label"] != CLASSES[label]:
            total += given["wrong_bay"][one["label"]]
    return 1000 * total / len(labels)


def test_the_curve_of_equal_costs_is_the_cost_photo_by_photo(metrics: ModuleType) -> None:
    answers, labels = answered()
    found = costs.measure(about(costs=EQUAL), metrics, answers, labels, None)
    (curve,) = found["curves"]
    for threshold, cost in zip(curve["points"]["threshold"], curve["points"]["cost"], strict=True):
        assert cost == pytest.approx(cost_by_hand(answers, labels, EQUAL, dict.fromkeys(CLASSES, threshold)))
    assert found["of_a_thousand"] == pytest.approx(cost_by_hand(answers, labels, EQUAL, answers.thresholds))
    assert curve["cost"] == pytest.approx(found["of_a_thousand"])
    assert curve["best"]["cost"] == min(curve["points"]["cost"])
    assert curve["points"]["cost"][-1] == pytest.approx(2000)  # nothing accepted: a look at each
    assert not found["assumed"]


def test_unequal_costs_have_a_curve_for_each_class_that_add_up(metrics: ModuleType) -> None:
    answers, labels = answered(ant=0.6, bee=0.9)
    found = costs.measure(about(costs=DEAR), metrics, answers, labels, None)
    assert [(curve["answers"], curve["threshold"]) for curve in found["curves"]] == [("ant", 0.6), ("bee", 0.9)]
    assert sum(curve["cost"] for curve in found["curves"]) == pytest.approx(found["of_a_thousand"])
    best = {curve["answers"]: curve["best"]["threshold"] for curve in found["curves"]}
    by_hand = cost_by_hand(answers, labels, DEAR, best)
    assert sum(curve["best"]["cost"] for curve in found["curves"]) == pytest.approx(by_hand)


def test_without_costs_those_assumed_are_named(metrics: ModuleType) -> None:
    answers, labels = answered()
    found = costs.measure(about(), metrics, answers, labels, None)
    assert (found["assumed"], found["wrong_bay"], found["review"]) == (True, {"ant": 10.0, "bee": 10.0}, 1.0)


def test_the_approved_version_costs_what_its_own_rule_makes_of_it(metrics: ModuleType) -> None:
    answers, labels = answered()
    rival, _ = answered(ant=0.99, bee=0.7)
    found = costs.measure(about(costs=EQUAL), metrics, answers, labels, rival)["champion"]
    assert found["thresholds"] == {"ant": 0.99, "bee": 0.7}
    assert found["of_a_thousand"] == pytest.approx(cost_by_hand(rival, labels, EQUAL, found["thresholds"]))


def test_a_long_curve_is_thinned_out_and_keeps_the_cheapest(metrics: ModuleType) -> None:
    answers, labels = answered(3000)
    (curve,) = costs.measure(about(costs=EQUAL), metrics, answers, labels, None)["curves"]
    assert len(curve["points"]["cost"]) <= 202
    assert curve["best"]["threshold"] in curve["points"]["threshold"]


def test_an_artifact_of_a_time_before_costs_has_none() -> None:
    assert costs.measure(about(), ModuleType("old"), *answered(), None) == {}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(1)
    labels = [0, 1] * 10
    return write_photos(tmp_path_factory.mktemp("test"), [encoded(tinted(label, rng)) for label in labels], labels)


@pytest.mark.usefixtures("few_drawn")
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ("none", "none", "none")),
        ({"costs": EQUAL}, ("none", "ant=10 bee=10 review=2", "0.0")),
        ({"costs": DEAR, "class_thresholds": {"ant": 0.6, "bee": 1.01}, "threshold": 1.01},
         ("ant=0.6000 bee=1.0100", "ant=2 bee=50 review=1", "500.0")),
    ],
)  # fmt: skip
def test_evaluation_carries_costs_in_figures_words_and_picture(
    given: dict, words: tuple[str, str, str], photos: Path, tmp_path: Path
) -> None:
    model = small_artifact.write(tmp_path / "model", **given)
    assert run_evaluation(model, photos, tmp_path / "out") == 0
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    names = ("class_thresholds", "costs", "cost_of_a_thousand")
    assert tuple(found["metadata"][name] for name in names) == words
    assert found["thresholds"] == given.get("class_thresholds", {"ant": 0.8, "bee": 0.8})
    assert found["gate"]["coverage"] == (0.5 if "class_thresholds" in given else 1.0)
    assert (tmp_path / "out" / "evaluation.png").stat().st_size > 10_000


@pytest.mark.usefixtures("few_drawn")
def test_an_artifact_before_costs_is_evaluated_all_the_same(photos: Path, tmp_path: Path) -> None:
    model = small_artifact.write(tmp_path / "model")
    old = (model / "code" / "metrics.py").read_text().replace("def cost_curve", "def _curve")
    (model / "code" / "metrics.py").write_text(old)
    assert run_evaluation(model, photos, tmp_path / "out") == 0
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["costs"] == {}
    shutil.rmtree(model)
