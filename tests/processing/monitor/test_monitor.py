"""Monitoring: figures from captures, labels that come later, drift, and pictures that are drawn whatever came in."""

import base64
import io
import json
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from processing import photo_features, statistics
from processing.monitor import __main__ as monitor
from processing.monitor import captures, labels, lines, reports
from processing.monitor import figures as figures_module
from processing.statistics import Histogram


def photo(colour="red", size=(8, 6), kind="PNG"):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


def part(content_type, body, encoding="BASE64"):
    data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode()
    return {"observedContentType": content_type, "mode": "X", "data": data, "encoding": encoding}


def capture(number, *confidences, threshold=0.8, label="bicycle", inference_id=None, encoding="JSON", **more):
    """One captured line, as the endpoint writes it."""
    predictions = [{"label": label, "confidence": confidence, **more.get("each", {})} for confidence in confidences]
    answer = {
        "predictions": predictions,
        "threshold": threshold,
        **more.get("also", {}),
        "model": {"data_label": more.get("data_label", "photos")},
    }
    body = more.get("body", photo())
    about = {"eventId": f"event-{number}", "inferenceTime": f"2026-04-29T00:{number // 60:02}:{number % 60:02}Z"}
    if inference_id:
        about["inferenceId"] = inference_id
    data = {
        "endpointInput": part(more.get("content_type", "image/png"), body),
        "endpointOutput": more.get("output") or part("application/json", json.dumps(answer).encode(), encoding),
    }
    return json.dumps({"captureData": data, "eventMetadata": about, "eventVersion": "0"}) + "\n"


@pytest.fixture
def watch(tmp_path, capsys):
    """Runs the job over captured lines; returns exit status, figures, folder and what it said on stderr."""

    def run(lines, labels=None, evaluation=None, history=None, more=(), baseline=None):
        captures = tmp_path / "captures" / "0" / "10"
        captures.mkdir(parents=True, exist_ok=True)
        (captures / "a.jsonl").write_text("".join(lines))
        arguments = [
            "--captures",
            tmp_path / "captures",
            "--output",
            tmp_path / "out",
            "--message",
            tmp_path / "message",
        ]
        if labels is not None:
            (tmp_path / "labels").mkdir(exist_ok=True)
            (tmp_path / "labels" / "run.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in labels))
            arguments += ["--labels", tmp_path / "labels"]
        if evaluation is not None:
            (tmp_path / "evaluation").mkdir(exist_ok=True)
            (tmp_path / "evaluation" / "evaluation.json").write_text(json.dumps(evaluation))
            (tmp_path / "evaluation" / "history.json").write_text(json.dumps(history or []))
            if baseline is not None:
                statistics.write(tmp_path / "evaluation", baseline)
            arguments += ["--evaluation", tmp_path / "evaluation"]
        status = monitor.main([str(argument) for argument in (*arguments, *more)])
        path = tmp_path / "out" / "monitoring.json"
        return status, json.loads(path.read_text()) if path.exists() else None, tmp_path, capsys.readouterr().err

    return run


@pytest.fixture
def figures(watch, monkeypatch):
    """The same without pictures, which take a second."""
    monkeypatch.setattr(monitor, "draw_stream", lambda *_: None)
    monkeypatch.setattr(monitor, "draw_report", lambda *_: None)
    return lambda *args, **options: watch(*args, **options)[1]


EVALUATION = {
    "gate": {"accuracy": 0.9, "coverage": 0.8, "accepted_precision": 0.97},
    "metadata": {"threshold": "0.7000"},
    "calibration": {
        "bins": [
            {"confidence": 0.55, "accuracy": 0.5, "count": 20},
            {"confidence": 0.85, "accuracy": 0.9, "count": 30},
            {"confidence": 0.97, "accuracy": 1.0, "count": 50},
        ]
    },
    "multiclass_classification_metrics": {
        "confusion_matrix": {
            "bicycle": {"bicycle": 45, "motorcycle": 5},
            "motorcycle": {"bicycle": 5, "motorcycle": 45},
        }
    },
}
HISTORY = [
    {"phase": phase, "epoch": f"{epoch}/4", "train_loss": 1 / epoch, "validation_accuracy": accuracy}
    for phase in ("fold-1/2", "fold-2/2", "final")
    for epoch, accuracy in ((1, None), (2, 0.6), (3, None), (4, 0.9))
    if phase != "final" or accuracy is None
]


def test_shares_above_and_below_are_by_the_threshold_of_each_answer(figures):
    found = figures(
        [capture(1, 0.8), capture(2, 0.79), capture(3, 0.79, threshold=0.7), capture(4, 0.1, threshold=0.7)]
    )
    assert (found["count"], found["share_above"], found["share_below"]) == (4, 0.5, 0.5)
    assert found["threshold"] == 0.7
    assert found["mean_confidence"] == pytest.approx(0.62)


def test_every_photo_of_a_list_counts(figures):
    assert figures([capture(1, 0.9, 0.5, 0.95)])["count"] == 3


def test_base64_answers_are_read_as_json_ones(figures):
    assert figures([capture(1, 0.9, encoding="BASE64")])["count"] == 1


def test_csv_answers_are_judged_by_the_evaluated_threshold(figures):
    output = part("text/csv; charset=utf-8", b"bicycle,0.71,0.71,0.29\nmotorcycle,0.6,0.4,0.6\n", "CSV")
    found = figures([capture(1, output=output)], evaluation=EVALUATION)
    assert (found["count"], found["share_above"], found["answers"]) == (2, 0.5, {"bicycle": 1, "motorcycle": 1})


def test_a_csv_answer_without_any_threshold_is_counted_as_unreadable(figures):
    output = part("text/csv", b"bicycle,0.71,0.71,0.29\n", "CSV")
    found = figures([capture(1, output=output), capture(2, 0.9)])
    assert (found["count"], found["unreadable_lines"]) == (1, 1)


def test_the_stream_is_in_order_of_time_whatever_the_files_are_called(figures):
    found = figures([capture(9, 0.9, threshold=0.9), capture(2, 0.9, threshold=0.5)])
    assert (found["first"], found["last"], found["threshold"]) == ("2026-04-29T00:00:02Z", "2026-04-29T00:00:09Z", 0.9)


def test_a_line_that_came_twice_counts_once(figures):
    assert figures([capture(1, 0.9), capture(1, 0.9), capture(2, 0.9)])["count"] == 2


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[1]",
        "null",
        "{}",
        '{"captureData": {"endpointOutput": null}}',
        capture(1, 1.7),
        capture(1),
        capture(1, 0.9, output=part("application/json", b'{"error": "no"}')),
        capture(1, 0.9, output={"observedContentType": "application/json", "data": "%%%", "encoding": "BASE64"}),
        "[" * 50_000,
        capture(1, 0.9, threshold=math.nan),
        capture(1, 0.9, threshold=math.inf),
        capture(1, 0.9, threshold=1.5),
        capture(1, 0.9, threshold="high"),
        capture(1, 0.9, threshold=None),
        capture(1, 0.9, threshold=True),
        capture(1, 0.9, threshold=10**400),
        capture(1, math.nan),
        capture(1, "0.9"),
        capture(1, 0.9, label=None),
        capture(1, 0.9, label={"a": 1}),
        capture(1, 0.9, inference_id=5),
        capture(1, 0.9).replace("2026-04-29T00:00:01Z", "yesterday"),
        capture(1, 0.9).replace('"2026-04-29T00:00:01Z"', "5"),
        capture(1, 0.9).replace('"event-1"', "[]"),
        capture(1, 0.9, data_label=["photos"]),
        capture(1, 0.9, also={"in_distribution_threshold": 0.5}),
        capture(1, 0.9, also={"in_distribution_threshold": 0.5}, each={"in_distribution": math.nan}),
        capture(1, 0.9, also={"in_distribution_threshold": "0.5"}, each={"in_distribution": 0.5}),
        capture(1, 0.9, output=part("application/json", b"[" * 50_000)),
        capture(1, 0.9, output=part("text/csv", b"bicycle,inf,0.7,0.3\n")),
    ],
)
def test_lines_that_are_no_answers_are_counted_and_skipped(figures, line):
    found = figures([line.rstrip("\n") + "\n", capture(2, 0.9)])
    assert (found["count"], found["unreadable_lines"]) == (1, 1)


def test_a_last_line_cut_in_the_middle_is_counted_and_skipped(figures):
    found = figures([capture(1, 0.9), capture(2, 0.9)[:200]])
    assert (found["count"], found["unreadable_lines"]) == (1, 1)


def test_labels_join_by_inference_id_and_else_by_event_id(figures):
    lines = [capture(1, 0.9, inference_id="a"), capture(2, 0.9), capture(3, 0.5, inference_id="c"), capture(4, 0.9)]
    labels = [
        {"inferenceId": "a", "label": "bicycle"},
        {"eventId": "event-2", "label": "motorcycle"},
        {"inferenceId": "c", "label": "motorcycle"},
        {"inferenceId": "of another day", "label": "bicycle"},
    ]
    found = figures(lines, labels=labels)
    assert (found["labelled"], found["accuracy"], found["accepted_precision"]) == (3, pytest.approx(1 / 3), 0.5)
    assert (found["mistakes"], found["accepted_mistakes"]) == (2, 1)


def test_without_labels_nothing_is_said_about_accuracy(figures):
    found = figures([capture(1, 0.9)])
    assert (found["labelled"], found["accuracy"], found["accepted_precision"]) == (0, None, None)


def test_a_spoiled_label_is_counted(figures):
    assert figures([capture(1, 0.9)], labels=["x", {"label": "bicycle"}])["unreadable_labels"] == 2


def test_confidence_like_that_on_the_test_photos_is_no_drift(figures):
    confidences = [0.55] * 8 + [0.85] * 12 + [0.97] * 20
    found = figures([capture(at, confidence) for at, confidence in enumerate(confidences)], evaluation=EVALUATION)
    assert found["drift"]["psi"] == pytest.approx(0, abs=1e-3)
    assert found["drift"]["verdict"].startswith("none (")


def test_confidence_that_fell_is_large_drift(figures):
    found = figures([capture(at, 0.55) for at in range(40)], evaluation=EVALUATION)
    assert found["drift"]["verdict"].startswith("large (")
    assert found["drift"]["reference_count"] == 100


def test_single_confidences_give_a_kolmogorov_smirnov_test(figures):
    evaluation = EVALUATION | {"confidences": [0.5 + at / 200 for at in range(100)]}
    same = figures([capture(at, 0.5 + at / 80) for at in range(40)], evaluation=evaluation)["drift"]
    low = figures([capture(at, 0.51) for at in range(40)], evaluation=evaluation)["drift"]
    assert same["ks_p_value"] > 0.9
    assert low["ks_p_value"] < 1e-6


def test_drift_is_not_judged_on_a_handful(figures):
    assert figures([capture(1, 0.1)], evaluation=EVALUATION)["drift"] == {
        "verdict": "not known: 1 answers are fewer than 30"
    }


@settings(max_examples=150, deadline=None)
@given(cut=st.integers(0, 2000), put=st.binary(max_size=6))
def test_mutated_captures_are_read_or_counted(tmp_path_factory, cut, put):
    line = capture(1, 0.9, inference_id="a").encode()
    folder = tmp_path_factory.mktemp("captures")
    (folder / "a.jsonl").write_bytes(line[:cut] + put + line[cut + len(put) :])
    answers, unread = captures.read_captures(folder)
    assert len(answers) <= 1
    assert len(answers) or unread.lines or not (folder / "a.jsonl").read_bytes().strip()


def test_nothing_captured_is_a_sentence_and_exit_status_1(watch):
    status, found, folder, error = watch([])
    assert (status, found) == (1, None)
    assert error.startswith("No answers were captured in ")
    assert (folder / "message").read_text() == error


def test_nothing_within_the_hours_asked_for_is_a_sentence(watch):
    status, _, _, error = watch([capture(1, 0.9)], more=["--hours", "0.001"])
    assert status == 1
    assert "in the last 0.001 hours" in error


def test_only_unreadable_lines_are_said_to_be_so(watch):
    status, _, _, error = watch(["x\n", "y\n"])
    assert status == 1
    assert "2 lines could not be read" in error


def _photo(answers, row):
    return captures.read_photo(*answers.loc[row, ["path", "offset", "number"]])


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (photo(kind="JPEG"), "image/jpeg"),
        (json.dumps({"instances": [{"image": base64.b64encode(photo()).decode()}]}).encode(), "application/json"),
    ],
)
def test_the_captured_photo_is_found_again(tmp_path, body, content_type):
    (tmp_path / "a.jsonl").write_text(capture(1, 0.5) + capture(2, 0.9, body=body, content_type=content_type))
    answers, _ = captures.read_captures(tmp_path)
    assert _photo(answers, 1).size == (8, 6)


@pytest.mark.parametrize("body", [b"", b"no photo", photo()[:40]])
def test_a_photo_that_cannot_be_shown_does_not_stop_the_report(tmp_path, body):
    (tmp_path / "a.jsonl").write_text(capture(1, 0.9, body=body))
    answers, _ = captures.read_captures(tmp_path)
    assert _photo(answers, 0) is None


def texts(monkeypatch):
    """Collects every word that is drawn."""
    seen = []
    save = reports._save

    def keep(fig, path):
        import matplotlib.text

        seen.extend(item.get_text() for item in fig.findobj(matplotlib.text.Text) if item.get_text())
        save(fig, path)

    monkeypatch.setattr(reports, "_save", keep)
    return seen


def test_both_pictures_are_drawn_with_everything_on_them(watch, monkeypatch):
    seen = texts(monkeypatch)
    lines = [capture(at, 0.5 + at / 80, inference_id=f"i{at}", threshold=0.8 if at < 20 else 0.9) for at in range(40)]
    labels = [{"inferenceId": f"i{at}", "label": "motorcycle" if at in (3, 38) else "bicycle"} for at in range(40)]
    status, found, folder, _ = watch(lines, labels, EVALUATION, HISTORY)
    assert status == 0
    for name in ("stream.png", "report.png"):
        with Image.open(folder / "out" / name) as picture:
            picture.load()
        assert (folder / "out" / name).stat().st_size < reports.MAX_PICTURE_BYTES
    words = "\n".join(seen)
    assert found["share_above"] == pytest.approx(0.2)
    assert "20 % accepted, 80 % for a person to see" in words
    assert "threshold 0.800, now 0.900" in words
    assert "✗ bicycle 0.97" in words
    assert "1 of these 2 reached the threshold and were routed" in words
    assert "2 folds, and their mean: 90.0 %" in words
    assert "DRAWN" not in words


def test_drawn_samples_are_called_so_on_both_pictures(watch, monkeypatch):
    seen = texts(monkeypatch)
    watch([capture(1, 0.9, data_label="drawn samples"), capture(2, 0.4, data_label="drawn samples")])
    assert sum("DRAWN SAMPLES: pictures made by a program" in words for words in seen) == 2


def test_a_stream_of_thousands_is_drawn_within_bounds(watch, monkeypatch):
    seen = texts(monkeypatch)
    status, found, folder, _ = watch([capture(at, 0.5 + (at % 50) / 100) for at in range(1200)])
    assert (status, found["count"]) == (0, 1200)
    assert "The latest 60 of 1,200 photos just classified, each with its answer and confidence" in seen
    assert (folder / "out" / "report.png").stat().st_size < reports.MAX_PICTURE_BYTES


def truth(identity, label, **about):
    """A label in SageMaker's Ground Truth form."""
    data = {"data": label, "encoding": "CSV"}
    return {"groundTruthData": data, "eventMetadata": {"eventId": identity, **about}, "eventVersion": "0"}


def test_ground_truth_records_are_read_as_our_own_older_lines_are(figures):
    lines = [capture(1, 0.9, inference_id="a"), capture(2, 0.9), capture(3, 0.9, inference_id="c")]
    found = figures(
        lines, labels=[truth("a", "bicycle"), truth("event-2", "motorcycle"), {"inferenceId": "c", "label": "bicycle"}]
    )
    assert (found["labelled"], found["mistakes"], found["unreadable_labels"]) == (3, 1, 0)


def test_null_means_not_labelled_yet(figures):
    missing = [
        {"inferenceId": "a", "label": None},
        truth("b", None),
        {"groundTruthData": None, "eventMetadata": {"eventId": "c"}},
    ]
    found = figures([capture(1, 0.9, inference_id="a")], labels=missing)
    assert (found["labelled"], found["accuracy"], found["not_yet_labelled"]) == (0, None, 3)
    assert found["unreadable_labels"] == 0


def test_of_several_labels_the_latest_counts_in_any_order_of_lines(figures):
    first = truth("a", "motorcycle", labelTime="2026-04-29T09:00:00.000000+00:00")
    second = truth("a", "bicycle", labelTime="2026-04-29T10:00:00.000000+00:00")
    for order in ([first, second], [second, first]):
        assert figures([capture(1, 0.9, inference_id="a")], labels=order)["mistakes"] == 0


@pytest.mark.parametrize(
    "entry",
    [5, {"inferenceId": "a"}, {"inferenceId": "a", "label": ""}, {"inferenceId": "a", "label": 1},
     {"inferenceId": ["a"], "label": "bicycle"}, truth(None, "bicycle"), truth("a", ["bicycle"]),
     {"groundTruthData": {"data": "eA==", "encoding": "BASE64"}, "eventMetadata": {"eventId": "a"}},
     {"groundTruthData": "bicycle", "eventMetadata": {"eventId": "a"}}],
)  # fmt: skip
def test_labels_of_the_wrong_kind_are_counted(figures, entry):
    found = figures([capture(1, 0.9, inference_id="a")], labels=[entry])
    assert (found["labelled"], found["unreadable_labels"]) == (0, 1)


def test_labels_in_csv_are_read_with_or_without_a_heading(tmp_path):
    (tmp_path / "with.csv").write_bytes("\ufeffinferenceId,label\r\na,bicycle\r\nb,\r\n".encode())
    (tmp_path / "without.CSV").write_text('c,"motorcycle"\nd,bicycle,0.9\n')
    found = labels.read_labels(tmp_path)
    assert (found.truth, found.not_yet) == ({"a": "bicycle", "c": "motorcycle"}, 1)
    assert found.tally.lines == 1


def test_files_of_another_kind_are_named_and_those_of_the_system_are_not(tmp_path):
    (tmp_path / "labels.xlsx").write_bytes(b"PK")
    (tmp_path / "._labels.jsonl").write_bytes(b"\0\5\x16\7")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "2026").write_bytes(b"")  # what the S3 console makes for a folder
    found = labels.read_labels(tmp_path)
    assert (found.tally.ignored, found.tally.files, found.tally.lines) == (["labels.xlsx"], [], 0)


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(capture(1, 0.9))
    real = lines._lines

    def broken(path, tally):
        yield from real(path, tally)
        if path.name == "a.jsonl":
            raise OSError("Input/output error")

    monkeypatch.setattr(lines, "_lines", broken)
    answers, unread = captures.read_captures(tmp_path)
    assert (len(answers), unread.files) == (1, ["a.jsonl"])


def test_a_line_beyond_the_limit_counts_once_and_the_next_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(captures, "MAX_LINE_BYTES", 1000)
    (tmp_path / "a.jsonl").write_text("x" * 3500 + "\n" + capture(2, 0.9, body=b"x"))
    answers, unread = captures.read_captures(tmp_path)
    assert (len(answers), unread.lines) == (1, 1)
    assert answers["offset"][0] == 3501


def test_photos_of_something_else_are_counted_apart_from_unsure_ones(figures):
    known, unknown = {"in_distribution": 0.9}, {"in_distribution": 0.2}
    also = {"in_distribution_threshold": 0.5}
    stream = [
        capture(1, 0.9, also=also, each=known),
        capture(2, 0.5, also=also, each=known),
        capture(3, 0.9, also=also, each=unknown),
        capture(4, 0.5, also=also, each=unknown),
        capture(5, 0.5),
    ]
    found = figures(stream)
    assert (found["unsure"], found["unknown"], found["share_above"]) == (2, 2, 0.2)
    assert (found["share_unsure"], found["share_unknown"]) == (0.4, 0.4)


def test_a_photo_of_neither_is_a_mistake_only_when_it_was_accepted(figures):
    stream = [capture(1, 0.9, inference_id="a"), capture(2, 0.5, inference_id="b")]
    found = figures(stream, labels=[truth("a", "neither"), truth("b", "neither")])
    assert (found["neither"], found["mistakes"], found["accuracy"], found["accepted_precision"]) == (2, 1, 0.5, 0)


def test_times_of_other_zones_are_put_in_one_order(figures):
    later = capture(1, 0.9, threshold=0.5).replace("2026-04-29T00:00:01Z", "2026-04-29T02:00:00+01:00")
    found = figures([later, capture(2, 0.9)])
    assert (found["first"], found["last"]) == ("2026-04-29T00:00:02Z", "2026-04-29T01:00:00Z")


def test_a_photo_of_900_megapixels_is_not_decoded_for_the_grid(tmp_path):
    header = struct.pack(">II", 30_000, 30_000) + b"\x08\x02\0\0\0"
    body = photo()[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + photo()[33:]
    (tmp_path / "a.jsonl").write_text(capture(1, 0.9, body=body))
    answers, _ = captures.read_captures(tmp_path)
    assert _photo(answers, 0) is None


@pytest.mark.parametrize(
    "spoilt", [{}, {"metadata": []}, {"calibration": {"bins": 5}}, {"gate": {"accuracy": None}}, {"confidences": ["x"]}]
)
def test_an_evaluation_of_another_shape_is_no_evaluation(watch, spoilt):
    status, found, _, _ = watch([capture(1, 0.9)], evaluation=EVALUATION | spoilt if spoilt else [1])
    assert status == 0
    assert found["drift"]["verdict"] == "not known: no evaluation to compare with"


def described(photos, confidence):
    """statistics.json as Evaluate writes it of test photos."""
    rows = np.array([photo_features.measure(one) for one in photos])
    columns = {**dict(zip(photo_features.Features._fields, rows.T, strict=True)), "confidence": np.array(confidence)}
    histograms = {name: Histogram.of(values) for name, values in columns.items()}
    return statistics.describe(columns, histograms, len(photos))


def scenes(count, seed, dimmed=1.0):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 200, (count, 8, 8, 3)) * rng.uniform(0.5, 1.2, (count, 1, 1, 1)) * dimmed
    return [Image.fromarray(one.astype(np.uint8)) for one in pixels]


def encoded(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


TESTED = EVALUATION | {"test": {"count": 100, "per_class": {}}}


def stream_of(images, seed=0, low=0.75):
    confidences = np.random.default_rng(seed).uniform(low, 1, len(images)).tolist()
    return [capture(at, confidences[at], body=encoded(one)) for at, one in enumerate(images)]


def violated(folder):
    found = json.loads((folder / "out" / "constraint_violations.json").read_text())["violations"]
    return {one["feature_name"]: one for one in found}


@pytest.fixture
def baseline():
    return described(scenes(100, 1), np.random.default_rng(9).uniform(0.75, 1, 100))


def test_a_stream_like_the_test_photos_violates_nothing(watch, figures, baseline):
    figures(stream_of(scenes(60, 2)), evaluation=TESTED, baseline=baseline)
    status, found, folder, _ = watch(stream_of(scenes(60, 2)), evaluation=TESTED, baseline=baseline)
    assert (status, violated(folder)) == (0, {})
    assert set(found["differences"]) == {"brightness", "contrast", "sharpness", "colour", "confidence"}
    written = json.loads((folder / "out" / "statistics.json").read_text())
    assert {one["name"] for one in written["features"]} == set(found["differences"])


def test_a_camera_at_night_violates_brightness_and_says_by_how_much(watch, figures, baseline):
    _, _, folder, _ = watch(stream_of(scenes(60, 2, 0.3)), evaluation=TESTED, baseline=baseline)
    found = violated(folder)
    assert "brightness" in found
    assert found["brightness"]["constraint_check_type"] == "baseline_drift_check"
    assert "of 60 photos" in found["brightness"]["description"]


def test_a_share_that_fell_is_a_violation(watch, figures, baseline):
    lines = stream_of(scenes(60, 2), low=0.45)
    _, _, folder, _ = watch(lines, evaluation=TESTED, baseline=baseline)
    found = violated(folder)
    assert found["accepted_share"]["constraint_check_type"] == "LessThanThreshold"
    assert "from 0.800 of 100 test photos" in found["accepted_share"]["description"]
    assert "confidence" in found


def test_accuracy_that_fell_is_a_violation(watch, figures, baseline):
    wrong = [{"eventId": f"event-{at}", "label": "motorcycle" if at % 2 else "bicycle"} for at in range(60)]
    _, found, folder, _ = watch(stream_of(scenes(60, 2)), labels=wrong, evaluation=TESTED, baseline=baseline)
    assert found["accuracy"] == 0.5
    assert {"accuracy", "accepted_precision"} <= set(violated(folder))


def test_what_changed_is_named_on_both_pictures(watch, monkeypatch, baseline):
    seen = texts(monkeypatch)
    _, found, _, _ = watch(stream_of(scenes(60, 2, 0.3)), evaluation=TESTED, baseline=baseline)
    assert "brightness" in found["violations"]
    assert sum(words.startswith("Changed since the evaluation: ") and "brightness" in words for words in seen) == 2


def test_the_page_about_monitoring_names_every_figure(figures):
    page = (Path(__file__).resolve().parents[3] / "docs" / "monitoring.md").read_text()
    for name in figures([capture(1, 0.9)]):
        assert f"`{name}`" in page, name


def test_a_version_without_statistics_is_watched_without_them(watch, figures):
    status, found, folder, _ = watch(stream_of(scenes(40, 2)), evaluation=EVALUATION)
    assert (status, found["differences"], violated(folder)) == (0, {}, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    """The path to every value within a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(value, path, new):
    """The JSON value with another one at the path."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@settings(max_examples=300, deadline=None)
@given(st.data(), JSON)
def test_any_value_anywhere_in_a_capture_is_read_or_counted(tmp_path_factory, data, new):
    inside = {"also": {"in_distribution_threshold": 0.5}, "each": {"in_distribution": 0.7}}
    whole = json.loads(capture(1, 0.9, 0.3, inference_id="a", **inside))
    output = whole["captureData"]["endpointOutput"]
    answer = json.loads(output["data"])
    if data.draw(st.booleans()):
        whole = replaced(whole, data.draw(st.sampled_from(list(places(whole)))), new)
    else:
        output["data"] = json.dumps(replaced(answer, data.draw(st.sampled_from(list(places(answer)))), new))
    folder = tmp_path_factory.mktemp("captures")
    (folder / "a.jsonl").write_text(json.dumps(whole) + "\n" + capture(2, 0.9))
    answers, unread = captures.read_captures(folder)
    assert len(answers) - 1 in (0, 1, 2, 3)
    assert unread.lines == (0 if len(answers) > 1 else 1)
    nothing = labels.Labels({}, {}, {}, 0, lines.Tally())
    found = figures_module.build(labels.with_truth(answers, nothing), unread, nothing, None, {})
    json.dumps(found, allow_nan=False)


@settings(max_examples=200, deadline=None)
@given(st.data(), JSON)
def test_any_value_anywhere_in_a_label_is_read_or_counted(tmp_path_factory, data, new):
    forms = [truth("a", "bicycle", labelTime="2026"), {"inferenceId": "a", "label": "bicycle"}]
    entry = data.draw(st.sampled_from(forms))
    folder = tmp_path_factory.mktemp("labels")
    spoilt = replaced(entry, data.draw(st.sampled_from(list(places(entry)))), new)
    (folder / "a.jsonl").write_text(json.dumps(spoilt) + "\n")
    found = labels.read_labels(folder)
    assert len(found.truth) + found.not_yet + found.tally.lines == 1
    assert all(isinstance(text, str) for pair in found.truth.items() for text in pair)


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", ["$x^{$", "a$\\frac$b", "\ud800", "two\nlines", "\0", "x" * 10_000, "自転車"])
def test_any_name_of_a_class_can_be_drawn(watch, name):
    labels = [{"inferenceId": "a", "label": name + "!"}]
    status, found, _, error = watch([capture(1, 0.9, label=name, inference_id="a")], labels=labels)
    assert (status, error) == (0, "")
    assert found["mistakes"] == 1


def entries(folder):
    return {path.stem: json.loads(path.read_text()) for path in (folder / "labelled" / "entries").glob("*.json")}


def test_labelled_photos_are_written_one_by_one_and_once(watch, tmp_path, monkeypatch):
    monkeypatch.setattr(monitor, "draw_stream", lambda *_: None)
    monkeypatch.setattr(monitor, "draw_report", lambda *_: None)
    lines = [capture(n, 0.9, inference_id=name, body=photo(c)) for n, (name, c) in enumerate(
        [("a", "red"), ("b", "blue"), ("again", "red"), ("unlabelled", "green"), ("broken", "green")])]  # fmt: skip
    lines.append(capture(9, 0.9, inference_id="no-photo", body=b"none"))
    known = [
        truth("a", "bicycle", labelTime="2026-04-29T01:00:00Z", labelSource="review"),
        truth("b", "neither", labelTime="2026-04-29T01:00:00Z"),
        truth("again", "motorcycle", labelTime="2026-04-29T02:00:00Z", labelSource="correction"),
        truth("no-photo", "bicycle"),
        truth("nobody", "bicycle"),
    ]
    status, _, folder, _ = watch(lines, labels=known, more=["--labelled", tmp_path / "labelled"])
    assert status == 0
    said = {entry["inference_id"]: (entry["truth"], entry["source"]) for entry in entries(folder).values()}
    assert said == {"again": ("motorcycle", "correction"), "b": ("neither", "")}
    for digest, entry in entries(folder).items():
        assert entry["photo"] == f"{digest}.png"
        assert (folder / "labelled" / "photos" / entry["photo"]).read_bytes().startswith(b"\x89PNG")


def test_answers_before_the_window_are_read_for_their_labels_only(watch, tmp_path, monkeypatch):
    monkeypatch.setattr(monitor, "draw_stream", lambda *_: None)
    monkeypatch.setattr(monitor, "draw_report", lambda *_: None)
    lines = [capture(1, 0.9, inference_id="early"), capture(120, 0.9, inference_id="late")]
    more = ["--labelled", tmp_path / "labelled", "--since", "2026-04-29T01:01:00+01:00"]
    _, found, folder, _ = watch(lines, labels=[truth("early", "bicycle")], more=more)
    assert (found["count"], found["labelled"], len(entries(folder))) == (1, 0, 1)


def test_a_window_without_answers_is_no_failure(watch):
    status, found, folder, _ = watch([capture(1, 0.9)], more=["--since", "2027-01-01T00:00:00Z"])
    assert (status, found, violated(folder)) == (0, {"count": 0}, {})
