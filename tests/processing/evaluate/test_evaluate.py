"""Evaluate on a small trained artifact: what it writes, what it refuses, and that it scores exactly what is served."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

os.environ.setdefault("MXNET_ENGINE_TYPE", "NaiveEngine")
ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "training"))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MXNet 1.9.1 warns of its own use of numpy.bool when it is imported
    import mxnet  # noqa: F401
import channels  # noqa: E402

from processing.evaluate import __main__ as evaluate  # noqa: E402
from processing.evaluate import champion as champions  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Please import `csr_matrix`:DeprecationWarning")
CLASSES = ("ant", "bee")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    channel = channels.write(folder / "train", 48)
    flags = ["--classes", ",".join(CLASSES), "--epochs", "8", "--folds", "2", "--batch-size", "8", "--workers", "1"]
    places = ["--train", str(channel), "--model-dir", str(folder / "model")]
    subprocess.run(
        [sys.executable, str(ROOT / "training" / "train.py"), *flags, *places], check=True, capture_output=True
    )
    return folder / "model"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test records in every form that a photo can come in; two of the labels are wrong on purpose."""
    rng = np.random.default_rng(9)
    labels = [row % 2 for row in range(40)]
    pixels = [channels.tinted(label, rng) for label in labels]
    bodies = [channels.encoded(photo) for photo in pixels]
    bodies[0] = channels.encoded(np.asarray(Image.fromarray(pixels[0]).resize((900, 700))), "JPEG")
    bodies[1] = channels.encoded(np.asarray(Image.fromarray(pixels[1]).convert("L")))
    exif = Image.Exif()
    exif[0x0112] = 6
    bodies[2] = channels.encoded(np.asarray(Image.fromarray(pixels[2]).resize((60, 90))), "JPEG", exif=exif)
    labels[10], labels[11] = 1 - labels[10], 1 - labels[11]
    return channels.write_bodies(tmp_path_factory.mktemp("test"), bodies, labels, CLASSES)


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
    assert 34 <= right <= 38
    assert report["gate"]["not_worse_than_champion"] == 1.0
    assert set(report["calibration"]) == {"nll", "ece", "brier", "bins"}
    assert {mistake["record"] for mistake in report["worst_mistakes"]} >= {10, 11}
    assert len(report["strangers"]["by_kind"]) == 7
    assert 0 <= report["risk_coverage"]["aurc"] <= 1
    assert all(isinstance(value, str) and "," not in value for value in report["metadata"].values())
    assert report["metadata"]["classes"] == "ant bee"


def test_the_report_lists_confidence_and_outcome_of_each_photo_for_monitoring(evaluated: Path) -> None:
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


def test_the_intervals_hold_the_figures_and_are_narrower_than_all(evaluated: Path) -> None:
    report = json.loads((evaluated / "evaluation.json").read_text())
    for name, (lower, upper) in report["confidence_intervals"].items():
        assert 0 <= lower <= report["gate"][name] <= upper <= 1
        assert upper - lower < 0.5


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 100_000))
def test_what_is_listed_photo_by_photo_is_bounded_and_ends_with_the_last(count: int) -> None:
    rows = evaluate._spread(count)
    assert len(rows) == min(count, evaluate.MAX_POINTS)
    assert rows[-1] == count - 1
    assert (np.diff(rows) > 0).all()


def test_the_picture_is_a_picture(evaluated: Path) -> None:
    with Image.open(evaluated / "evaluation.png") as picture:
        assert picture.size == (1400, 1250)
        assert len(picture.convert("RGB").getcolors(2**24) or []) > 500


def test_verification_photos_are_the_records_with_their_labels(evaluated: Path, photos: Path) -> None:
    labels = json.loads((evaluated / "verification" / "labels.json").read_text())
    bodies = {path.read_bytes() for path in (evaluated / "verification").iterdir() if path.suffix in (".png", ".jpg")}
    assert len(labels) == 40
    assert bodies == set(evaluate.read_photos(photos).bodies)


def test_the_answers_to_the_verification_photos_are_those_of_the_handler(
    evaluated: Path, model: Path, photos: Path
) -> None:
    folder = evaluated / "verification"
    labels = json.loads((folder / "labels.json").read_text())
    noted = json.loads((folder / "answers.json").read_text())
    served = evaluate.load(model)
    for file, answer in noted["answers"].items():
        (probabilities,) = served.probabilities([(folder / file).read_bytes()])
        assert answer["label"] == CLASSES[probabilities.argmax()]
        assert answer["confidence"] == pytest.approx(float(probabilities.max()), abs=1e-5)
    assert set(noted["answers"]) == set(labels)
    right = [noted["answers"][file]["label"] == label for file, label in labels.items()]
    assert noted["accuracy"] == np.mean(right) < 1


def test_what_is_evaluated_is_what_the_handler_answers_one_photo_at_a_time(model: Path, photos: Path) -> None:
    served = evaluate.load(model)
    bodies = evaluate.read_photos(photos).bodies
    together = served.probabilities(bodies)
    script = (
        "import sys, json; sys.path.insert(0, sys.argv[1] + '/code'); import inference, base64\n"
        "model = inference.model_fn(sys.argv[1])\n"
        "for line in sys.stdin:\n"
        "    images = inference.input_fn(line.encode(), 'application/json')\n"
        "    print(inference.output_fn(inference.predict_fn(images, model), 'application/json', model)[0].decode())\n"
    )
    requests = [json.dumps({"instances": [{"image": base64.b64encode(body).decode()}]}) for body in bodies]
    command = [sys.executable, "-W", "ignore", "-c", script, str(model)]
    done = subprocess.run(command, input="\n".join(requests), capture_output=True, text=True, check=True)
    answers = [json.loads(line)["predictions"][0]["probabilities"] for line in done.stdout.splitlines()]
    alone = np.array([[answer[name] for name in CLASSES] for answer in answers])
    assert np.abs(alone - together).max() < 1e-5


def test_a_packed_artifact_gives_the_same_report(model: Path, photos: Path, evaluated: Path, tmp_path: Path) -> None:
    packed = _packed(model, tmp_path / "model.tar.gz")
    assert _evaluate(packed, photos, tmp_path) == 0
    for name in ("evaluation.json", "history.json"):
        assert (tmp_path / name).read_bytes() == (evaluated / name).read_bytes()


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
    about["mean"] = [value + 1000 for value in about["mean"]]
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
    assert champions.compare(one, one, tolerance)["not_worse"]
    compared = champions.compare(one, other, tolerance)
    back = champions.compare(other, one, tolerance)
    assert compared["accuracy_difference"] == -back["accuracy_difference"]
    assert compared["not_worse"] or back["not_worse"]
    if one.mean() >= other.mean():
        assert compared["not_worse"]


def test_the_paired_test_by_hand() -> None:
    champion = np.ones(100, bool)
    challenger = champion.copy()
    challenger[:6] = False
    compared = champions.compare(challenger, champion, 0.02)
    assert (compared["photos_won"], compared["photos_lost"]) == (0, 6)
    assert compared["p_worse"] == pytest.approx(1 / 64)
    assert not compared["not_worse"]
    assert champions.compare(challenger, champion, 0.06)["not_worse"]


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
        (
            lambda path: _tar(path, "code/inference.py", b"raise RuntimeError('broken')"),
            "does not load through its handler",
        ),
    ],
    ids=["absent", "no tar", "climbs out", "link", "no handler", "handler raises"],
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
        ("history.json", b"[", "history.json is missing or not JSON"),
        ("history.json", b"{}", "is no list of epochs"),
        ("network-0000.params", b"no parameters", "does not load through its handler"),
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
    assert "images.rec is missing" in (tmp_path / "below" / "message").read_text()


def test_other_classes_than_the_models_are_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = channels.write(tmp_path / "test", 8, ("cat", "dog"))
    assert _evaluate(model, others, tmp_path) == 1
    assert "the model knows ant,bee, but the test records hold cat,dog" in capsys.readouterr().err


def test_no_test_photo_is_a_sentence(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _evaluate(model, channels.write(tmp_path / "test", 0), tmp_path) == 1
    assert "holds no photo to evaluate on" in capsys.readouterr().err


def test_two_artifacts_with_files_of_the_same_names_stay_apart(model: Path, tmp_path: Path) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    (other / "code" / "metrics.py").write_text("MARK = 'other'\n")
    first, second = evaluate.load(model), evaluate.load(other)
    assert isinstance(first.metrics, ModuleType)
    assert hasattr(first.metrics, "aurc")
    assert second.metrics.MARK == "other"
    assert "metrics" not in sys.modules or not hasattr(sys.modules["metrics"], "MARK")
