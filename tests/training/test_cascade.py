"""Small network first, large one where it is not sure: who is asked, what is combined, and that photos stay apart."""

from typing import Any

import cascade
import decision
import int8
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

TEMPERATURE = 1.4


def _rule(below: float, **changed: Any) -> decision.Rule:
    factors = {"small": 0.7, "large": 1.3, **changed}
    return decision.Rule(TEMPERATURE, 0.8, 0.7, (), decision.SecondOpinion(below, **factors))


def _small(data: np.ndarray) -> np.ndarray:
    """Logits that lie in the photo itself: three numbers of each row."""
    return data.reshape(len(data), -1)[:, :3].astype(np.float32)


def _large(images: np.ndarray) -> np.ndarray:
    """Outputs by the photo's mean: the greater, the surer of class 1, and of a class at all."""
    mean = images.reshape(len(images), -1).mean(axis=1)[:, None] / 64 - 2
    return np.concatenate([-mean, mean, mean + 1], axis=1).astype(np.float32)


def _photos(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    images = (rng.integers(0, 128, (count, 4, 4, 3)) + rng.integers(0, 128, (count, 1, 1, 1))).astype(np.uint8)
    return images, rng.normal(0, 3, (count, 3, 4, 4)).astype(np.float32)


def _cascade(rule: decision.Rule, network: int8.Network = _small) -> cascade.Cascade:
    return cascade.Cascade(network, _small, rule, _large)


def test_sure_photos_get_the_small_networks_answer_exactly() -> None:
    images, data = _photos(500)
    rule = _rule(0.9)
    logits, asked = _cascade(rule)(images, data)
    answers = decision.answers(_small(data), TEMPERATURE)
    sure = (answers[:, :-1].max(axis=1) >= 0.9) & (answers[:, -1] >= 0.9)
    assert 0.1 < sure.mean() < 0.9
    assert (asked == ~sure).all()
    assert (logits[sure] == _small(data)[sure]).all()


def test_only_photos_that_matter_are_asked_about() -> None:
    images, data = _photos(100)
    logits, asked = _cascade(_rule(1.0))(images, data, lambda small: small[:, 0] > 0)
    assert (asked == (_small(data)[:, 0] > 0)).all()
    assert (logits[~asked] == _small(data)[~asked]).all()


def test_at_one_both_are_asked_about_every_photo() -> None:
    images, data = _photos(200)
    data[0, 0, 0, 0] = 300  # a confidence of 1 in single precision
    rule = _rule(1.0)
    logits, asked = _cascade(rule)(images, data)
    assert asked.all()
    assert rule.second is not None
    assert (logits == rule.second.combine(_small(data), _large(images))).all()


def test_the_combined_answer_weighs_classes_and_in_distribution_apart() -> None:
    second = decision.SecondOpinion(0.9, 2.0, 0.5)
    logits, outputs = np.array([[1.0, 3.0, 0.5]], np.float32), np.array([[4.0, 0.0, 1.5]], np.float32)
    combined = second.combine(logits, outputs)
    assert combined[0, :2] == pytest.approx([2 * 1 + 0.5 * 4, 2 * 3])
    odds_against = np.exp(0.5 - np.logaddexp(1, 3)) + np.exp(-1.5)
    assert decision.log_odds(combined)[0] == pytest.approx(-np.log(odds_against), abs=1e-5)


def test_one_network_is_enough_to_take_a_photo_for_none_of_them() -> None:
    second = decision.SecondOpinion(0.9, 1.0, 1.0)
    for small, large in ((-8.0, 8.0), (8.0, -8.0)):
        logits, outputs = np.array([[0.0, 0.0, -small]], np.float32), np.array([[0.0, 0.0, large]], np.float32)
        assert decision.answers(second.combine(logits, outputs), 1.0)[0, -1] < 0.001


@given(st.integers(1, 24), st.integers(0, 1000), st.sampled_from([0.3, 0.9, 0.99, 1.0]))
def test_an_answer_does_not_depend_on_the_batch(count: int, seed: int, below: float) -> None:
    images, data = _photos(count, seed)
    both = _cascade(_rule(below))
    together, asked = both(images, data)
    alone = [both(images[row : row + 1], data[row : row + 1]) for row in range(count)]
    assert (together == np.concatenate([logits for logits, _ in alone])).all()
    assert (asked == np.concatenate([one for _, one in alone])).all()


def _decisions(logits: np.ndarray, asked: np.ndarray, rule: decision.Rule) -> list[tuple[bool, int, bool, bool]]:
    answers = decision.answers(logits, rule.temperature)
    sure = answers[:, :-1].max(axis=1) >= rule.threshold
    inside = answers[:, -1] >= rule.in_distribution_threshold
    return list(zip(asked.tolist(), answers[:, :-1].argmax(axis=1).tolist(), sure.tolist(), inside.tolist(),
                    strict=True))  # fmt: skip


@pytest.mark.parametrize("changed", [{}, {"small": 1.6}])
@pytest.mark.parametrize("below", [0.6, 0.95, 1.0])
def test_eight_bits_change_no_decision(below: float, changed: dict[str, float]) -> None:
    images, data = _photos(4000, 3)
    margin, rule = 0.3, _rule(below, **changed)
    rng = np.random.default_rng(4)

    def rounded(data: np.ndarray) -> np.ndarray:
        logits = _small(data)
        return logits + (rng.choice([-0.4999, 0.4999], logits.shape) * margin).astype(np.float32)

    guarded = int8.Guarded(rounded, _small, margin, rule)
    exact = _decisions(*_cascade(rule)(images, data), rule)
    assert _decisions(*_cascade(rule, guarded)(images, data), rule) == exact
    assert len(set(exact)) >= 6
    careless, asked = _cascade(rule, rounded)(images, data)
    assert _decisions(careless, asked, rule) != exact  # without the guard some would change


def test_a_second_network_without_a_rule_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="says nothing of when it is asked"):
        _cascade(decision.Rule(1.0, 0.8, 0.7))


def test_an_artifact_of_one_network_has_no_second_opinion() -> None:
    assert decision.SecondOpinion.of({"second_opinion": {}}) is None
    assert decision.SecondOpinion.of({}) is None
