"""Weights to start from: made the same each time, kept in half precision, refused where they do not fit."""

from pathlib import Path

import mxnet as mx
import network
import numpy as np
import pretrain
import pretrained
import pytest

from tests.training import channels

FLAGS = ["--epochs", "1", "--batch-size", "8"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained")
    channel = channels.write(folder / "channel", 60, ("ant", "bee", "cat"))
    for name in ("one", "two"):
        places = ["--train", str(channel), "--output", str(folder / f"{name}.params")]
        assert pretrain.main([*FLAGS, *places, "--log", str(folder / f"{name}.log")]) == 0
    return folder


def _weights(seed: int) -> dict[str, mx.nd.NDArray]:
    net = network.build(2, (32, 48, 64), (32, 32), seed=seed)
    return {name: parameter.data() for name, parameter in net.collect_params().items()}


def test_the_same_photos_give_the_same_bytes(made: Path) -> None:
    assert (made / "one.params").read_bytes() == (made / "two.params").read_bytes()


def test_the_log_says_what_was_learned_from_and_how_well(made: Path) -> None:
    first, epoch, last = (made / "one.log").read_text().splitlines()
    assert first.startswith("classes=ant,bee,cat count=60 sha256=")
    assert "train_loss=" in epoch
    assert "validation_accuracy=" in epoch
    assert last.startswith("output=one.params sha256=")


def test_all_but_heads_and_fixed_layers_are_taken_over(made: Path) -> None:
    before, after = _weights(3), _weights(3)
    pretrained.load(after, made / "one.params")
    changed = {name for name in after if not np.array_equal(before[name].asnumpy(), after[name].asnumpy())}
    kept = {name for name in after if "head_" in name or "orientations" in name}
    assert changed
    assert not changed & kept
    stored = mx.nd.load(str(made / "one.params"))
    assert set(stored) == set(after) - kept
    assert {array.dtype for array in stored.values()} == {np.float16}


def test_weights_of_another_shape_are_refused_with_the_remedy(made: Path) -> None:
    net = network.build(2, (16, 48, 64), (32, 32), seed=1)
    weights = {name: parameter.data() for name, parameter in net.collect_params().items()}
    with pytest.raises(pretrained.PretrainedError, match=r"one.params was made for another network: .*--pretrained no"):
        pretrained.load(weights, made / "one.params")


def test_the_file_that_ships_fits_the_network_and_is_small() -> None:
    pretrained.load(_weights(1))
    assert pretrained.FILE.stat().st_size <= 900_000


def test_photos_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pretrain.main(["--train", str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "dataset.json is missing" in capsys.readouterr().err
