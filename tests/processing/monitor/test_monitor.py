"""Captured answers: which are read, counted and judged, and when their confidence drifted."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.monitor import __main__ as monitor
from processing.monitor import captures, labels, lines
from processing.monitor import figures as figures_module
from tests.processing.monitor.captured import EVALUATION, JSON, capture, part, places, replaced, truth
from tests.processing.monitor.test_monitor_baseline import violated


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


def test_each_answer_is_judged_by_the_threshold_of_its_class(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        capture(1, 0.7, threshold=1.01, each={"threshold": 0.6}) + capture(2, 0.95, threshold=1.01, label="motorcycle")
    )
    answers, unread = captures.read_captures(tmp_path)
    assert answers["threshold"].tolist() == [0.6, 1.01]
    assert answers["accepted"].tolist() == [True, False]
    assert unread.lines == 0


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


@settings(max_examples=150)
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
        capture(4, 0.5, also=also, each={"in_distribution": 0, "several_classes": True}),
        capture(5, 0.5),
    ]
    found = figures(stream)
    assert found["several"] == 1
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


@pytest.mark.parametrize(
    "spoilt", [{}, {"metadata": []}, {"calibration": {"bins": 5}}, {"gate": {"accuracy": None}}, {"confidences": ["x"]}]
)
def test_an_evaluation_of_another_shape_is_no_evaluation(watch, spoilt):
    status, found, _, _ = watch([capture(1, 0.9)], evaluation=EVALUATION | spoilt if spoilt else [1])
    assert status == 0
    assert found["drift"]["verdict"] == "not known: no evaluation to compare with"


@settings(max_examples=300)
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


@pytest.mark.parametrize(
    ("flag", "value"), [("--review-share", "2"), ("--review-share", "-0.1"), ("--level", "nan"), ("--hours", "1e300")]
)
def test_a_parameter_out_of_range_ends_the_job_with_a_sentence(tmp_path, flag, value):
    message = tmp_path / "message"
    status = monitor.main(
        ["--captures", str(tmp_path), "--output", str(tmp_path), flag, value, "--message", str(message)]
    )
    assert (status, message.read_text().startswith(f"{flag} {float(value):g}: must be from 0 to ")) == (1, True)


def test_a_window_without_answers_is_no_failure(watch):
    status, found, folder, _ = watch([capture(1, 0.9)], more=["--since", "2027-01-01T00:00:00Z"])
    assert (status, found, violated(folder)) == (0, {"count": 0}, {})
