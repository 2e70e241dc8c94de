"""The recent test: whether a version answers what people labelled better than the approved one."""

import pytest

from processing.datasets import Photos
from processing.evaluate.answers import Answers, Prediction
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
