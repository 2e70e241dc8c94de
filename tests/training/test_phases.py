"""The networks of a job side by side: which of them is trained in two parts, and that this changes nothing."""

import dataclasses
from pathlib import Path

import fitting
import numpy as np
import phases
import pytest
import records

from tests.training import channels


@pytest.mark.parametrize(
    ("folds", "workers", "before"),
    [(3, 2, 3), (3, 3, 8), (3, 4, 0), (5, 2, 0), (2, 2, 0)],
)
def test_the_last_fold_is_cut_where_processes_would_wait(folds: int, workers: int, before: int) -> None:
    works = [1000.0] + [1000 * (folds - 1) / folds] * folds
    assert phases.cut(works, 20, 150, workers) == before


def test_a_fold_in_two_parts_comes_out_the_same_to_the_bit(tmp_path: Path) -> None:
    size = (32, 32)
    records.decode(channels.write(tmp_path / "channel", 24) / records.RECORDS, size, tmp_path)
    photos = records.mapped(tmp_path, size)
    for name in (phases.CROPS, phases.SAVED):
        records.keep(photos.images, tmp_path / name)
    recipe = fitting.Recipe(epochs=3, batch_size=8)
    job = phases.Job(tmp_path, size, *phases.colour_statistics(photos.images), 2, recipe, tmp_path)
    fold = phases.plan(photos.labels, 2, 1)[0]
    whole = phases.run_one(fold, job)
    parted = dataclasses.replace(job, checkpoints=fitting.Checkpoints(tmp_path, "", recipe.epochs))
    phases.begin(fold, parted, 1)
    again = phases.run_one(fold, parted)
    assert np.array_equal(again.logits, whole.logits)
    assert np.array_equal(again.saved, whole.saved)
    assert again.history == whole.history
