"""The folder of a run, `runs/<time>-<execution>/`, its summary.json, and `runs/latest`, the last one that completed."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from loadingbay.errors import WorkError
from loadingbay.serving.photos import Outcome

DRAWN_LABEL = "drawn samples"
DRAWN = "These figures are of DRAWN SAMPLES, not of photos: --data names an archive or a folder of photos."
_SIMPLE = (
    "data",
    "accuracy",
    "threshold",
    "coverage",
    "accepted_precision",
    "pipeline_execution_arn",
    "model_package_arn",
    "endpoint_name",
)


@dataclass(frozen=True)
class Figures:
    """What a version is worth, from evaluation.json: shares from 0 to 1, and the label of the data they are of."""

    accuracy: float
    threshold: float
    coverage: float | None
    accepted_precision: float | None
    data: str


@dataclass
class Summary:
    """The record of a run, filled in as it goes on; None for what it has not come to.

    `data` is "cifar-100", "drawn samples" or "photos". `seconds` is the time of each part.
    """

    data: str | None = None
    accuracy: float | None = None
    threshold: float | None = None
    coverage: float | None = None
    accepted_precision: float | None = None
    pipeline_execution_arn: str | None = None
    model_package_arn: str | None = None
    endpoint_name: str | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    report: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    failure: str | None = None
    started: float = field(default_factory=time.monotonic)

    def take(self, figures: Figures | None) -> None:
        """Store the figures in the summary; no effect for None."""
        if figures is not None:
            self.accuracy, self.threshold, self.data = figures.accuracy, figures.threshold, figures.data
            self.coverage, self.accepted_precision = figures.coverage, figures.accepted_precision

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Counts the seconds inside the `with` to that part."""
        begins = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - begins

    @property
    def drawn(self) -> bool:
        """Whether all figures are of drawn samples, which every screen must say."""
        return self.data == DRAWN_LABEL

    def document(self) -> dict[str, Any]:
        """As summary.json has it. `failure` is there only when the run failed."""
        document: dict[str, Any] = {name: getattr(self, name) for name in _SIMPLE}
        document["executions"] = [
            {
                "photo": o.photo,
                "status": o.status,
                "vehicle": o.vehicle,
                "confidence": o.confidence,
                "error": o.error,
            }
            for o in self.outcomes
        ]
        document["report"] = self.report
        parts = {name: round(seconds, 2) for name, seconds in self.seconds.items()}
        document["seconds"] = {"total": round(time.monotonic() - self.started, 2), **parts}
        if self.failure:
            document["failure"] = self.failure
        return document


def create(root: Path, execution: str) -> Path:
    """A new folder for the run of this execution. Raises WorkError when the disk takes none."""
    folder = root / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{execution}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(f"the results of the run cannot be kept in {folder}: {error.strerror}") from error
    return folder


def write(folder: Path, summary: Summary) -> Path:
    """Write summary.json atomically; return its path."""
    place = folder / "summary.json"
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, suffix=".part", delete=False) as part:
            part.write(json.dumps(summary.document(), indent=2) + "\n")
        Path(part.name).chmod(0o644)
        Path(part.name).replace(place)
    except OSError as error:
        raise WorkError(f"the summary cannot be written to {place}: {error.strerror}") from error
    return place


def complete(root: Path, folder: Path) -> None:
    """Makes `latest` name this run, in one step: a reader sees the old run or the new one."""
    link = root / f".latest-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    link.replace(root / "latest")


def latest(root: Path) -> Path | None:
    """The folder of the last complete run."""
    link = root / "latest"
    return link.resolve() if link.is_dir() else None
