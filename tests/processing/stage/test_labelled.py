"""Photos that people labelled: where each goes, and which are left out."""

import hashlib
import json
from dataclasses import replace

import pytest

from processing import datasets
from processing.stage import __main__ as stage
from processing.stage import camera
from tests.processing.stage.test_stage import photo, records, run


@pytest.fixture
def source(tmp_path):
    for number in range(10):
        photo(tmp_path / "in" / "cat" / f"{number:02}.png", number)
        photo(tmp_path / "in" / "dog" / f"{number:02}.png", 100 + number)
    return tmp_path / "in"


@pytest.fixture
def people(tmp_path):
    """Writes a labelled data set: (seed of the photo or its path, truth, part) each."""

    def write(*entries):
        folder, listed = tmp_path / "labelled", []
        (folder / "photos").mkdir(parents=True)
        (folder / "sets").mkdir()
        for source, truth, part in entries:
            path = photo(tmp_path / "made.png", source) if isinstance(source, int) else source
            body = path.read_bytes()
            name = f"{hashlib.sha256(body).hexdigest()}.png"
            (folder / "photos" / name).write_bytes(body)
            listed.append({"photo": name, "truth": truth, "part": part})
        (folder / "sets" / "s.json").write_text(json.dumps(listed))
        return folder

    return write


def staged(tmp_path, source, folder):
    options = ["--classes", "cat,dog", "--labelled", str(folder), "--recent", str(tmp_path / "recent")]
    status, outputs = run(tmp_path, source, *options)
    assert status == 0, (tmp_path / "message").read_text()
    return {**outputs, "recent": tmp_path / "recent"}


def test_the_angle_of_the_camera_is_told_to_training_alone(tmp_path, source, people, monkeypatch):
    monkeypatch.setattr(camera, "carried_over", lambda splits, *_: replace(splits, blurred=1.65, turned=40))
    outputs = staged(tmp_path, source, people((1001, "cat", "train")))
    assert json.loads((outputs["train"] / "dataset.json").read_text())["turned"] == 40
    assert json.loads((outputs["train"] / "dataset.json").read_text())["blurred"] == 1.65
    assert not {"blurred", "turned"} & json.loads((outputs["test"] / "dataset.json").read_text()).keys()


def bodies(folder, name="images.rec"):
    return [(label, payload) for label, _, payload in records(folder, name)]


def test_each_labelled_photo_goes_where_the_list_says(tmp_path, source, people):
    folder = people((1001, "cat", "train"), (1002, "dog", "recent"), (1003, "neither", "train"))
    outputs = staged(tmp_path, source, folder)
    named = {entry["truth"]: (folder / "photos" / entry["photo"]).read_bytes()
             for entry in json.loads((folder / "sets" / "s.json").read_text())}  # fmt: skip
    assert bodies(outputs["train"])[-1] == (0, named["cat"])
    assert json.loads((outputs["train"] / "dataset.json").read_text())["labelled"] == 1
    assert bodies(outputs["recent"]) == [(1, named["dog"])]
    assert bodies(outputs["train"], "outliers.rec") == [(0, named["neither"])]
    assert named["dog"] not in [payload for _, payload in bodies(outputs["train"])]
    assert datasets.read_outliers(outputs["test"], "test") == {}


def test_a_test_photo_is_never_learned_from(tmp_path, source, people):
    before = staged(tmp_path, source, tmp_path / "none")
    tested = {hashlib.sha256(payload).hexdigest() for _, payload in bodies(before["test"])}
    paths = [path for path in source.rglob("*.png") if hashlib.sha256(path.read_bytes()).hexdigest() in tested]
    folder = people(*[(path, path.parent.name, "train") for path in paths])
    after = staged(tmp_path, source, folder)
    assert paths
    assert bodies(after["train"]) == bodies(before["train"])


def test_without_labelled_photos_nothing_changes(tmp_path, source):
    folder = tmp_path / "labelled"
    folder.mkdir()
    (folder / "none.json").write_text("[]")
    outputs = staged(tmp_path, source, folder)
    recent = datasets.read(outputs["recent"])
    assert (recent.bodies, recent.classes) == ([], ["cat", "dog"])


def test_an_unknown_class_is_left_out_and_counted(tmp_path, source, people, capsys):
    staged(tmp_path, source, people((1001, "tram", "train"), (1002, "cat", "train")))
    assert "1 photos to learn from, 0 as the recent test, 0 of other things; left out: 1" in capsys.readouterr().out


def test_a_photo_that_is_listed_and_not_there_is_named(tmp_path, source, people):
    folder = people((1001, "cat", "train"))
    for path in (folder / "photos").iterdir():
        path.unlink()
    options = ["--classes", "cat,dog", "--labelled", str(folder), "--recent", str(tmp_path / "recent")]
    arguments = [item for name in ("train", "test", "photos") for item in (f"--{name}", str(tmp_path / name))]
    message = tmp_path / "message"
    assert stage.main(["--input", str(source), *arguments, *options, "--message", str(message)]) == 1
    assert "which is not in photos/" in message.read_text()
