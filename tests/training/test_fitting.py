"""One network in training: schedule, averages, and the loss that goes wrong. Records that are read one at a time."""

import dataclasses
import tracemalloc
from pathlib import Path

import decision
import fitting
import focus
import mxnet as mx
import numpy as np
import phases
import pytest
import records
import upright
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from tests.training import channels


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> fitting.Channel:
    folder = tmp_path_factory.mktemp("pixels")
    records.decode(channels.write(folder / "channel", 32) / records.RECORDS, (32, 32), folder)
    pixels = records.mapped(folder, (32, 32))
    return fitting.Channel(pixels, *phases.colour_statistics(pixels.images), 2, pixels.images[:0])


def _phase(seed: int = 3) -> fitting.Phase:
    return fitting.Phase("final", np.arange(32), np.arange(0), seed)


def test_a_loss_that_is_not_finite_ends_training_with_a_sentence(channel: fitting.Channel) -> None:
    recipe = fitting.Recipe(epochs=2, batch_size=8, learning_rate=1e30)
    with pytest.raises(fitting.TrainingError, match=r"the loss of final became (nan|inf) in epoch \d at learning rate"):
        fitting.fit(_phase(), channel, recipe, lambda line, epoch: None)


def test_it_learns_what_is_easy(channel: fitting.Channel) -> None:
    lines: list[tuple[str, int]] = []
    recipe = fitting.Recipe(epochs=8, batch_size=8)
    fit = fitting.fit(_phase(), channel, recipe, lambda line, epoch: lines.append((line, epoch)))
    logits = fitting.predict(fit.net, channel, np.arange(32))
    assert logits.shape == (32, 3)
    assert (logits[:, :2].argmax(axis=1) == channel.pixels.labels).all()
    assert [epoch for _, epoch in lines] == list(range(1, 9))


def test_it_learns_what_is_none_of_the_classes(channel: fitting.Channel) -> None:
    grey = np.repeat(np.random.default_rng(1).integers(0, 256, (40, 32, 32, 1)), 3, axis=3).astype(np.uint8)
    fit = fitting.fit(
        _phase(),
        dataclasses.replace(channel, outliers=grey[:20]),
        fitting.Recipe(epochs=12, batch_size=8, outlier_share=0.5),
        lambda line, epoch: None,
    )
    unseen = dataclasses.replace(channel, pixels=records.Pixels(grey[20:], np.zeros(20, np.int64)))
    inside = decision.log_odds(fitting.predict(fit.net, channel, np.arange(32)))
    outside = decision.log_odds(fitting.predict(fit.net, unseen, np.arange(20)))
    assert inside.min() > outside.max()


def test_a_prediction_does_not_depend_on_its_neighbours(channel: fitting.Channel) -> None:
    fit = fitting.Fit(_phase(), channel, fitting.Recipe(epochs=1, batch_size=8))
    together = fitting.predict(fit.net, channel, np.arange(32))
    alone = np.concatenate([fitting.predict(fit.net, channel, np.array([row])) for row in range(32)])
    assert np.allclose(together, alone, atol=1e-5)


@settings(max_examples=100)
@given(st.integers(1, 2000), st.floats(0.01, 1), st.floats(0, 0.9))
def test_the_learning_rate_rises_to_its_peak_and_falls_towards_nought(total: int, peak: float, warm_up: float) -> None:
    recipe = fitting.Recipe(learning_rate=peak, warm_up=warm_up)
    rates = [recipe.rate_at(step, total) for step in range(total)]
    top = int(np.argmax(rates))
    assert 0 <= min(rates) <= max(rates) <= peak
    assert all(np.diff(rates[: top + 1]) >= 0)
    assert all(np.diff(rates[top:]) <= 1e-12)


def test_a_batch_holds_each_row_of_an_epoch_once_and_outliers_on_top(channel: fitting.Channel) -> None:
    recipe = fitting.Recipe(epochs=1, batch_size=16, outlier_share=0.25)
    batches = list(fitting.Fit(_phase(), channel, recipe).batches(0))
    assert [data.shape for data, _ in batches] == [(20, 3, 32, 32)] * 2
    targets = np.concatenate([targets.asnumpy() for _, targets in batches])
    assert targets.sum(axis=0).tolist() == [16, 16, 8]
    assert targets.max(axis=1).tolist() == [1] * 40


def test_photos_of_a_turned_camera_are_turned_back_before_training(tmp_path: Path) -> None:
    photo = channels.tinted(0, np.random.default_rng(0)) + np.uint8(30)
    askew = np.asarray(Image.fromarray(photo).rotate(40, resample=Image.Resampling.BICUBIC))
    channel = channels.write_bodies(tmp_path / "channel", [channels.encoded(askew)], [0], ("ant", "bee"))
    records.decode(channel / records.RECORDS, (32, 32), tmp_path, {"turned": 40})
    assert np.array_equal(records.mapped(tmp_path, (32, 32)).images, upright.back(askew[None], 40))


def test_photos_out_of_focus_are_sharpened_before_training(tmp_path: Path) -> None:
    photo = channels.tinted(0, np.random.default_rng(0))
    blurred = np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(1.65)))
    channel = channels.write_bodies(tmp_path / "channel", [channels.encoded(blurred)], [0], ("ant", "bee"))
    records.decode(channel / records.RECORDS, (32, 32), tmp_path, {"blurred": 1.65})
    images = records.mapped(tmp_path, (32, 32)).images
    assert np.array_equal(images, focus.sharpened(blurred[None], 1.65))
    assert not np.array_equal(images[0], blurred)


def test_records_are_not_held_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (120, 120, 3)).astype(np.uint8) for _ in range(8)]
    bodies = [channels.encoded(photo) for photo in photos] * 25
    channel = channels.write_bodies(tmp_path / "channel", bodies, [0, 1] * 100, ("ant", "bee"))
    size = sum(map(len, bodies))
    tracemalloc.start()
    records.decode(channel / records.RECORDS, (32, 32), tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 8_000_000
    assert peak < 1_000_000
    pixels = records.mapped(tmp_path, (32, 32))
    assert isinstance(pixels.images, np.memmap)
    assert pixels.images.shape == (200, 32, 32, 3)


def test_a_damaged_record_file_is_named(tmp_path: Path) -> None:
    channel = channels.write(tmp_path / "channel", 8)
    whole = (channel / "images.rec").read_bytes()
    (channel / "images.rec").write_bytes(whole[: len(whole) // 2] + b"\0" * 64)
    with pytest.raises(records.DataError, match=r"images\.rec is damaged after record \d"):
        records.decode(channel / records.RECORDS, (32, 32), tmp_path)


def test_the_folds_hold_every_row_out_once_and_never_train_on_it() -> None:
    labels = np.array([0, 1] * 20 + [1] * 10)
    planned = phases.plan(labels, 5, seed=1)
    held_out = np.concatenate([phase.held_out for phase in planned])
    assert sorted(held_out) == list(range(50))
    assert all(not set(phase.rows) & set(phase.held_out) for phase in planned)
    assert planned[-1].name == phases.FINAL
    assert len(planned[-1].rows) == 50


@pytest.mark.parametrize(("labelled", "times"), [(5, 4), (15, 1), (10, 2), (40, 1), (50, 1)])
def test_labelled_photos_come_more_often_and_are_held_out_once(labelled: int, times: int) -> None:
    planned = phases.plan(np.array([0, 1] * 25), 5, seed=1, labelled=labelled)
    rows = planned[-1].rows
    assert [int((rows == row).sum()) for row in range(50)] == [1] * (50 - labelled) + [times] * labelled
    assert sorted(np.concatenate([phase.held_out for phase in planned])) == list(range(50))
    assert all(not set(phase.rows) & set(phase.held_out) for phase in planned)


def test_the_exported_network_is_the_trained_one(channel: fitting.Channel, tmp_path: Path) -> None:
    fit = fitting.fit(_phase(), channel, fitting.Recipe(epochs=1, batch_size=8), lambda line, epoch: None)
    fit.net.export(str(tmp_path / "network"), epoch=0)
    loaded = mx.gluon.SymbolBlock(
        mx.sym.load(str(tmp_path / "network-symbol.json")), mx.sym.var("data", dtype="float32")
    )
    loaded.load_parameters(str(tmp_path / "network-0000.params"))
    data = mx.nd.random.uniform(shape=(2, 3, 32, 32))
    assert np.allclose(loaded(data).asnumpy(), fit.net(data).asnumpy(), atol=1e-6)
