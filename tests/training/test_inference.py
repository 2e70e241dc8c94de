"""The handler: requests it reads, answers it gives, and what it refuses, in words."""

import base64
import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import artifact
import decision
import focus
import inference
import network
import numpy as np
import pytest
import upright
from PIL import Image, ImageFilter

from tests.formats import check
from tests.training import channels

CLASSES = ["ant", "bee", "cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked artifact with an untrained network."""
    folder = tmp_path_factory.mktemp("model")
    network.build(3, (16, 32, 64), (32, 32), seed=2).export(str(folder / "network"), epoch=0)
    about = {
        "classes": CLASSES, "image_size": [32, 32], "mean": [120.0] * 3, "std": [60.0] * 3, "temperature": 2.0,
        "threshold": 0.8, "in_distribution_threshold": 0.3, "data_label": "photos",
    }  # fmt: skip
    artifact.write(folder, about, [])
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> inference.Model:
    return inference.model_fn(str(folder))


def _photo(seed: int = 0) -> bytes:
    return channels.encoded(channels.tinted(seed, np.random.default_rng(seed)))


def _json(*photos: bytes) -> bytes:
    return json.dumps({"instances": [{"image": base64.b64encode(photo).decode()} for photo in photos]}).encode()


def test_a_photo_and_the_same_photo_in_json_give_the_same_answer(model: inference.Model) -> None:
    alone = inference.predict_fn(inference.input_fn(_photo(), "image/png"), model)
    images = inference.input_fn(_json(_photo(), _photo(1)), "application/json; charset=utf-8")
    assert images.shape == (2, 32, 32, 3)
    assert images.dtype == np.uint8
    assert np.allclose(alone[0], inference.predict_fn(images, model)[0], atol=1e-6)


def test_photos_of_a_turned_camera_are_asked_about_as_turned_back(model: inference.Model) -> None:
    photo = channels.tinted(0, np.random.default_rng(0)) + np.uint8(30)
    askew = np.asarray(Image.fromarray(photo).rotate(40, resample=Image.Resampling.BICUBIC))[None]
    knows = replace(model, about={**model.about, "turned": 40})
    answers = inference.predict_fn(askew, knows)
    assert np.array_equal(answers, inference.predict_fn(upright.back(askew, 40), model))
    assert not np.allclose(answers, inference.predict_fn(askew, model), atol=1e-4)


def test_photos_out_of_focus_are_asked_about_as_sharpened(model: inference.Model) -> None:
    photo = channels.tinted(0, np.random.default_rng(0))
    blurred = np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(1.65)))[None]
    knows = replace(model, about={**model.about, "blurred": 1.65})
    answers = inference.predict_fn(blurred, knows)
    assert np.array_equal(answers, inference.predict_fn(focus.sharpened(blurred, 1.65), model))
    assert not np.allclose(answers, inference.predict_fn(blurred, model), atol=1e-4)


def test_the_json_answer_has_class_and_both_thresholds(model: inference.Model) -> None:
    answers = np.array([[0.1, 0.7, 0.2, 0.9, 0]], np.float32)
    body, kind = inference.output_fn(answers, "*/*", model)
    answer = json.loads(body)
    check("answer", answer)
    assert kind == "application/json"
    assert answer["predictions"][0]["label"] == "bee"
    assert answer["predictions"][0]["confidence"] == pytest.approx(0.7)
    assert list(answer["predictions"][0]["probabilities"]) == CLASSES
    assert answer["predictions"][0]["in_distribution"] == pytest.approx(0.9)
    assert answer["predictions"][0]["several_classes"] is False
    assert (answer["threshold"], answer["in_distribution_threshold"]) == (0.8, 0.3)
    assert answer["model"] == {"data_label": "photos"}


def test_the_csv_answer_has_a_line_for_each_photo(model: inference.Model) -> None:
    body, kind = inference.output_fn(
        np.array([[0.1, 0.7, 0.2, 0.9, 0], [0.9, 0.05, 0.05, 0.4, 0]], np.float32), "text/csv", model
    )
    rows = list(csv.reader(io.StringIO(body.decode())))
    assert kind == "text/csv"
    assert [row[0] for row in rows] == ["bee", "ant"]
    assert [float(value) for value in rows[0][1:]] == pytest.approx([0.7, 0.1, 0.7, 0.2, 0.9])


def test_a_higher_temperature_is_less_sure_and_answers_the_same() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 3)).astype(np.float32)
    cold, warm = decision.softmax(logits, 1.0), decision.softmax(logits, 3.0)
    assert (cold.argmax(axis=1) == warm.argmax(axis=1)).all()
    assert (cold.max(axis=1) > warm.max(axis=1)).all()


def test_huge_logits_do_not_overflow() -> None:
    assert np.isfinite(decision.softmax(np.array([[1e30, -1e30]], np.float32), 0.05)).all()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"), (b"\xff", "not JSON"), (b"[]", "at least one instance"),
        (b'{"instances": []}', "at least one"), (b'{"instances": [3]}', 'instance 0 has no "image"'),
        (b'{"instances": [{"image": 3}]}', 'instance 0 has no "image"'),
        (b'{"instances": [{"image": "###"}]}', "instance 0 is not base64"),
        (_json(_photo(), b"no photo"), "instance 1: the image is neither PNG nor JPEG"),
        (_json(*[b""] * 257), "257 instances"), (b" " * 7_000_000, "at most"), (b"[" * 200_000, "not JSON"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_read_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        inference.input_fn(body, "application/json")
    assert not isinstance(refused.value, inference.UnsupportedContentType)


def test_foreign_types_are_told_apart_from_bad_photos(model: inference.Model) -> None:
    with pytest.raises(inference.UnsupportedContentType, match="text/html"):
        inference.input_fn(b"<html>", "text/html")
    with pytest.raises(inference.UnsupportedContentType, match="image/png"):
        inference.output_fn(np.eye(4, dtype=np.float32), "image/png", model)


@pytest.mark.parametrize("name", [inference.MODEL, inference.SYMBOL, inference.PARAMETERS])
def test_an_artifact_that_is_not_whole_does_not_load(name: str, folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        if path.is_file() and path.name != name:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(FileNotFoundError, match=name):
        inference.model_fn(str(tmp_path))


def test_only_what_serving_and_evaluation_need_is_shipped(folder: Path) -> None:
    assert {path.name for path in (folder / "code").iterdir()} == set(artifact.SHIPPED)
    assert "train.py" not in artifact.SHIPPED
