"""The bench of the model: what it keeps between runs, and what its page says of goals and of parts not measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.model import report, run, throughput


def _seed(number: int, accuracy: float) -> dict[str, Any]:
    """What the bench measures with one seed."""
    figures = dict.fromkeys(report.FIGURES, 0.9) | {"test_accuracy": accuracy, "seed": number}
    recipe = {"epochs": 90, "folds": 3, "batch_size": 32, "learning_rate": 0.05}
    photos = {"train": 1000, "test": 100}
    return {
        **figures,
        "hyperparameters": recipe,
        "photos": photos,
        "drawn_by_kind": {"tree": 0.5},
        "accepted_by_class": {"cat": 0.1},
    }


def _crossval(at_best: float = 0.7) -> dict[str, Any]:
    figures = dict.fromkeys(("accuracy", "nll", "ece", "aurc", "coverage", "accepted_precision", "auroc"), 0.9)
    seeds = [{"accuracy": 0.9, "accepted_by_class": {"cat": share}} for share in (0.1, 0.3)]
    jpeg = {"accuracy_as_jpeg": 0.9, "coverage_as_jpeg": 0.6, "coverage_as_jpeg_at_best": at_best, "fpr_at_95_tpr": 0.1}
    return {"folds": 5, "count": 1000, "seeds": seeds, **figures, **jpeg}


def _prose(result: dict[str, Any]) -> str:
    """The page with its lines joined, for sentences are folded."""
    return " ".join(report.markdown(result).split())


def _goal(result: dict[str, Any], figure: str) -> dict[str, Any]:
    return next(goal for goal in result["goals"] if goal["figure"] == figure)


def test_a_goal_is_judged_by_the_mean_of_the_seeds() -> None:
    result = report.summary([_seed(1, 0.93), _seed(2, 0.96)], None, None, None)
    assert _goal(result, "test_accuracy")["value"] == pytest.approx(0.945)
    assert _goal(result, "test_accuracy")["reached"] is False
    assert _goal(report.summary([_seed(1, 0.95)], None, None, None), "test_accuracy")["reached"] is True


def test_what_may_be_at_most_so_much_is_judged_from_above() -> None:
    timing = {
        "wall_seconds": 61.0,
        "processor_seconds": 400.0,
        "load_before": 0.1,
        "same_weights": True,
        "machine": "m",
    }
    assert _goal(report.summary([], None, timing, None), "wall_seconds")["reached"] is False
    assert _goal(report.summary([], None, timing | {"wall_seconds": 59.0}, None), "wall_seconds")["reached"] is True


def test_a_part_that_was_not_measured_is_called_so_and_no_goal_reached() -> None:
    result = report.summary([_seed(1, 0.96)], None, None, None)
    assert _goal(result, "times")["reached"] is None
    assert "times those of the network before | at least 2.000 | not measured |  |" in report.markdown(result)


def test_the_page_has_a_column_for_each_seed_and_an_interval() -> None:
    page = report.markdown(report.summary([_seed(3, 0.92), _seed(7, 0.94)], None, None, None))
    assert "| seed 3 | seed 7 |" in page
    assert "| test accuracy | **0.930** | ± 0.127 | 0.920 | 0.940 |" in page  # 12.7 standard errors of 0.01


def test_a_single_seed_has_no_interval() -> None:
    page = report.markdown(report.summary([_seed(1, 0.94)], None, None, None))
    assert "| test accuracy | **0.940** | one seed | 0.940 |" in page
    assert "±" not in page


def test_vehicles_and_all_else_are_told_apart() -> None:
    found = report.by_kind({"truck": 0.2, "ship": 0.1, "cat": 0.06})
    assert found == {"vehicles_accepted": pytest.approx(0.15), "animals_accepted": 0.06}
    assert report.by_kind({"cat": 0.06})["vehicles_accepted"] is None


def test_a_kind_that_a_seed_did_not_meet_is_left_out_of_the_mean() -> None:
    result = report.summary([_seed(1, 0.9), _seed(2, 0.9) | {"vehicles_accepted": None}], None, None, None)
    assert result["means"]["vehicles_accepted"] == (0.9, None)
    assert "| photos of vehicles never learned from accepted | **0.900** | one seed | 0.900 |  |" in report.markdown(
        result
    )


def test_the_page_that_is_there_is_made_of_the_figures_that_are_there() -> None:
    docs = run.ROOT / "docs"
    figures = json.loads((docs / "model.json").read_text("utf-8"))
    assert (docs / "model.md").read_text("utf-8") == report.markdown(figures)


def test_the_page_tells_how_photos_saved_as_jpeg_fare() -> None:
    page = _prose(report.summary([], _crossval(at_best=0.77), None, None))
    assert "qualities 60 to 95: accuracy 0.900, coverage 0.600. With a threshold of their own" in page
    assert "in_distribution unasked, 0.770 of them could be accepted" in page


def test_the_page_tells_how_data_without_other_classes_fare() -> None:
    run = {**_crossval(), **_crossval()["seeds"][0], "accuracy_as_jpeg": 0.9}
    result = report.summary([], None, None, None, None, [{**run, "accepted_by_class": {"cat": 0.1, "ship": 0.3}}])
    assert result["without_others"]["vehicles_accepted"] == 0.3
    assert "Where the data hold no other classes (one seed; " in _prose(result)
    assert "accepted cat 0.10, ship 0.30." in _prose(result)


def test_the_page_has_the_mean_share_accepted_of_each_class() -> None:
    assert "accepted cat 0.20." in _prose(report.summary([], _crossval(), None, None))


def test_training_rates_are_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(throughput, "PHOTOS", 32)
    monkeypatch.setattr(throughput, "ROUNDS", 1)
    throughput.main()
    found = json.loads(capsys.readouterr().out)
    assert found["training"] > 0
    assert found["share"] == pytest.approx(found["training"] / found["bare"])


def test_a_result_is_kept_until_the_code_that_decides_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = run.parser().parse_args(["--archive", "photos.tar.gz", "--work", str(tmp_path)])
    run.Bench(flags).keep("part", lambda: {"value": 1})
    run.Bench(flags).keep("part", lambda: {"value": 2})
    assert run.Bench(flags).kept("part") == {"value": 1}
    assert "part: kept from an earlier run" in capsys.readouterr().out
    monkeypatch.setattr(run, "recipe_sha256", lambda: "other code")
    assert run.Bench(flags).kept("part") is None


def test_every_file_that_decides_is_there() -> None:
    assert all((run.ROOT / "training" / f"{name}.py").is_file() for name in run.DECIDING)
