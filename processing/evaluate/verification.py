"""Writes labelled photos and what was answered to them, with which a deployment is checked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from processing.datasets import Photos
from processing.evaluate.answers import Answers
from processing.photos import suffix

EACH = 20  # photos of each class, and no more than
MOST = 60  # in all: a deployment waits for them


def write(folder: Path, photos: Photos, answers: Answers) -> None:
    """The first test photos of each class as files, with labels.json, {file: class}, and answers.json.

    answers.json is what this model answered: {"accuracy": share right of these photos, "answers": {file: answer}}, each
    answer as the endpoint gives it. A deployment that answers otherwise serves another model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels, given = {}, {}
    each = max(1, min(EACH, MOST // len(photos.classes)))
    for at, name in enumerate(photos.classes):
        for number, row in enumerate(np.flatnonzero(np.array(photos.labels) == at)[:each], start=1):
            body = photos.bodies[row]
            file = f"{name}-{number:02d}{suffix(body)}"
            (folder / file).write_bytes(body)
            labels[file], given[file] = name, answers.predictions[row]
    accuracy = sum(given[file]["label"] == name for file, name in labels.items()) / len(labels)
    for name, content in (("labels", labels), ("answers", {"accuracy": accuracy, "answers": given})):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")
