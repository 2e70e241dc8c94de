"""Weights to start from: made the same each time, kept in half precision, refused where they do not fit."""

from pathlib import Path

import backbone
import heads
import mxnet as mx
import network
import numpy as np
import pretrain
import pretrained
import pytest
import records
import train

from tests.training import channels

FLAGS = ["--epochs", "1", "--batch-size", "8"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two sets of weights and logs, made with the same data and seed."""
    folder = tmp_path_factory.mktemp("pretrained")
    channel = channels.write(folder / "channel", 90, ("ant", "bee", "cat"))
    patch = pytest.MonkeyPatch()
    patch.setattr(heads, "EXAMPLES", 12)
    for name in ("one", "two"):
        places = ["--train", str(channel), "--output", str(folder / f"{name}.params")]
        assert pretrain.main([*FLAGS, *places, "--log", str(folder / f"{name}.log")]) == 0
    patch.undo()
    return folder


def _weights(seed: int) -> dict[str, mx.nd.NDArray]:
    net = network.build(2, (32, 48, 64), (32, 32), seed=seed)
    return {name: parameter.data() for name, parameter in net.collect_params().items()}


def test_the_same_photos_give_the_same_bytes(made: Path) -> None:
    assert (made / "one.params").read_bytes() == (made / "two.params").read_bytes()


def test_the_log_says_what_was_learned_from_and_how_well(made: Path) -> None:
    first, epoch, examples, last = (made / "one.log").read_text().splitlines()
    assert first.startswith("classes=ant,bee,cat count=90 sha256=")
    assert "train_loss=" in epoch
    assert "validation_accuracy=" in epoch
    assert examples == "examples=12 classes=3"
    assert last.startswith("output=one.params sha256=")


def test_several_channels_of_the_same_classes_are_learned_from(tmp_path: Path) -> None:
    one, two = (channels.write(tmp_path / name, count, ("ant", "bee")) for name, count in (("one", 40), ("two", 6)))
    classes, pixels, lines = pretrain.load([one, two], (32, 32), tmp_path / "scratch")
    assert classes == ["ant", "bee"]
    assert len(pixels) == 46
    assert ["count=40" in lines[0], "count=6" in lines[1]] == [True, True]


def test_channels_of_different_classes_are_refused(tmp_path: Path) -> None:
    one, two = (channels.write(tmp_path / name, 4, (name, "bee")) for name in ("ant", "cat"))
    with pytest.raises(records.DataError, match=r"cat holds the classes cat,bee, but .*ant ant,bee"):
        pretrain.load([one, two], (32, 32), tmp_path / "scratch")


def test_in_a_training_job_the_places_are_sagemakers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SM_CHANNEL_TRAIN", "/channel")
    monkeypatch.setenv("SM_MODEL_DIR", "/model")
    flags = train.parse(pretrain.parser(), ["--epochs", "3", "--sagemaker_program", "pretrain.py"])
    assert flags.train == [Path("/channel")]
    assert flags.output == Path("/model/pretrained.params")


def test_all_but_heads_and_fixed_layers_are_taken_over(made: Path) -> None:
    before, after = _weights(3), _weights(3)
    pretrained.load(after, made / "one.params")
    changed = {name for name in after if not np.array_equal(before[name].asnumpy(), after[name].asnumpy())}
    kept = {name for name in after if "head_" in name or "orientations" in name}
    assert changed
    assert not changed & kept
    stored = mx.nd.load(str(made / "one.params"))
    taken = set(after) - kept
    assert taken < set(stored)
    assert {stored[name].dtype for name in taken} == {np.float16}


def test_examples_are_kept_in_8_bits_by_class(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    features = {name: (rng.normal(0, 2, (5, 4)) * [1, 10, 0, 100]).astype(np.float32) for name in ("wasp", "head_ant")}
    pretrained.save(_weights(3), features, tmp_path / "kept.params")
    found = pretrained.examples(tmp_path / "kept.params")
    assert list(found) == ["head_ant", "wasp"]
    largest = np.abs(np.concatenate(list(features.values()))).max(axis=0)
    for name, rows in features.items():
        assert (np.abs(found[name] - rows) <= largest / 250).all()
    pretrained.load(_weights(1), tmp_path / "kept.params")


def test_a_file_without_examples_has_none(tmp_path: Path) -> None:
    pretrained.save(_weights(3), {}, tmp_path / "kept.params")
    assert pretrained.examples(tmp_path / "kept.params") == {}


def test_weights_of_another_shape_are_refused_with_the_remedy(made: Path) -> None:
    net = network.build(2, (16, 48, 64), (32, 32), seed=1)
    weights = {name: parameter.data() for name, parameter in net.collect_params().items()}
    with pytest.raises(pretrained.PretrainedError, match=r"one.params was made for another network: .*--pretrained no"):
        pretrained.load(weights, made / "one.params")


def test_the_file_that_ships_fits_the_network_and_is_small() -> None:
    pretrained.load(_weights(1))
    assert pretrained.FILE.stat().st_size <= 900_000


def test_the_file_that_ships_holds_examples_of_seven_classes() -> None:
    found = pretrained.examples()
    assert set(found) == {"airplane", "bird", "cat", "dog", "frog", "ship", "truck"}
    assert {rows.shape for rows in found.values()} == {(40, backbone.FEATURES)}


def test_photos_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pretrain.main(["--train", str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "dataset.json is missing" in capsys.readouterr().err
