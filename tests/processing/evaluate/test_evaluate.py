"""Evaluate: what it writes, what it refuses, and what it makes of the answers."""

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from processing import datasets, statistics
from processing.evaluate import __main__ as evaluate
from processing.evaluate import answers, artifact, champion, drawn, out_of_distribution, picture, report
from processing.job import JobError
from processing.photo_features import Features
from tests.processing.evaluate import small_artifact
from tests.processing.evaluate.small_artifact import CLASSES, FIXED, ROOT, encoded, tinted


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact whose handler tells the two tints apart without a network."""
    return small_artifact.write(tmp_path_factory.mktemp("artifact") / "model")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test records in every form that a photo can come in; two of the labels are wrong on purpose."""
    rng = np.random.default_rng(9)
    labels = [row % 2 for row in range(40)]
    pixels = [tinted(label, rng) for label in labels]
    bodies = [encoded(photo) for photo in pixels]
    bodies[0] = encoded(np.asarray(Image.fromarray(pixels[0]).resize((900, 700))), "JPEG")
    bodies[1] = encoded(np.asarray(Image.fromarray(pixels[1]).convert("L")))
    exif = Image.Exif()
    exif[0x0112] = 6
    bodies[2] = encoded(np.asarray(Image.fromarray(pixels[2]).resize((60, 90))), "JPEG", exif=exif)
    labels[10], labels[11] = 1 - labels[10], 1 - labels[11]
    return _write(tmp_path_factory.mktemp("test"), bodies, labels)


def _write(folder: Path, bodies: list[bytes], labels: list[int], classes: tuple[str, ...] = CLASSES) -> Path:
    datasets.write(folder, zip(labels, bodies, strict=True), list(classes), label="photos", source="test")
    return folder


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch, evaluated: Path) -> None:
    """Few drawn photos and no picture, which take a second each: `evaluated` has both."""
    few = drawn.photos(each=2)
    monkeypatch.setattr(drawn, "photos", lambda: few)
    monkeypatch.setattr(picture, "draw", lambda *_: None)


@pytest.fixture(scope="module")
def evaluated(model: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("evaluation")
    assert _evaluate(model, photos, output) == 0
    return output


def _evaluate(model: Path, photos: Path, output: Path, *more: str) -> int:
    message = output / "message"
    return evaluate.main(
        ["--model", str(model), "--test", str(photos), "--output", str(output), "--message", str(message), *more]
    )


def _answers(model: Path, bodies: list[bytes]) -> answers.Answers:
    return answers.result(answers.ask(model, list(CLASSES), bodies))


def _packed(folder: Path, target: Path) -> Path:
    with tarfile.open(target, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    return target


def test_the_report_has_sagemakers_shape_and_every_figure(evaluated: Path) -> None:
    report = json.loads((evaluated / "evaluation.json").read_text())
    quality = report["multiclass_classification_metrics"]
    for name in ("accuracy", "weighted_precision", "weighted_recall", "weighted_f0_5", "weighted_f1", "weighted_f2"):
        assert set(quality[name]) == {"value", "standard_deviation"}
    confusion = quality["confusion_matrix"]
    assert sum(confusion["ant"].values()) == sum(confusion["bee"].values()) == 20
    right = confusion["ant"]["ant"] + confusion["bee"]["bee"]
    assert quality["accuracy"]["value"] == report["gate"]["accuracy"] == right / 40
    assert 36 <= right <= 38, "two labels are wrong on purpose, and a grey photo could be either"
    assert report["gate"]["not_worse_than_champion"] == 1.0
    assert set(report["calibration"]) == {"nll", "ece", "brier", "bins"}
    assert {mistake["record"] for mistake in report["worst_mistakes"]} >= {10, 11}
    assert len(report["out_of_distribution"]["drawn"]["accepted_by_kind"]) == len(drawn.KINDS)
    assert set(report["out_of_distribution"]) == {"score", "drawn"}, "the data have no other classes"
    assert 0 <= report["risk_coverage"]["aurc"] <= 1
    assert all(isinstance(value, str) and "," not in value for value in report["metadata"].values())
    assert report["metadata"]["classes"] == "ant bee"


def test_confidence_and_outcome_of_each_photo_are_listed(evaluated: Path) -> None:
    report = json.loads((evaluated / "evaluation.json").read_text())
    confidences, correct = np.array(report["confidences"]), np.array(report["correct"])
    assert len(confidences) == len(correct) == report["test"]["count"]
    assert correct.mean() == report["gate"]["accuracy"]
    assert (confidences >= float(report["metadata"]["threshold"])).mean() == pytest.approx(report["gate"]["coverage"])


def test_the_page_about_the_report_names_everything_in_it(evaluated: Path) -> None:
    page = (ROOT / "docs" / "evaluation.md").read_text()
    report = json.loads((evaluated / "evaluation.json").read_text())
    for name in (*report, *report["gate"], *report["calibration"], *report["risk_coverage"]):
        assert f"`{name}`" in page, name


def test_the_test_photos_are_described_for_monitoring(evaluated: Path) -> None:
    columns = statistics.read(evaluated)
    assert set(columns) == {*Features._fields, "confidence"}
    assert {int(column.counts.sum()) for column in columns.values()} == {40}


def test_the_intervals_hold_the_figures_and_are_narrower_than_all(evaluated: Path) -> None:
    report = json.loads((evaluated / "evaluation.json").read_text())
    for name, (lower, upper) in report["confidence_intervals"].items():
        assert 0 <= lower <= report["gate"][name] <= upper <= 1
        assert upper - lower < 0.5


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 100_000))
def test_what_is_listed_photo_by_photo_is_bounded_and_ends_with_the_last(count: int) -> None:
    rows = report.spread(count)
    assert len(rows) == min(count, report.MAX_POINTS)
    assert rows[-1] == count - 1
    assert (np.diff(rows) > 0).all()


def test_the_picture_is_a_picture(evaluated: Path) -> None:
    with Image.open(evaluated / "evaluation.png") as picture:
        assert picture.size == (1400, 1300)
        assert len(picture.convert("RGB").getcolors(2**24) or []) > 500


def test_verification_photos_are_the_records_with_their_labels(evaluated: Path, photos: Path) -> None:
    labels = json.loads((evaluated / "verification" / "labels.json").read_text())
    bodies = {path.read_bytes() for path in (evaluated / "verification").iterdir() if path.suffix in (".png", ".jpg")}
    assert len(labels) == 40
    assert bodies == set(datasets.read(photos).bodies)


def test_the_answers_to_the_verification_photos_are_those_of_the_handler(
    evaluated: Path, model: Path, photos: Path
) -> None:
    folder = evaluated / "verification"
    labels = json.loads((folder / "labels.json").read_text())
    noted = json.loads((folder / "answers.json").read_text())
    asked = _answers(model, [(folder / file).read_bytes() for file in noted["answers"]])
    for answer, probabilities in zip(noted["answers"].values(), asked.probabilities, strict=True):
        assert answer["label"] == CLASSES[probabilities.argmax()]
        assert answer["confidence"] == pytest.approx(float(probabilities.max()), abs=1e-5)
    assert set(noted["answers"]) == set(labels)
    right = [noted["answers"][file]["label"] == label for file, label in labels.items()]
    assert noted["accuracy"] == np.mean(right) < 1


def test_a_packed_artifact_gives_the_same_report(model: Path, photos: Path, tmp_path: Path) -> None:
    packed = _packed(model, tmp_path / "model.tar.gz")
    for artifact_at, output in ((packed, "packed"), (model, "folder")):
        (tmp_path / output).mkdir()
        assert _evaluate(artifact_at, photos, tmp_path / output) == 0
    for name in ("evaluation.json", "history.json", "verification/answers.json"):
        assert (tmp_path / "packed" / name).read_bytes() == (tmp_path / "folder" / name).read_bytes()


def test_the_champion_is_scored_on_the_same_photos(model: Path, photos: Path, tmp_path: Path) -> None:
    champion = _packed(model, tmp_path / "champion.tar.gz")
    assert _evaluate(model, photos, tmp_path, "--champion-model", str(champion)) == 0
    rival = json.loads((tmp_path / "evaluation.json").read_text())["champion"]
    assert rival["present"]
    assert rival["accuracy_difference"] == 0
    assert rival["not_worse"]


def test_a_version_that_answers_at_random_is_worse_than_the_champion(model: Path, photos: Path, tmp_path: Path) -> None:
    worse = shutil.copytree(model, tmp_path / "worse")
    about = json.loads((worse / "model.json").read_text())
    about["mean"] = [250, 0, 0]  # everything looks green
    (worse / "model.json").write_text(json.dumps(about))
    assert _evaluate(worse, photos, tmp_path, "--champion-model", str(model)) == 0
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert report["gate"]["not_worse_than_champion"] == 0.0
    assert report["champion"]["p_worse"] < 0.01


def test_an_empty_champion_folder_means_no_champion(model: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert _evaluate(model, photos, tmp_path, "--champion-model", str(tmp_path / "none")) == 0
    assert json.loads((tmp_path / "evaluation.json").read_text())["champion"] == {"present": False, "not_worse": True}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200), st.floats(0, 0.1))
def test_nobody_is_worse_than_himself_and_a_better_one_always_passes(
    pairs: list[tuple[bool, bool]], tolerance: float
) -> None:
    one, other = (np.array(column) for column in zip(*pairs, strict=True))
    assert champion.compare(one, one, tolerance)["not_worse"]
    compared = champion.compare(one, other, tolerance)
    back = champion.compare(other, one, tolerance)
    assert compared["accuracy_difference"] == -back["accuracy_difference"]
    assert compared["not_worse"] or back["not_worse"]
    if one.mean() >= other.mean():
        assert compared["not_worse"]


def test_the_paired_test_by_hand() -> None:
    old = np.ones(100, bool)
    new = old.copy()
    new[:6] = False
    compared = champion.compare(new, old, 0.02)
    assert (compared["photos_won"], compared["photos_lost"]) == (0, 6)
    assert compared["p_worse"] == pytest.approx(1 / 64)
    assert not compared["not_worse"]
    assert champion.compare(new, old, 0.06)["not_worse"]


def _tar(target: Path, name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(target, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.type, member.linkname = len(content), kind, "/etc/passwd"
        tar.addfile(member, io.BytesIO(content))
    return target


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path, "there is no model artifact at"),
        (lambda path: path.write_bytes(b"no tar") and path, "cannot be unpacked"),
        (lambda path: _tar(path, "../outside"), "cannot be unpacked"),
        (
            lambda path: _tar(path, "/absolute") and _tar(path, "link", b"", tarfile.SYMTYPE),
            "neither a file nor a folder",
        ),
        (lambda path: _tar(path, "empty.txt"), "code/inference.py is missing"),
        (lambda path: _tar(path, "code/inference.py"), "code/metrics.py is missing"),
    ],
    ids=["absent", "no tar", "climbs out", "link", "no handler", "no metrics"],
)
def test_an_artifact_that_cannot_be_scored_is_refused_in_a_sentence(
    make: object, words: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = make(tmp_path / "model.tar.gz")  # type: ignore[operator]  # a function of the table above
    assert _evaluate(artifact, photos, tmp_path) == 1
    assert words in capsys.readouterr().err
    assert words in (tmp_path / "message").read_text()
    assert not (tmp_path.parent / "outside").exists()


def _spoil(model: Path, target: Path, file: str, content: bytes) -> Path:
    spoilt = shutil.copytree(model, target)
    (spoilt / file).write_bytes(content)
    return spoilt


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
    assert _evaluate(_spoil(model, tmp_path / "spoilt", file, content), photos, tmp_path) == 1
    assert words in (tmp_path / "message").read_text()


@pytest.mark.parametrize("name", ["threshold", "out_of_fold", "versions", "classes"])
def test_a_foreign_artifact_is_refused_by_the_name_of_what_it_lacks(
    model: Path, photos: Path, tmp_path: Path, name: str
) -> None:
    about = json.loads((model / "model.json").read_text())
    handler = b"model_fn = lambda d: 1\n"  # as foreign as the rest
    foreign = _spoil(model, tmp_path / "foreign", "code/inference.py", handler)
    (foreign / "model.json").write_text(json.dumps({key: value for key, value in about.items() if key != name}))
    assert _evaluate(foreign, photos, tmp_path) == 1
    assert f"says no '{name}'" in (tmp_path / "message").read_text()


def test_a_champion_that_cannot_be_scored_is_named_as_such(model: Path, photos: Path, tmp_path: Path) -> None:
    champion = _spoil(model, tmp_path / "champion", "model.json", b"{}")
    assert _evaluate(model, photos, tmp_path, "--champion-model", str(champion)) == 1
    assert "the approved version, which this one is compared with: " in (tmp_path / "message").read_text()


@pytest.mark.parametrize("spoil", [lambda all_: all_[: len(all_) // 2], lambda all_: b"\0" * 8 + all_[8:]])
def test_damaged_records_are_a_sentence(spoil: object, model: Path, photos: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(photos, tmp_path / "test")
    content = (photos / "images.rec").read_bytes()
    (damaged / "images.rec").write_bytes(spoil(content))  # type: ignore[operator]  # a function of the list above
    assert _evaluate(model, damaged, tmp_path) == 1
    assert "images.rec is damaged after" in (tmp_path / "message").read_text()


def test_an_output_that_cannot_be_written_is_a_sentence(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert _evaluate(model, photos, tmp_path / "file") == 1
    assert "Reading or writing failed" in capsys.readouterr().err


def test_a_failure_finds_its_place_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROCESSING_MESSAGE", str(tmp_path / "below" / "message"))
    places = ["--model", str(tmp_path / "none"), "--test", str(tmp_path), "--output", str(tmp_path)]
    assert evaluate.main(places) == 1
    assert "dataset.json is missing" in (tmp_path / "below" / "message").read_text()


def test_other_classes_than_the_models_are_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = _write(tmp_path / "test", [b"x"], [0], ("cat", "dog"))
    assert _evaluate(model, others, tmp_path) == 1
    assert "the model knows ant,bee, but the test records hold cat,dog" in capsys.readouterr().err


def test_no_test_photo_is_a_sentence(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _evaluate(model, _write(tmp_path / "test", [], []), tmp_path) == 1
    assert "holds no photo to evaluate on" in capsys.readouterr().err


def test_two_artifacts_with_files_of_the_same_names_stay_apart(model: Path, photos: Path, tmp_path: Path) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    (other / "code" / "metrics.py").write_text("MARK = 'other'\n")
    (other / "code" / "inference.py").write_text(FIXED)
    bodies = datasets.read(photos).bodies[:3]
    asked = [answers.ask(folder, list(CLASSES), bodies) for folder in (model, other)]
    first, second = (answers.result(one) for one in asked)
    assert second.probabilities.tolist() == [[0.25, 0.75]] * 3
    assert first.probabilities.tolist() != second.probabilities.tolist()
    loaded = [artifact.metrics(artifact.load(folder, tmp_path)) for folder in (model, other)]
    assert hasattr(loaded[0], "aurc")
    assert loaded[1].MARK == "other"


def test_a_handler_that_ends_its_process_is_a_sentence(model: Path, photos: Path, tmp_path: Path) -> None:
    crash = b"import os\nmodel_fn = lambda d: os.abort()\n"
    assert _evaluate(_spoil(model, tmp_path / "crash", "code/inference.py", crash), photos, tmp_path) == 1
    assert "the model's handler ended its process" in (tmp_path / "message").read_text()


def _with_others(folder: Path, photos: Path) -> Path:
    """The test records, and 10 blue and 10 green photos of classes that the model does not know."""
    rng = np.random.default_rng(3)
    known = datasets.read(photos)
    others = {name: [lambda tint=tint: encoded(tinted(tint, rng)) for _ in range(10)] for name, tint in SIDES}
    sides: dict[datasets.Side, Any] = {"train": {}, "test": others}
    pairs = zip(known.labels, known.bodies, strict=True)
    datasets.write(folder, pairs, known.classes, label="photos", source="test", side="test", outliers=sides)
    return folder


SIDES = (("fly", 2), ("moth", 1))


def test_other_classes_are_ranked_by_confidence_where_it_is_all_there_is(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    assert _evaluate(model, _with_others(tmp_path / "test", photos), tmp_path) == 0
    found = json.loads((tmp_path / "evaluation.json").read_text())
    outside = found["out_of_distribution"]
    assert outside["score"] == "confidence"
    assert outside["photos"]["accepted_by_kind"] == {"fly": 0, "moth": 1}, "moths are as green as bees"
    assert outside["photos"]["count"] == 20
    assert found["gate"]["out_of_distribution_accepted"] == outside["photos"]["accepted"] == 0.5
    assert float(found["metadata"]["out_of_distribution_accepted"]) == 0.5


def test_a_model_that_says_what_is_in_distribution_is_asked_for_it(photos: Path, tmp_path: Path) -> None:
    sure = small_artifact.write(tmp_path / "model", threshold=0.5, in_distribution_threshold=0.5)
    assert _evaluate(sure, _with_others(tmp_path / "test", photos), tmp_path) == 0
    outside = json.loads((tmp_path / "evaluation.json").read_text())["out_of_distribution"]
    assert outside["score"] == "in_distribution"
    assert outside["photos"]["accepted_by_kind"] == {"fly": 0, "moth": 1}
    answered = json.loads((tmp_path / "verification" / "answers.json").read_text())["answers"]
    assert all(0 <= answer["in_distribution"] <= 1 for answer in answered.values())


def _inside(*scores: float) -> answers.Answers:
    rows = [
        answers.Prediction(label="ant", confidence=score, probabilities={"ant": score, "bee": 1 - score})
        for score in scores
    ]
    return answers.Answers(rows, list(CLASSES), 0.75, None)


def test_the_figures_on_other_things_by_hand() -> None:
    inside, fly, moth = _inside(0.5, 0.7, *[0.9] * 18), _inside(0.6, 0.8), _inside(0.5)
    found = out_of_distribution.measure(inside, {"fly": fly, "moth": moth})
    assert found["accepted_by_kind"] == {"fly": 0.5, "moth": 0}
    assert found["accepted"] == 0.25, "the mean of the kinds"
    assert found["fpr_at_95_tpr"] == pytest.approx(1 / 3), "19 of 20 reach 0.7, and of the others only 0.8"
    pairs = [(a > b) + (a == b) / 2 for a in inside.score for b in (0.6, 0.8, 0.5)]
    assert found["auroc"] == pytest.approx(np.mean(pairs))


def test_outliers_that_do_not_fit_their_description_are_a_sentence(model: Path, photos: Path, tmp_path: Path) -> None:
    test = _with_others(tmp_path / "test", photos)
    about = json.loads((test / "dataset.json").read_text())
    about["outliers"]["test"] = {"fly": 20}
    (test / "dataset.json").write_text(json.dumps(about))
    assert _evaluate(model, test, tmp_path) == 1
    assert "do not belong together" in (tmp_path / "message").read_text()


def test_an_artifact_of_zeros_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    packed = _tar(tmp_path / "model.tar.gz", "zeros", b"\0" * (80 << 20))
    assert packed.stat().st_size < 100_000
    with pytest.raises(JobError, match="unpacks to more than 64 MiB"):
        artifact.load(packed, tmp_path / "scratch")
