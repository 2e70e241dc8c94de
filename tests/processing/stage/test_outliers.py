"""Classes that were not asked for: never on both sides, bounded, and the same each time."""

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from processing import datasets
from processing.stage import __main__ as stage
from processing.stage import outliers
from tests.processing.stage.stage_archives import split, write_archive

NAMES = st.lists(st.text("abcdefgh", min_size=1), unique=True, max_size=30)


def run(folder, source, *more):
    outputs = {name: folder / name for name in ("train", "test", "photos")}
    arguments = [item for name, path in outputs.items() for item in (f"--{name}", str(path))]
    assert stage.main(["--input", str(source), *arguments, "--message", str(folder / "message"), *more]) == 0
    return outputs


@settings(max_examples=200)
@given(NAMES, st.integers(0, 2), st.randoms())
def test_every_class_is_on_one_side_in_any_order_of_names(names, rotation, random):
    train, test = outliers.divide(names, rotation)
    assert sorted(train + test) == sorted(names)
    assert bool(train) == bool(names)
    assert bool(test) == (len(names) > 1)
    shuffled = random.sample(names, len(names))
    assert outliers.divide(shuffled, rotation) == (train, test)


@given(NAMES.filter(lambda names: len(names) > 2))
def test_over_the_rotations_each_class_is_tested_on_once(names):
    tested = [name for rotation in range(outliers.ROTATIONS) for name in outliers.divide(names, rotation)[1]]
    assert sorted(tested) == sorted(names)


@settings(max_examples=200)
@given(st.dictionaries(st.text(max_size=3), st.integers(1, 40), max_size=8), st.integers(0, 120))
def test_photos_are_bounded_and_come_evenly_from_the_classes(counts, most):
    photos: dict[str, Any] = {name: [(name, number) for number in range(count)] for name, count in counts.items()}
    kept = outliers.bounded(photos, most)
    assert sum(map(len, kept.values())) == min(most, sum(counts.values()))
    assert all(set(kept[name]) <= set(photos[name]) and len(set(kept[name])) == len(kept[name]) for name in kept)
    short = [name for name in counts if len(kept.get(name, ())) < counts[name]]
    largest = max((len(of_class) for of_class in kept.values()), default=0)
    assert all(largest - len(kept.get(name, ())) <= 1 for name in short)


def test_an_archive_with_the_asked_classes_alone_has_no_outliers(tmp_path):
    classes = "apple,bicycle,motorcycle,bus"
    outputs = run(tmp_path, write_archive(tmp_path), "--classes", classes)
    for side in ("train", "test"):
        assert "outliers" not in json.loads((outputs[side] / "dataset.json").read_text())
        assert not (outputs[side] / "outliers.rec").exists()
        assert datasets.read_outliers(outputs[side], side) == {}


def test_a_single_other_class_is_learned_from_and_not_tested_on(tmp_path):
    outputs = run(tmp_path, write_archive(tmp_path), "--classes", "apple,bicycle,motorcycle")
    assert {name: len(bodies) for name, bodies in datasets.read_outliers(outputs["train"], "train").items()} == {
        "bus": 5
    }
    assert datasets.read_outliers(outputs["test"], "test") == {}
    assert json.loads((outputs["test"] / "dataset.json").read_text())["outliers"] == {"train": {"bus": 5}, "test": {}}


def test_outliers_are_the_photos_of_their_classes(tmp_path):
    outputs = run(tmp_path, write_archive(tmp_path))
    want = split(8, 1)[b"data"][0].reshape(3, 32, 32).transpose(1, 2, 0)  # row 0 of the test split is an apple
    (apples,) = datasets.read_outliers(outputs["test"], "test").values()
    assert len(apples) == 5, "two of the archive's test split and three of its training split"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(apples[0]))), want)


def test_a_copy_of_a_known_photo_is_no_outlier(tmp_path):
    train = split(12, 2)
    train[b"data"][3] = train[b"data"][1]  # row 3 is a bus, row 1 a bicycle
    outputs = run(tmp_path, write_archive(tmp_path, train=train))
    assert len(datasets.read_outliers(outputs["train"], "train")["bus"]) == 4


def test_other_rotations_swap_the_sides_of_two_classes(tmp_path):
    outputs = run(tmp_path, write_archive(tmp_path), "--outlier-rotation", "1")
    assert list(datasets.read_outliers(outputs["test"], "test")) == ["bus"]


@pytest.fixture
def folders(tmp_path):
    """A folder of four classes with six photos each."""
    for at, name in enumerate(("cat", "cow", "dog", "yak")):
        (tmp_path / "in" / name).mkdir(parents=True)
        for number in range(6):
            colour = (40 * at, 40 * number, 90)
            Image.new("RGB", (8, 8), colour).save(tmp_path / "in" / name / f"{number}.png")
    return tmp_path / "in"


def test_other_folders_become_outliers_and_what_is_unreadable_is_said(tmp_path, folders, capsys):
    (folders / "cow" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (folders / "yak" / "twin.png").write_bytes((folders / "cat" / "0.png").read_bytes())
    (folders / "cat" / "photo.heic").write_bytes(b"x")
    (folders / "cat" / "._0.png").write_bytes(b"x")
    (folders / "cat" / "cat_$folder$").write_bytes(b"")
    outputs = run(tmp_path, folders, "--classes", "cat,dog")
    found = {**datasets.read_outliers(outputs["train"], "train"), **datasets.read_outliers(outputs["test"], "test")}
    assert {name: len(bodies) for name, bodies in found.items()} == {"cow": 6, "yak": 6}
    said = capsys.readouterr().out
    assert "left out: 1 photos of other classes that cannot be read" in said
    assert "left out: 1 files whose names do not end in .png, .jpg, .jpeg, .jpe, .jfif (1 .heic)" in said


def test_the_same_bytes_are_written_each_time(tmp_path, folders):
    first = run(tmp_path / "1", folders, "--classes", "cat,dog")
    second = run(tmp_path / "2", folders, "--classes", "cat,dog")
    for side in ("train", "test"):
        for name in ("outliers.rec", "outliers.idx", "dataset.json"):
            assert (first[side] / name).read_bytes() == (second[side] / name).read_bytes()


def test_all_photos_of_the_other_classes_are_written_to_learn_from(tmp_path):
    arguments = ["--input", str(write_archive(tmp_path)), "--others", str(tmp_path / "others")]
    assert stage.main([*arguments, "--message", str(tmp_path / "message")]) == 0
    about = json.loads((tmp_path / "others/dataset.json").read_text())
    assert about["classes"] == ["apple", "bus"]
    assert about["per_class"] == {"apple": 5, "bus": 5}  # three to learn from and two to test with, of each
    assert not (tmp_path / "others/outliers.rec").exists()


def test_other_classes_are_refused_where_there_are_fewer_than_two(tmp_path):
    arguments = ["--input", str(write_archive(tmp_path)), "--others", str(tmp_path / "others")]
    arguments += ["--classes", "bicycle,motorcycle,apple", "--message", str(tmp_path / "message")]
    assert stage.main(arguments) == 1
    assert "only the class 'bus' beside bicycle, motorcycle, apple" in (tmp_path / "message").read_text()
