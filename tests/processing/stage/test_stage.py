"""Staging: what goes into the records, in which order, and that it is the same bytes each time."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from processing import recordio
from processing.stage import __main__ as stage
from tests.processing.stage.stage_archives import split, write_archive

ROOT = Path(__file__).resolve().parents[3]


def run(folder, source, *more):
    outputs = {name: folder / name for name in ("train", "test", "photos")}
    arguments = [item for name, path in outputs.items() for item in (f"--{name}", str(path))]
    status = stage.main(["--input", str(source), *arguments, "--message", str(folder / "message"), *more])
    return status, outputs


def records(folder, name="images.rec"):
    """(class index, row number, bytes) of every record, in the order of the index."""
    index = [line.split("\t") for line in (folder / name).with_suffix(".idx").read_text().splitlines()]
    read = list(recordio.read(folder / name))
    assert len(index) == len(read)
    return [(int(label), int(number), payload) for (number, _), (label, payload) in zip(index, read, strict=True)]


def photo(path: Path, seed: int, mode="RGB", size=(40, 30), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.RandomState(seed).randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **options)
    return path


@pytest.fixture
def photos(tmp_path):
    for number in range(20):
        photo(tmp_path / "in" / "cat" / f"{number:02}.png", number)
        photo(tmp_path / "in" / "dog" / f"{number:02}.JPG", 100 + number)
    return tmp_path / "in"


def digest(folder):
    """The SHA-256 of each file below the folder, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_rows_of_an_archive_become_lossless_png_in_their_order(tmp_path):
    status, outputs = run(tmp_path, write_archive(tmp_path))
    assert status == 0
    rows = records(outputs["train"])
    assert [(label, number) for label, number, _ in rows] == [(0, 0), (1, 1), (0, 2), (1, 3), (0, 4), (1, 5)]
    want = split(12, 2)[b"data"][1].reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(rows[0][2]))), want)


def test_a_training_photo_that_is_a_test_photo_is_left_out_of_training(tmp_path):
    test, train = split(8, 1), split(12, 2)
    train[b"data"][5] = test[b"data"][2]  # row 5 is a bicycle, row 2 a motorcycle: copies under another label count too
    archive = write_archive(tmp_path, test=pickle.dumps(test, 2), train=pickle.dumps(train, 2))
    status, outputs = run(tmp_path, archive)
    assert status == 0
    trained, tested = ({payload for _, _, payload in records(outputs[name])} for name in ("train", "test"))
    assert (len(trained), len(tested)) == (5, 4)
    assert not trained & tested


def test_dataset_json_counts_and_hashes_the_records(tmp_path):
    _, outputs = run(tmp_path, write_archive(tmp_path), "--data-label", "drawn samples")
    dataset = json.loads((outputs["test"] / "dataset.json").read_text())
    assert dataset == {
        "classes": ["bicycle", "motorcycle"],
        "count": 4,
        "per_class": {"bicycle": 2, "motorcycle": 2},
        "label": "drawn samples",
        "sha256": hashlib.sha256((outputs["test"] / "images.rec").read_bytes()).hexdigest(),
        "source": "small.tar.gz",
        "outliers": {"train": {"bus": 5}, "test": {"apple": 5}},
    }


def test_an_archive_that_says_it_is_drawn_is_labelled_so(tmp_path):
    path = write_archive(tmp_path, train=split(12, batch_label=b"training batch of drawn samples"))
    _, outputs = run(tmp_path, path, "--data-label", "cifar-100")
    assert json.loads((outputs["train"] / "dataset.json").read_text())["label"] == "drawn samples"


def test_other_classes_and_their_order_are_chosen_by_argument(tmp_path):
    _, outputs = run(tmp_path, write_archive(tmp_path), "--classes", "bus, bicycle,apple")
    assert [label for label, _, _ in records(outputs["test"])] == [2, 1, 0, 2, 1, 0]


def test_a_folder_that_holds_an_archive_is_read_as_the_archive(tmp_path):
    (tmp_path / "in").mkdir()
    write_archive(tmp_path / "in")
    status, outputs = run(tmp_path, tmp_path / "in")
    assert status == 0
    assert len(records(outputs["train"])) == 6


def test_the_photo_sample_is_balanced_labelled_and_of_the_test_set(tmp_path):
    big = write_archive(tmp_path, test=split(400, 1))
    _, outputs = run(tmp_path, big)
    labels = json.loads((outputs["photos"] / "labels.json").read_text())
    assert sorted(labels.values()) == ["bicycle"] * 30 + ["motorcycle"] * 30
    of_test = {(label, payload) for label, _, payload in records(outputs["test"])}
    classes = ["bicycle", "motorcycle"]
    assert all(
        (classes.index(name), (outputs["photos"] / file).read_bytes()) in of_test for file, name in labels.items()
    )


def test_the_seed_draws_the_photo_sample(tmp_path):
    big = write_archive(tmp_path, test=split(400, 1))
    drawn = []
    for seed in ("1", "2", "1"):
        _, outputs = run(tmp_path / f"{len(drawn)}", big, "--seed", seed)
        drawn.append(digest(outputs["photos"]))
    assert drawn[0] == drawn[2] != drawn[1]


@pytest.mark.parametrize("kind", ["archive", "photos"])
def test_two_processes_write_the_same_bytes(tmp_path, photos, kind):
    source = write_archive(tmp_path) if kind == "archive" else photos
    classes = "bicycle,motorcycle" if kind == "archive" else "cat,dog"
    for number in ("1", "2"):
        paths = [item for name in ("train", "test", "photos") for item in (f"--{name}", tmp_path / number / name)]
        subprocess.run(
            [sys.executable, "-W", "error", "-m", "processing.stage", "--input", source, "--classes", classes, *paths],
            check=True,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": number},
        )
    assert digest(tmp_path / "1") == digest(tmp_path / "2")


def test_photos_are_kept_as_they_are_and_split_80_to_20_in_each_class(tmp_path, photos):
    status, outputs = run(tmp_path, photos, "--classes", "cat,dog")
    assert status == 0
    train, test = records(outputs["train"]), records(outputs["test"])
    assert [sum(label == index for label, _, _ in rows) for rows in (train, test) for index in (0, 1)] == [16, 16, 4, 4]
    staged = {payload for _, _, payload in train + test}
    assert staged == {path.read_bytes() for path in photos.rglob("*.*")}


def test_exact_copies_of_a_photo_stay_on_one_side(tmp_path, photos):
    for number in range(20):
        (photos / "cat" / f"copy-{number}.png").write_bytes((photos / "cat" / f"{number:02}.png").read_bytes())
    _, outputs = run(tmp_path, photos, "--classes", "cat,dog")
    train, test = ({payload for _, _, payload in records(outputs[name])} for name in ("train", "test"))
    assert not train & test
    assert len(records(outputs["train"])) == 16 * 2 + 16


def test_the_split_follows_content_not_file_names(tmp_path, photos):
    before = {payload for _, _, payload in records(run(tmp_path / "a", photos, "--classes", "cat,dog")[1]["test"])}
    for path in list(photos.rglob("*.png")):
        path.rename(path.with_name("z" + path.name[::-1].replace("gnp.", "") + ".png"))
    after = {payload for _, _, payload in records(run(tmp_path / "b", photos, "--classes", "cat,dog")[1]["test"])}
    assert before == after


def test_cmyk_palette_grey_and_exif_photos_are_taken(tmp_path, photos):
    photo(photos / "cat" / "cmyk.jpg", 1, "CMYK")
    photo(photos / "cat" / "palette.png", 2, "P", transparency=0)
    photo(photos / "cat" / "grey.png", 3, "L")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(photos / "cat" / "turned.jpg", 4, exif=exif)
    status, outputs = run(tmp_path, photos, "--classes", "cat,dog")
    assert status == 0
    staged = {payload for name in ("train", "test") for _, _, payload in records(outputs[name])}
    assert all((photos / "cat" / name).read_bytes() in staged for name in ("cmyk.jpg", "palette.png", "turned.jpg"))


@pytest.mark.real_data
def test_the_real_archive_is_staged_whole(tmp_path):
    archive = os.environ.get("CIFAR100_ARCHIVE")
    if not archive:
        pytest.skip("CIFAR100_ARCHIVE does not name the CIFAR-100 archive")
    status, outputs = run(tmp_path, archive)
    assert status == 0
    assert json.loads((outputs["train"] / "dataset.json").read_text())["per_class"] == {
        "bicycle": 500,
        "motorcycle": 500,
    }
