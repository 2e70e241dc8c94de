"""Artifacts and photos that cannot be scored: each ends in a sentence that names what is wrong."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from processing.evaluate import __main__ as evaluate
from processing.evaluate import artifact
from processing.job import JobError
from tests.old_tarfile import without_filters
from tests.processing.evaluate.evaluations import (
    pack,
    run_evaluation,
    spoilt_copy,
    tar,
    with_others,
    write_photos,
)
from tests.processing.evaluate.small_artifact import CLASSES, FIXED

pytestmark = pytest.mark.usefixtures("fast")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path, "there is no model artifact at"),
        (lambda path: path.write_bytes(b"no tar") and path, "cannot be unpacked"),
        (lambda path: tar(path, "../outside"), "holds '../outside', which would be written outside of its folder"),
        (lambda path: tar(path, "/absolute"), "holds '/absolute', which would be written outside of its folder"),
        (lambda path: tar(path, "link", b"", tarfile.SYMTYPE), "neither a file nor a folder"),
        (lambda path: tar(path, "empty.txt"), "code/inference.py is missing"),
        (lambda path: tar(path, "code/inference.py"), "code/metrics.py is missing"),
    ],
    ids=["absent", "no tar", "climbs out", "absolute", "link", "no handler", "no metrics"],
)
def test_an_artifact_that_cannot_be_scored_is_refused_in_a_sentence(
    make: object, words: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = make(tmp_path / "model.tar.gz")  # type: ignore[operator]  # a function of the table above
    assert run_evaluation(artifact, photos, tmp_path) == 1
    assert words in capsys.readouterr().err
    assert words in (tmp_path / "message").read_text()
    assert not (tmp_path.parent / "outside").exists()


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("history.json", b"[", "history.json is not JSON"),
        ("history.json", b"{}", "holds no JSON list of objects"),
        ("code/inference.py", b"import no_such_module\n", "does not load through its handler"),
        (
            "code/inference.py",
            FIXED.replace('"ant"', '"cat"').encode(),
            "to photos 0 to 31 is not understood",
        ),
        ("code/metrics.py", b"1 / 0", "code/metrics.py in the model artifact fails: ZeroDivisionError"),
        ("code/inference.py", b"model_fn = lambda d: 1\ndef input_fn(b, t): raise KeyError('mean')\n", "handler fails"),
    ],
)
def test_a_spoilt_artifact_is_refused_in_a_sentence(
    model: Path, photos: Path, tmp_path: Path, file: str, content: bytes, words: str
) -> None:
    assert run_evaluation(spoilt_copy(model, tmp_path / "spoilt", file, content), photos, tmp_path) == 1
    assert words in (tmp_path / "message").read_text()


@pytest.mark.parametrize("name", ["threshold", "out_of_fold", "versions", "classes"])
def test_a_foreign_artifact_is_refused_by_the_name_of_what_it_lacks(
    model: Path, photos: Path, tmp_path: Path, name: str
) -> None:
    about = json.loads((model / "model.json").read_text())
    handler = b"model_fn = lambda d: 1\n"  # as foreign as the rest
    foreign = spoilt_copy(model, tmp_path / "foreign", "code/inference.py", handler)
    (foreign / "model.json").write_text(json.dumps({key: value for key, value in about.items() if key != name}))
    assert run_evaluation(foreign, photos, tmp_path) == 1
    assert f"says no '{name}'" in (tmp_path / "message").read_text()


def test_a_champion_that_cannot_be_scored_is_named_as_such(model: Path, photos: Path, tmp_path: Path) -> None:
    champion = spoilt_copy(model, tmp_path / "champion", "model.json", b"{}")
    assert run_evaluation(model, photos, tmp_path, "--champion-model", str(champion)) == 1
    assert "the approved version, which this one is compared with: " in (tmp_path / "message").read_text()


@pytest.mark.parametrize("spoil", [lambda all_: all_[: len(all_) // 2], lambda all_: b"\0" * 8 + all_[8:]])
def test_damaged_records_are_a_sentence(spoil: object, model: Path, photos: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(photos, tmp_path / "test")
    content = (photos / "images.rec").read_bytes()
    (damaged / "images.rec").write_bytes(spoil(content))  # type: ignore[operator]  # a function of the list above
    assert run_evaluation(model, damaged, tmp_path) == 1
    assert "images.rec is damaged after" in (tmp_path / "message").read_text()


def test_an_output_that_cannot_be_written_is_a_sentence(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert run_evaluation(model, photos, tmp_path / "file") == 1
    assert "Reading or writing failed" in capsys.readouterr().err


def test_a_failure_finds_its_place_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROCESSING_MESSAGE", str(tmp_path / "below" / "message"))
    places = ["--model", str(tmp_path / "none"), "--test", str(tmp_path), "--output", str(tmp_path)]
    assert evaluate.main(places) == 1
    assert "dataset.json is missing" in (tmp_path / "below" / "message").read_text()


def test_other_classes_than_the_models_are_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = write_photos(tmp_path / "test", [b"x"], [0], ("cat", "dog"))
    assert run_evaluation(model, others, tmp_path) == 1
    assert "the model knows ant,bee, but the test records hold cat,dog" in capsys.readouterr().err


def test_no_test_photo_is_a_sentence(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_evaluation(model, write_photos(tmp_path / "test", [], []), tmp_path) == 1
    assert "holds no photo to evaluate on" in capsys.readouterr().err


def test_a_handler_that_ends_its_process_is_a_sentence(model: Path, photos: Path, tmp_path: Path) -> None:
    crash = b"import os\nmodel_fn = lambda d: os.abort()\n"
    assert run_evaluation(spoilt_copy(model, tmp_path / "crash", "code/inference.py", crash), photos, tmp_path) == 1
    assert "the model's handler ended its process" in (tmp_path / "message").read_text()


def test_outliers_that_do_not_fit_their_description_are_a_sentence(model: Path, photos: Path, tmp_path: Path) -> None:
    test = with_others(tmp_path / "test", photos)
    about = json.loads((test / "dataset.json").read_text())
    about["outliers"]["test"] = {"fly": 20}
    (test / "dataset.json").write_text(json.dumps(about))
    assert run_evaluation(model, test, tmp_path) == 1
    assert "do not belong together" in (tmp_path / "message").read_text()


def test_an_artifact_of_zeros_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    packed = tar(tmp_path / "model.tar.gz", "zeros", b"\0" * (80 << 20))
    assert packed.stat().st_size < 100_000
    with pytest.raises(JobError, match="unpacks to more than 64 MiB"):
        artifact.load(packed, tmp_path / "scratch")


def test_an_artifact_is_unpacked_by_a_python_whose_tarfile_has_no_filters(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = pack(model, tmp_path / "model.tar.gz")
    without_filters(monkeypatch)

    unpacked = artifact.load(packed, tmp_path / "scratch")

    assert unpacked.about["classes"] == list(CLASSES)
