"""The recent test: whether a version answers what people labelled better than the approved one."""

import io

import pytest
from PIL import Image

from processing import evaluation
from processing.datasets import Photos
from processing.evaluate.__main__ import _baseline
from processing.evaluate.answers import Answers, Prediction
from processing.evaluate.artifact import Artifact
from processing.evaluate.champion import NETWORK, same_network
from processing.evaluate.recent import judge

CLASSES = ["bicycle", "motorcycle"]


def answers(*labels, confidence=0.9):
    """Answers of these classes, by index."""
    predictions: list[Prediction] = []
    for label in labels:
        shares = {CLASSES[label]: confidence, CLASSES[1 - label]: 1 - confidence}
        predictions.append({"label": CLASSES[label], "confidence": confidence, "probabilities": shares})
    return Answers(predictions, CLASSES, 0.8, None)


PHOTOS = Photos([b""] * 4, [0, 0, 1, 1], CLASSES)


def test_without_recent_photos_there_is_nothing_to_be_better_at():
    assert judge(Photos([], [], CLASSES), answers(), answers()) == {"count": 0, "better": True}
    assert judge(PHOTOS, answers(0, 1, 0, 0), None)["better"] is True


@pytest.mark.parametrize(
    ("mine", "theirs", "better"),
    [((0, 0, 1, 0), (0, 0, 0, 0), True), ((0, 0, 1, 0), (0, 0, 1, 0), False), ((1, 0, 1, 0), (0, 0, 1, 0), False)],
)
def test_a_version_is_better_when_it_answers_more_of_them_right(mine, theirs, better):
    found = judge(PHOTOS, answers(*mine), answers(*theirs))
    assert found["better"] is better
    assert found["interval"][0] <= found["accuracy"] <= found["interval"][1]
    assert found["champion"]["accuracy"] == sum(a == b for a, b in zip(theirs, PHOTOS.labels, strict=True)) / 4


def test_the_same_network_need_not_answer_more_of_them_right():
    """With another threshold only, it gives the same answers."""
    mine = answers(0, 0, 1, 0)
    assert judge(PHOTOS, mine, mine, same_network=True)["better"] is True
    assert judge(PHOTOS, mine, mine, same_network=False)["better"] is False


@pytest.mark.parametrize(
    ("file", "content", "same"),
    [("model.json", b"{}", True), ("network-0000.params", b"other", False), ("network-symbol.json", b"[]", False)],
)
def test_a_network_is_the_same_when_its_files_are(tmp_path, file, content, same):
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        for name in (*NETWORK, "model.json"):
            (folder / name).write_bytes(name.encode())
    (folders[1] / file).write_bytes(content)
    one, other = (Artifact(folder, {}, []) for folder in folders)  # type: ignore[typeddict-item]
    assert same_network(one, other) is same
    (folders[0] / file).unlink()
    assert file == "model.json" or not same_network(one, other)


def plain(brightness, count):
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (brightness,) * 3).save(out, "PNG")
    return Photos([out.getvalue()] * count, [0] * count, CLASSES)


@pytest.mark.parametrize(("recent", "expected"), [(0, 200), (evaluation.MIN_RECENT - 1, 200), (40, 20)])
def test_enough_recent_photos_are_what_the_stream_is_compared_with(recent, expected):
    """A version that was trained at night must not be told for ever that it is night."""
    found = _baseline(plain(200, 35), answers(*[0] * 35), plain(20, recent), answers(*[0] * recent))
    columns = {one["name"]: one["numerical_statistics"] for one in found["features"]}
    assert columns["brightness"]["mean"] == pytest.approx(expected / 255, abs=0.02)
    assert columns["confidence"]["common"]["num_present"] == (recent if expected == 20 else 35)
    assert all(one["common"]["num_missing"] >= 0 for one in columns.values())
