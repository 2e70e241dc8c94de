"""Runs the monitoring job over captured lines."""

import json

import pytest

from processing import statistics
from processing.monitor import __main__ as monitor
from tests.formats import check


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
        found = None
        if (tmp_path / "out" / "monitoring.json").exists():
            found, violated = (
                json.loads((tmp_path / "out" / f"{name}.json").read_text())
                for name in ("monitoring", "constraint_violations")
            )
            check("violations", violated)
            if found["count"]:
                check("monitoring", found)
        return status, found, tmp_path, capsys.readouterr().err

    return run


@pytest.fixture
def figures(watch, monkeypatch):
    """The same without pictures, which take a second."""
    monkeypatch.setattr(monitor, "draw_stream", lambda *_: None)
    monkeypatch.setattr(monitor, "draw_report", lambda *_: None)
    return lambda *args, **options: watch(*args, **options)[1]
