"""What is printed at the end: the routes, the photos worth a look, and the approval as it can be typed."""

import io
import shlex
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadingbay.registry.history import Period
from loadingbay.registry.versions import Version
from loadingbay.screen import results
from loadingbay.screen.progress import Output
from loadingbay.serving.photos import Outcome
from loadingbay.story.run import Finished
from loadingbay.story.summary import Summary
from loadingbay.target import choose

VERSION = Version(3, "arn:aws:sagemaker:x:y:model-package/loadingbay/3", "Approved", datetime.now(UTC), "", {}, "")


@pytest.fixture
def out():
    return Output(file=io.StringIO(), width=120)


def _outcome(name, confidence, status="SUCCEEDED", vehicle="bicycle", label="bicycle", error=None):
    reach: dict[str, float] | None = {"from_km": 0, "to_km": 5} if status == "SUCCEEDED" else None
    return Outcome(name, label, status, vehicle, confidence, 0.8, "Bay 1", reach, error, "because", "arn", "id")


def _text(out):
    return out.file.getvalue()


@pytest.mark.parametrize(
    ("threshold", "coverage", "precision", "said"),
    [
        (0.8, 0.89, 0.966, "threshold 0.800, 89% of photos reach it, 96.6% of those are right"),
        (0.99, 0.0, 0.0, "threshold 0.990, 0% of photos reach it"),
        (1.01, 0.0, 0.0, "threshold 1.010: every photo goes to a person"),
    ],
)
def test_what_a_threshold_does_is_said_in_one_line(out, threshold, coverage, precision, said):
    summary = Summary(accuracy=0.95, threshold=threshold, coverage=coverage, accepted_precision=precision)
    results.figures(out, summary, VERSION)
    assert _text(out) == f"Model version 3: test accuracy 95.0%, {said}\n"


def test_routes_are_counted_by_bay_and_refusals_have_their_own_line(out):
    refused = [_outcome("c", 0.5, "FAILED", error="ConfidenceThresholdNotMet")]
    results.routes(
        out, [_outcome("a", 0.9), _outcome("b", 0.95), *refused, _outcome("d", None, "FAILED", error="NoPhoto")]
    )
    lines = [line.split() for line in _text(out).splitlines()]
    assert ["bicycle", "Bay", "1", "0", "to", "5", "km", "2"] in lines
    assert ["not", "sure", "enough", "review", "queue", "1"] in lines
    assert ["failed", "NoPhoto", "1"] in lines


def test_the_surest_mistake_is_the_first_example(out):
    outcomes = [
        _outcome("right", 0.99),
        _outcome("wrong", 0.9, label="motorcycle"),
        _outcome("surer", 0.95, label="motorcycle"),
    ]
    results.examples(out, outcomes)
    assert [line.split()[0] for line in _text(out).splitlines()[1:]] == ["surer", "wrong", "right"]
    assert "wrongly: it is a motorcycle" in _text(out)


def test_examples_are_few_and_a_full_list_is_in_its_order(out):
    outcomes = [_outcome(f"p{n}", n / 100) for n in range(50)]
    results.examples(out, outcomes)
    assert len(_text(out).splitlines()) == 1 + 3
    results.examples(out, outcomes, limit=None)
    assert [line.split()[0] for line in _text(out).splitlines()[5:]] == [f"p{n}" for n in range(50)]


def test_drawn_samples_are_named_plainly(out):
    results.drawn_notice(out, False)
    assert _text(out) == ""
    results.drawn_notice(out, True)
    assert "DRAWN SAMPLES, not of photos" in _text(out)


@pytest.mark.parametrize(("new", "times"), [(True, 0), (False, 1)])
@pytest.mark.parametrize("approval", ["Approved", "PendingManualApproval", "Rejected"])
def test_a_run_that_changed_nothing_says_so_once(out, tmp_path, new, times, approval):
    done = Finished(Summary(accuracy=0.95, threshold=0.8), replace(VERSION, approval=approval), new, tmp_path)
    results.pending(out, done, choose({}, tmp_path))
    assert _text(out).count("Nothing changed: this is version 3") == times
    results.finished(out, done, tmp_path)
    assert _text(out).count("Nothing changed: this is version 3") == 2 * times


def test_what_others_wrote_is_printed_as_it_is(out, tmp_path):
    odd = "wrong [/data] [b] :bike:"
    version = replace(VERSION, approval="Rejected", comment=odd)
    done = Finished(Summary(accuracy=0.95, threshold=0.8, report=f"/{odd}.png"), version, False, tmp_path / odd)
    results.pending(out, done, choose({}, tmp_path))
    results.finished(out, done, tmp_path, data=odd)
    assert _text(out).count(f"It was rejected: {odd}.") == 2
    results.examples(out, [replace(_outcome("photo", 0.9), photo=odd)])
    assert _text(out).count(odd) == 2 + 3


def test_what_to_try_next_names_the_same_data(out, tmp_path):
    done = Finished(Summary(report="report.png"), VERSION, True, tmp_path)
    results.finished(out, done, tmp_path, data="--data ants --classes ant,bee", local=True)
    assert " run --data ants --classes ant,bee --learning-rate 0.03\n" in _text(out)
    assert " down " in _text(out)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["drawn samples", "photos"], "Version 1 learned from drawn samples"),
        (["drawn samples", "drawn samples"], "DRAWN SAMPLES"),
        (["photos"], "version"),
    ],
)
def test_history_says_which_versions_learned_from_drawn_samples(out, labels, said):
    listed = [
        Period(n, "config", datetime.now(UTC), None, "you", "", {"data_label": label})
        for n, label in enumerate(labels, start=1)
    ]
    results.history(out, listed)
    assert _text(out).removeprefix("These figures are of ").startswith(said)


def test_what_is_piped_is_neither_cut_nor_broken(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stdout", pipe)
    out = results.console()
    comment = "because " * 60
    results.finished(out, Finished(Summary(report="/runs/" + "x" * 300), VERSION, True, Path("/runs")), Path("/"))
    results.history(out, [Period(1, "config", datetime.now(UTC), None, "you", comment.strip(), {})])
    assert "/runs/" + "x" * 300 in pipe.getvalue()
    assert comment.strip() in pipe.getvalue()


def test_no_line_that_is_piped_ends_with_spaces(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stdout", pipe)
    out = results.console()
    served = [Period(number, "config", datetime.now(UTC), None, "you", "x" * number, {}) for number in (9, 1)]
    results.history(out, served)
    results.examples(out, [_outcome("a", 0.9), _outcome("b", None, "FAILED", error="NoPhoto")])
    lines = pipe.getvalue().splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert any(line.endswith(" x") for line in lines)
    assert any(line.endswith("x" * 9) for line in lines)


def test_on_a_narrow_terminal_the_comment_gives_way():
    narrow = Output(file=io.StringIO(), width=80)
    since = datetime(2026, 11, 26, 18, 3, tzinfo=UTC)
    results.history(
        narrow, [Period(1, "config", since, None, "arn:aws:iam::1:user/ada", "because " * 9, {"accuracy": "0.9"})]
    )
    document = {
        "cloud": {"endpoint_url": "http://127.0.0.1:4747", "running": True},
        "stack": {"name": "loadingbay", "outputs": {}},
        "pipeline": None,
        "endpoint": None,
        "versions": [
            {"version": 1, "approval": "Approved", "comment": "because " * 9, "created": since.isoformat()}
            | {"accuracy": "0.96", "threshold": "0.8157", "coverage": "0.91", "data_label": "cifar-100"}
        ],
    }
    results.status(narrow, document)
    text = _text(narrow)
    for word in f"{since.astimezone():%Y-%m-%d %H:%M:%S} accuracy threshold endpoint gone ada".split():
        assert word in text
    assert f"cifar-100  {since.astimezone():%d %b %H:%M}  " in text
    assert all(line.rstrip().endswith("…") for line in text.splitlines() if "…" in line)


@pytest.mark.parametrize(
    ("monitoring", "versions", "line"),
    [
        ({"schedule": "rate(1 hour)", "enabled": True, "pipeline": "bay-monitoring", "missing": []}, [],
         "Watch bay-monitoring, rate(1 hour)"),
        ({"schedule": None, "enabled": False, "pipeline": "bay-monitoring", "missing": ["the schedule is gone"]}, [],
         "Watch the schedule is gone"),
        (None, ["Approved"], "Endpoint gone, though version 1 is approved"),
        (None, ["PendingManualApproval"], "Endpoint none yet"),
    ],
)  # fmt: skip
def test_status_tells_what_is_gone(out, monitoring, versions, line):
    listed = [{"version": 1, "approval": one, "comment": "", "created": "2026-11-26T00:00:00Z"} for one in versions]
    document = {"cloud": {"endpoint_url": "", "running": True}, "stack": {"name": "bay", "outputs": {}}}
    results.status(out, {**document, "pipeline": None, "endpoint": None, "versions": listed, "monitoring": monitoring})
    assert line in " ".join(_text(out).split())


def test_the_aws_command_can_be_typed_as_it_stands():
    words = shlex.split(results.aws_approval(choose({}, Path("/project")), VERSION))
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:4747" in words
    assert "AWS_SHARED_CREDENTIALS_FILE=/project/.loadingbay/cloud/credentials" in words
    assert not any("SECRET" in word for word in words)
    assert words[words.index("--model-package-arn") + 1] == VERSION.arn
    assert words[words.index("--model-approval-status") + 1] == "Approved"


def test_on_aws_the_command_names_no_endpoint_and_no_secret():
    command = results.aws_approval(choose({"LOADINGBAY_CLOUD": "aws"}, Path("/project")), VERSION)
    assert "AWS_" not in command


def test_status_of_an_empty_cloud_says_what_comes_next(out):
    document = {
        "cloud": {"endpoint_url": "http://127.0.0.1:4747", "running": True},
        "stack": {"name": "loadingbay", "outputs": None},
        "pipeline": None,
        "versions": [],
        "endpoint": None,
    }
    results.status(out, document)
    assert "deploy` deploys it" in _text(out)
    assert "run` starts one" in _text(out)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (["cifar-100", "drawn samples"], "Version 2 learned from drawn samples"),
        (["drawn samples", "drawn samples"], "DRAWN SAMPLES"),
        (["cifar-100", "cifar-100"], ""),
    ],
)
def test_drawn_samples_are_said_of_the_versions_that_are_of_them(labels, says):
    output = io.StringIO()
    versions = [{"version": n, "data_label": label} for n, label in enumerate(labels, 1)]
    results.drawn_versions(Output(file=output, width=200), versions)
    assert (says in output.getvalue()) if says else output.getvalue() == ""
    assert ("DRAWN" in output.getvalue()) == (says == "DRAWN SAMPLES")


@pytest.mark.parametrize(("kept", "shown"), [("0.8057", "0.806"), ("0.93", "0.930"), ("", ""), ("as before", "")])
def test_status_rounds_a_threshold_as_the_end_of_a_run_does(out, kept, shown):
    document = {
        "cloud": {"endpoint_url": "http://127.0.0.1:4747", "running": True},
        "stack": {"name": "loadingbay", "outputs": None},
        "pipeline": None,
        "versions": [
            {"version": 1, "approval": "Approved", "threshold": kept, "created": "2026-11-26T12:00:00Z", "comment": ""}
        ],
        "endpoint": None,
    }
    results.status(out, document)
    assert _text(out).splitlines()[-1].split()[:-3] == ["1", "approved", *filter(None, [shown])]
