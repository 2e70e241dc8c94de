"""The network as it is served: fused, in 8 bits, and behind the guard that keeps every decision."""

import json
from pathlib import Path
from typing import Any

import decision
import fused
import inference
import int8
import mxnet as mx
import network
import numpy as np
import outliers
import preprocessing
import pytest
import quantization

from tests.training import channels

SIZE = (32, 32)
ABOUT: dict[str, Any] = {"mean": [90.0] * 3, "std": [60.0] * 3, "temperature": 1.5, "threshold": 0.7,
                          "in_distribution_threshold": 0.6}  # fmt: skip
RULE = decision.Rule.of(ABOUT)
MEAN, STD = np.array(ABOUT["mean"], np.float32), np.array(ABOUT["std"], np.float32)


def _photos(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    some = np.stack([channels.tinted(row, rng) for row in range(4)]).astype(np.float32)
    return outliers.draw(count, some, rng).clip(0, 255).astype(np.uint8)


def _data(photos: np.ndarray) -> np.ndarray:
    return preprocessing.normalise(photos, MEAN, STD)


def _export(folder: Path, photos: int) -> quantization.Outcome:
    return quantization.export(folder, quantization.quantize(folder, _photos(photos, 2), MEAN, STD), RULE)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights, with heads that tell photos apart and an answer spread about zero."""
    folder = tmp_path_factory.mktemp("model")
    net = network.build(2, (16, 32, 32), SIZE, seed=7, edge_widths=(32, 32))
    for name, parameter in net.collect_params().items():
        if "head_weight" in name:
            parameter.set_data(parameter.data() * 30)
    middle = np.median(net(mx.nd.array(_data(_photos(200, 1)))).asnumpy(), axis=0)
    net.members.pixels.head.bias.set_data(mx.nd.array(-middle * 2 / network.SCALE))
    net.export(str(folder / "network"), epoch=0)
    return folder


@pytest.fixture(scope="module")
def outcome(exported: Path) -> quantization.Outcome:
    return _export(exported, 300)


@pytest.fixture(scope="module")
def exact(exported: Path) -> fused.Fused:
    return fused.Fused.load(exported / inference.SYMBOL, exported / inference.PARAMETERS)


@pytest.fixture(scope="module")
def guarded(exported: Path, exact: fused.Fused, outcome: quantization.Outcome) -> int8.Network:
    assert outcome.kept
    return _guard(exported, exact)


def _guard(folder: Path, exact: fused.Fused) -> int8.Network:
    return int8.guard(folder, exact, _data(int8.probes(SIZE)), RULE)


def _same(some: np.ndarray, others: np.ndarray) -> None:
    temperature = ABOUT["temperature"]
    np.testing.assert_allclose(
        decision.answers(some, temperature), decision.answers(others, temperature), atol=1e-5, rtol=0
    )


def _decisions(logits: np.ndarray, rule: decision.Rule = RULE) -> list[tuple[int, bool, bool]]:
    answers = decision.answers(logits, rule.temperature)
    sure = answers[:, :-1].max(axis=1) >= rule.threshold
    inside = answers[:, -1] >= rule.in_distribution_threshold
    return list(zip(answers[:, :-1].argmax(axis=1).tolist(), sure.tolist(), inside.tolist(), strict=True))


@pytest.mark.parametrize("count", [1, 3, 8, 21])
def test_fused_layers_give_the_probabilities_of_the_exported_network(
    count: int, exported: Path, exact: fused.Fused
) -> None:
    symbol = mx.sym.load(str(exported / inference.SYMBOL))
    plain = mx.gluon.SymbolBlock(symbol, mx.sym.var("data", dtype="float32"))
    plain.load_parameters(str(exported / inference.PARAMETERS), ctx=mx.cpu())
    data = _data(_photos(count, 3))
    _same(exact(data), plain(mx.nd.array(data)).asnumpy())


def test_the_guard_keeps_every_decision_of_the_float_network(exact: fused.Fused, guarded: int8.Network) -> None:
    data = _data(_photos(1000, 4))
    decisions = _decisions(exact(data))
    assert len(set(decisions)) >= 6  # of eight: both classes, sure and not, one of them and not
    assert _decisions(guarded(data)) == decisions


def test_the_eight_bit_network_answers_all_but_the_photos_near_a_decision(
    exact: fused.Fused, guarded: int8.Network, outcome: quantization.Outcome
) -> None:
    data = _data(_photos(400, 6))
    served, true = guarded(data), exact(data)
    by_float = np.abs(served - true).max(axis=1) < 1e-5
    assert 0 < by_float.mean() < 0.6
    assert decision.spread(served, true).max() < outcome.margin


def test_an_answer_does_not_depend_on_the_rest_of_the_batch(guarded: int8.Network) -> None:
    data = _data(_photos(96, 7))
    alone = np.concatenate([guarded(one[None]) for one in data])
    for size in (2, 5, 8, 32):
        order = np.random.default_rng(size).permutation(len(data))
        together = np.concatenate([guarded(data[order[at : at + size]]) for at in range(0, len(data), size)])
        _same(together, alone[order])


def test_the_same_photos_give_the_same_bytes(exported: Path, outcome: quantization.Outcome) -> None:
    before = {name: (exported / name).read_bytes() for name in (int8.SYMBOL, int8.ABOUT)}
    assert _export(exported, 300) == outcome
    assert {name: (exported / name).read_bytes() for name in before} == before


def test_where_the_processor_differs_the_float_network_answers(
    exported: Path, exact: fused.Fused, outcome: quantization.Outcome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / int8.SYMBOL).write_bytes((exported / int8.SYMBOL).read_bytes())
    (tmp_path / int8.ABOUT).write_text(json.dumps({"margin": outcome.margin / 1000}))
    assert _guard(tmp_path, exact) is exact
    assert "it is not used" in caplog.text


def test_an_artifact_without_an_eight_bit_network_is_served_in_float(exact: fused.Fused, tmp_path: Path) -> None:
    assert _guard(tmp_path, exact) is exact


def test_it_is_not_kept_when_most_photos_are_near_a_decision(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization, "SAFETY", 100.0)
    for name in (inference.SYMBOL, inference.PARAMETERS):
        (tmp_path / name).write_bytes((exported / name).read_bytes())
    outcome = _export(tmp_path, 64)
    assert not outcome.kept
    assert not (tmp_path / int8.SYMBOL).exists()
    assert "kept=no" in outcome.line()


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_a_change_within_the_margin_alters_no_decision_that_is_not_near(classes: int) -> None:
    rng = np.random.default_rng(classes)
    logits = rng.normal(0, 1.5, (20_000, classes + 1)).astype(np.float32)
    margin, rule = 0.3, decision.Rule(0.8, 0.75, 0.7)
    change = rng.choice([-0.4999, 0.4999], logits.shape) * margin  # the worst within a spread of `margin`
    change += rng.normal(0, 5, (len(logits), 1))  # what is common to all logits changes nothing
    before, after = _decisions(logits, rule), _decisions(logits + change.astype(np.float32), rule)
    moved = np.array([one != other for one, other in zip(before, after, strict=True)])
    near = rule.near(logits, margin)
    assert moved.any()
    assert not (moved & ~near).any()
    assert near.mean() < 0.75
