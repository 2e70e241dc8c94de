"""Looks at what the endpoint was asked and answered: confidence against threshold, drift, mistakes once labels arrive.

    python3 -m processing.monitor --captures DIR [--labels DIR] [--evaluation DIR] --output DIR

Reads data captures (`*.jsonl` in SageMaker's format, one request a line), labels (`{"inferenceId": .., "label": ..}` a
line) and the evaluation of the version in service. Writes monitoring.json, stream.png and report.png. Lines that cannot
be read are counted and reported. Nothing captured: one sentence in --message and on stderr, exit status 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from processing import job
from processing.job import JobError
from processing.monitor.captures import read_captures, read_json, read_labels, with_labels
from processing.monitor.drift import figures
from processing.monitor.panels import percent
from processing.monitor.reports import draw_report, draw_stream


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Every path is an argument; the defaults are SageMaker's."""
    processing = Path("/opt/ml/processing")
    parser = argparse.ArgumentParser(prog="processing.monitor", description=__doc__, allow_abbrev=False)
    parser.add_argument("--captures", type=Path, default=processing / "captures", help="a folder of *.jsonl")
    parser.add_argument("--labels", type=Path, help="a folder of *.jsonl; may be missing")
    parser.add_argument("--evaluation", type=Path, help="holds evaluation.json and history.json; may be missing")
    parser.add_argument("--output", type=Path, default=processing / "monitoring")
    parser.add_argument("--hours", type=float, help="look back this far from now; all that is there by default")
    job.add_message_flag(parser)
    return parser.parse_args(arguments)


def monitor(options: argparse.Namespace) -> dict[str, Any]:
    """Reads, writes the three files, and returns the figures. Raises JobError when nothing was captured."""
    evaluation = read_json(options.evaluation, "evaluation.json")
    evaluation = evaluation if isinstance(evaluation, dict) else None
    try:
        fallback = float((evaluation or {})["metadata"]["threshold"])
    except (KeyError, TypeError, ValueError):
        fallback = None
    since = datetime.now(UTC) - timedelta(hours=options.hours) if options.hours else None
    answers, unread = read_captures(options.captures, since.strftime("%Y-%m-%dT%H:%M:%SZ") if since else "", fallback)
    if not answers:
        span = f"in the last {options.hours:g} hours" if options.hours else f"in {options.captures}"
        rest = f"; {unread} lines could not be read" if unread else ""
        raise JobError(
            f"No answers were captured {span}{rest}: classify a photo, and wait until its capture is written."
        )
    labels, unread_labels = read_labels(options.labels)
    answers = with_labels(answers, labels)
    found = figures(answers, unread, evaluation) | {"unreadable_labels": unread_labels}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "monitoring.json").write_text(json.dumps(found, indent=2, allow_nan=False) + "\n")
    draw_stream(options.output / "stream.png", answers, found, evaluation)
    draw_report(
        options.output / "report.png", answers, found, evaluation, read_json(options.evaluation, "history.json")
    )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 with the reason in --message and on stderr."""
    options = parse_arguments(arguments)

    def work() -> None:
        found = monitor(options)
        above, below = percent(found["share_above"]), percent(found["share_below"])
        print(f"{found['count']} answers: {above} at or above the threshold {found['threshold']:.4f}, {below} below")
        print(f"{found['unreadable_lines']} lines could not be read; drift: {found['drift']['verdict']}", flush=True)

    return job.run(work, options.message)


if __name__ == "__main__":
    sys.exit(main())
