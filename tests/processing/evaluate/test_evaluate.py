"""Evaluate: what its report says of the answers, of the champion, and of photos of other things."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from processing import datasets, statistics
from processing.evaluate import answers, artifact, champion, drawn, out_of_distribution, report
from processing.photo_features import Features
from tests.processing.evaluate import small_artifact
from tests.processing.evaluate.evaluations import answers_inside, answers_of, pack, run_evaluation, with_others
from tests.processing.evaluate.small_artifact import CLASSES, FIXED, ROOT

pytestmark = pytest.mark.usefixtures("fast")


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


@settings(max_examples=50)
@given(st.integers(1, 100_000))
def test_what_is_listed_photo_by_photo_is_bounded_and_ends_with_the_last(count: int) -> None:
    rows = report.spread(count)
    assert len(rows) == min(count, report.MAX_POINTS)
    assert rows[-1] == count - 1
    assert (np.diff(rows) > 0).all()


def test_the_picture_is_a_picture(evaluated: Path) -> None:
    with Image.open(evaluated / "evaluation.png") as picture:
        assert picture.size == (1400, 1730)
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
    asked = answers_of(model, [(folder / file).read_bytes() for file in noted["answers"]])
    for answer, probabilities in zip(noted["answers"].values(), asked.probabilities, strict=True):
        assert answer["label"] == CLASSES[probabilities.argmax()]
        assert answer["confidence"] == pytest.approx(float(probabilities.max()), abs=1e-5)
    assert set(noted["answers"]) == set(labels)
    right = [noted["answers"][file]["label"] == label for file, label in labels.items()]
    assert noted["accuracy"] == np.mean(right) < 1


def test_a_packed_artifact_gives_the_same_report(model: Path, photos: Path, tmp_path: Path) -> None:
    packed = pack(model, tmp_path / "model.tar.gz")
    for artifact_at, output in ((packed, "packed"), (model, "folder")):
        (tmp_path / output).mkdir()
        assert run_evaluation(artifact_at, photos, tmp_path / output) == 0
    for name in ("evaluation.json", "history.json", "verification/answers.json"):
        assert (tmp_path / "packed" / name).read_bytes() == (tmp_path / "folder" / name).read_bytes()


def test_the_champion_is_scored_on_the_same_photos(model: Path, photos: Path, tmp_path: Path) -> None:
    champion = pack(model, tmp_path / "champion.tar.gz")
    assert run_evaluation(model, photos, tmp_path, "--champion-model", str(champion)) == 0
    rival = json.loads((tmp_path / "evaluation.json").read_text())["champion"]
    assert rival["present"]
    assert rival["accuracy_difference"] == 0
    assert rival["not_worse"]


def test_a_version_that_answers_at_random_is_worse_than_the_champion(model: Path, photos: Path, tmp_path: Path) -> None:
    worse = shutil.copytree(model, tmp_path / "worse")
    about = json.loads((worse / "model.json").read_text())
    about["mean"] = [250, 0, 0]  # everything looks green
    (worse / "model.json").write_text(json.dumps(about))
    assert run_evaluation(worse, photos, tmp_path, "--champion-model", str(model)) == 0
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert report["gate"]["not_worse_than_champion"] == 0.0
    assert report["champion"]["p_worse"] < 0.01


def test_an_empty_champion_folder_means_no_champion(model: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert run_evaluation(model, photos, tmp_path, "--champion-model", str(tmp_path / "none")) == 0
    assert json.loads((tmp_path / "evaluation.json").read_text())["champion"] == {"present": False, "not_worse": True}


@settings(max_examples=100)
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


def test_other_classes_are_ranked_by_confidence_where_it_is_all_there_is(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    assert run_evaluation(model, with_others(tmp_path / "test", photos), tmp_path) == 0
    found = json.loads((tmp_path / "evaluation.json").read_text())
    outside = found["out_of_distribution"]
    assert outside["score"] == "confidence"
    assert outside["photos"]["accepted_by_kind"] == {"fly": 0, "moth": 1}, "moths are as green as bees"
    assert outside["photos"]["count"] == 20
    assert found["gate"]["out_of_distribution_accepted"] == outside["photos"]["accepted"] == 0.5
    assert float(found["metadata"]["out_of_distribution_accepted"]) == 0.5


def test_a_model_that_says_what_is_in_distribution_is_asked_for_it(photos: Path, tmp_path: Path) -> None:
    sure = small_artifact.write(tmp_path / "model", threshold=0.5, in_distribution_threshold=0.5)
    assert run_evaluation(sure, with_others(tmp_path / "test", photos), tmp_path) == 0
    outside = json.loads((tmp_path / "evaluation.json").read_text())["out_of_distribution"]
    assert outside["score"] == "in_distribution"
    assert outside["photos"]["accepted_by_kind"] == {"fly": 0, "moth": 1}
    answered = json.loads((tmp_path / "verification" / "answers.json").read_text())["answers"]
    assert all(0 <= answer["in_distribution"] <= 1 for answer in answered.values())


def test_the_figures_on_other_things_by_hand() -> None:
    inside, fly, moth = answers_inside(0.5, 0.7, *[0.9] * 18), answers_inside(0.6, 0.8), answers_inside(0.5)
    found = out_of_distribution.measure(inside, {"fly": fly, "moth": moth})
    assert found["accepted_by_kind"] == {"fly": 0.5, "moth": 0}
    assert found["accepted"] == 0.25, "the mean of the kinds"
    assert found["fpr_at_95_tpr"] == pytest.approx(1 / 3), "19 of 20 reach 0.7, and of the others only 0.8"
    pairs = [(a > b) + (a == b) / 2 for a in inside.score for b in (0.6, 0.8, 0.5)]
    assert found["auroc"] == pytest.approx(np.mean(pairs))
