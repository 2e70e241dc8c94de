"""Labels that come later: which answer each belongs to, and which photos they make training data."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.monitor import __main__ as monitor
from processing.monitor import labels
from tests.formats import check
from tests.processing.monitor.captured import JSON, capture, photo, places, replaced, truth


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
    assert found["labels_without_answer"] == 1


CSV = {
    "headings": b"inferenceId,label\na,bicycle\n",
    "no headings": b"a,bicycle\n",
    "byte order mark and CRLF": b"\xef\xbb\xbfinferenceId,label\r\na,bicycle\r\n",
    "quotation marks": b'"inferenceId","label"\n"a","bicycle"\n',
    "columns the other way round": b"label,inferenceId\nbicycle,a\n",
    "more columns": b'inferenceId,note,label\na,"no, really",bicycle\n',
    "semicolons": b"inferenceId;label\na;bicycle\n",
    "tabs": b"inferenceId\tlabel\na\tbicycle\n",
    "spaces": b" EventId , Label \n event-1 , bicycle \n",
}


def read_csv(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(content)
    return labels.read_labels(tmp_path)


@pytest.mark.parametrize("content", CSV.values(), ids=CSV.keys())
def test_csv_is_read_as_spreadsheets_write_it(tmp_path, content):
    found = read_csv(tmp_path, content)
    assert (list(found.truth.values()), found.tally.lines) == (["bicycle"], 0)
    assert found.truth.keys() <= {"a", "event-1"}


@pytest.mark.parametrize(
    "content",
    [b"inferenceId,label\ra,bicycle\r", b'a,"bicycle\n', b"a,bicycle,me\n", b"a\n", b"a,\xe9\n", b"a\0,b\xff\n"],
    ids=["line ends of old", "a quotation mark too few", "a cell too many", "a cell too few", "Latin-1", "no text"],
)
def test_csv_that_cannot_be_read_is_counted(tmp_path, content):
    found = read_csv(tmp_path, content)
    assert (found.truth, found.tally.lines) == ({}, 1)


@pytest.mark.parametrize(
    ("data", "encoding", "label"),
    [
        (" bicycle\n", "CSV", "bicycle"),
        ('"bicycle"', "CSV", "bicycle"),
        ('"bicycle"', "JSON", "bicycle"),
        ("bicycle", "JSON", "bicycle"),
        ("bicycle,motorcycle", "CSV", None),
        (1, "CSV", None),
        (["bicycle"], "CSV", None),
        ("\ud800", "CSV", None),
        ("YmljeWNsZQ==", "BASE64", None),
    ],
)
def test_a_ground_truth_label_is_decoded_as_it_says(tmp_path, data, encoding, label):
    entry = {"groundTruthData": {"data": data, "encoding": encoding}, "eventMetadata": {"eventId": "a"}}
    (tmp_path / "labels.jsonl").write_text(json.dumps(entry))
    found = labels.read_labels(tmp_path)
    assert (found.truth, found.tally.lines) == (({"a": label}, 0) if label else ({}, 1))


def test_without_labels_nothing_is_said_about_accuracy(figures):
    found = figures([capture(1, 0.9)])
    assert (found["labelled"], found["accuracy"], found["accepted_precision"]) == (0, None, None)


def test_a_spoiled_label_is_counted(figures):
    assert figures([capture(1, 0.9)], labels=["x", {"label": "bicycle"}])["unreadable_labels"] == 2


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


def test_the_latest_label_is_that_by_the_clock_whatever_zone_it_names(figures):
    first = truth("a", "motorcycle", labelTime="2026-04-29T11:30:00+02:00")  # 09:30 UTC
    second = truth("a", "bicycle", labelTime="2026-04-29T10:00:00Z")
    for order in ([first, second], [second, first]):
        assert figures([capture(1, 0.9, inference_id="a")], labels=order)["mistakes"] == 0


def test_a_label_from_the_future_counts_as_the_oldest_and_is_told(figures):
    ahead = truth("a", "motorcycle", labelTime="2199-01-01T00:00:00Z")
    corrected = truth("a", "bicycle", labelTime="2026-04-29T10:00:00Z")
    for order in ([ahead, corrected], [corrected, ahead]):
        found = figures([capture(1, 0.9, inference_id="a")], labels=order)
        assert (found["mistakes"], found["labels_from_the_future"]) == (0, 1)
        assert "1 labels have a time that has not come yet" in " ".join(monitor.summary(found, []))
    alone = figures([capture(1, 0.9, inference_id="a")], labels=[ahead])
    assert (alone["labelled"], alone["mistakes"]) == (1, 1)  # it is the only one there is


def test_a_clock_that_is_some_minutes_ahead_is_believed(tmp_path):
    now = datetime(2026, 4, 29, 10, tzinfo=UTC)
    (tmp_path / "a.jsonl").write_text(json.dumps(truth("a", "bicycle", labelTime="2026-04-29T10:04:00Z")) + "\n")
    found = labels.read_labels(tmp_path, now)
    assert (found.from_the_future, found.times["a"][:16]) == (0, "2026-04-29T10:04")
    assert labels.read_labels(tmp_path, now - timedelta(minutes=2)).from_the_future == 1


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


@settings(max_examples=200)
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
        check("labelled_entry", entry)
        assert entry["photo"] == f"{digest}.png"
        assert (folder / "labelled" / "photos" / entry["photo"]).read_bytes().startswith(b"\x89PNG")


def test_answers_before_the_window_are_read_for_their_labels_only(watch, tmp_path, monkeypatch):
    monkeypatch.setattr(monitor, "draw_stream", lambda *_: None)
    monkeypatch.setattr(monitor, "draw_report", lambda *_: None)
    lines = [capture(1, 0.9, inference_id="early"), capture(120, 0.9, inference_id="late")]
    more = ["--labelled", tmp_path / "labelled", "--since", "2026-04-29T01:01:00+01:00"]
    _, found, folder, _ = watch(lines, labels=[truth("early", "bicycle")], more=more)
    assert (found["count"], found["labelled"], len(entries(folder))) == (1, 0, 1)


def test_a_capture_whose_label_is_no_text_is_counted(figures):
    found = figures([capture(1, 0.9, label="\ud800"), capture(2, 0.9)])
    assert (found["count"], found["unreadable_lines"]) == (1, 1)
