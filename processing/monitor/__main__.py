"""Looks at what the endpoint was asked and answered: confidence against threshold, drift, mistakes once labels arrive.

    python3 -m processing.monitor --captures DIR [--labels DIR] [--evaluation DIR] --output DIR

Reads data captures (`*.jsonl` in SageMaker's format, one request a line), labels (in the forms that labels.py names),
and what Evaluate wrote of the version in service. Writes monitoring.json, stream.png and report.png, and in SageMaker's
forms statistics.json and constraint_violations.json. What cannot be read is counted and reported. Nothing captured: one
sentence in --message and on stderr, exit status 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from processing import evaluation, job, statistics
from processing.job import JobError
from processing.monitor import figures, labelled, photos, sure_ones, violations
from processing.monitor.captures import TIME, read_captures
from processing.monitor.figures import Monitoring
from processing.monitor.labels import read_labels, with_truth
from processing.monitor.panels import percent
from processing.monitor.reports import draw_report, draw_stream
from processing.monitor.violations import Violation
from processing.statistics import Histogram

_MOST_HOURS = 100 * 365 * 24


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Every path is an argument; the defaults are SageMaker's."""
    processing = Path("/opt/ml/processing")
    parser = argparse.ArgumentParser(prog="processing.monitor", description=__doc__, allow_abbrev=False)
    parser.add_argument("--captures", type=Path, default=processing / "captures", help="a folder of *.jsonl")
    parser.add_argument("--labels", type=Path, help="a folder of *.jsonl and *.csv; may be missing")
    parser.add_argument("--evaluation", type=Path, help="what Evaluate wrote; may be missing")
    parser.add_argument("--output", type=Path, default=processing / "monitoring")
    parser.add_argument("--labelled", type=Path, help="where to put the labelled photos one by one; nowhere by default")
    parser.add_argument("--review-share", type=float, default=0.0, help="of the accepted answers, for people to see")
    parser.add_argument("--hours", type=float, help="look back this far from now; all that is there by default")
    parser.add_argument("--since", type=_time, default="", help="look at answers since then, as 2026-11-23T14:00:00Z")
    parser.add_argument(
        "--level",
        type=float,
        default=violations.LEVEL,
        help="chance that a report names any violation when nothing has changed",
    )
    job.add_message_flag(parser)
    return parser.parse_args(arguments)


def _time(text: str) -> str:
    """A time of ISO 8601 in the form TIME, "" for ""; what has no time zone is UTC."""
    if not text:
        return ""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC).strftime(TIME)


def monitor(options: argparse.Namespace) -> tuple[Monitoring, list[Violation]] | None:
    """Reads, writes all files, and returns the figures.

    JobError for a flag out of range, and when nothing was captured; but with --since, where that is no fault, None, and
    a count of 0 in the files.
    """
    job.require("--review-share", options.review_share, 0, 1)
    job.require("--level", options.level, 0, 1)
    job.require("--hours", options.hours, 0, _MOST_HOURS)
    evaluated = evaluation.read(options.evaluation)
    answers, unread = read_captures(options.captures, evaluation.thresholds(evaluated) if evaluated else None)
    labels = read_labels(options.labels)
    answers, without_answer = with_truth(answers, labels), labels.without(answers)
    if options.labelled:
        labelled.write(options.labelled, answers)
    since = options.since
    if options.hours:
        since = max(since, (datetime.now(UTC) - timedelta(hours=options.hours)).strftime(TIME))
    answers = answers[answers["time"] >= since].reset_index(drop=True)
    options.output.mkdir(parents=True, exist_ok=True)
    if answers.empty and options.since:
        _write(options.output, {"count": 0}, [])
        return None
    if options.labelled:
        sure_ones.write(options.output, options.labelled / "photos", answers, options.review_share)
    if answers.empty:
        span = f"in the last {options.hours:g} hours" if options.hours else f"in {options.captures}"
        rest = f"; {unread.lines} lines could not be read" if unread.lines else ""
        raise JobError(
            f"No answers were captured {span}{rest}: classify a photo, and wait until its capture is written."
        )
    columns = {"confidence": answers["confidence"].to_numpy(), **photos.features(answers)}
    baseline = statistics.read(options.evaluation)
    differences = statistics.compare(baseline, columns)
    found = figures.build(answers, unread, labels, evaluated, differences, without_answer)
    violated = violations.find(found, differences, evaluated, options.level)
    found["violations"] = [one["feature_name"] for one in violated]
    _write(options.output, found, violated)
    histograms = {
        name: baseline[name].like(values) if name in baseline else Histogram.of(values)
        for name, values in columns.items()
        if len(values)
    }
    statistics.write(options.output, statistics.describe(columns, histograms, len(answers)))
    draw_stream(options.output / "stream.png", answers, found, evaluated)
    draw_report(options.output / "report.png", answers, found, evaluated, evaluation.read_history(options.evaluation))
    return found, violated


def _write(folder: Path, found: Mapping[str, Any], violated: Sequence[Violation]) -> None:
    for name, content in (("monitoring", found), ("constraint_violations", {"violations": violated})):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def summary(found: Monitoring, violated: Sequence[Violation]) -> Iterator[str]:
    """What the log says of the figures, a line at a time."""
    above = percent(found["share_above"])
    yield f"{found['count']} answers: {above} accepted, at a threshold of {found['threshold']:.4f} for the latest"
    yield (
        f"not accepted: {found['unsure']} below the confidence threshold, "
        f"{found['unknown']} that most likely show nothing that the model knows, or several things "
        f"({found['several']} of them)"
    )
    yield f"drift: {found['drift']['verdict']}"
    yield from (f"violation: {one['description']}" for one in violated)
    yield f"{found['unreadable_lines']} lines of captures and {found['unreadable_labels']} of labels could not be read"
    if count := found["labels_from_the_future"]:
        yield f"{count} labels have a time that has not come yet, and count as the oldest: which clock is wrong?"
    if count := found["labels_without_answer"]:
        yield f"{count} labels are of no answer that was captured"
    for what, names in (("could not be read", found["unreadable_files"]), ("were ignored", found["ignored_files"])):
        if names:
            yield f"{len(names)} files {what}: {', '.join(names[:5])}{', and more' if len(names) > 5 else ''}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 with the reason in --message and on stderr."""
    options = parse_arguments(arguments)

    def work() -> None:
        found = monitor(options)
        for line in summary(*found) if found else [f"nothing was captured since {options.since}"]:
            print(line, flush=True)

    return job.run(work, options.message)


if __name__ == "__main__":
    sys.exit(main())
