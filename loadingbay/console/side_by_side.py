"""What pages that put versions or runs side by side have in common. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadingbay.console import plots
from loadingbay.errors import UsageError
from pipelines.parameters import PARAMETERS

MOST = 4  # columns
DEFAULTS = {p.name: str(p.default) for p in PARAMETERS if p.default is not None}
"""What an execution runs with that was given nothing."""


def chosen(ticked: Sequence[str], what: str) -> list[str]:
    """What was ticked, each once. Raises UsageError when that is not two to four."""
    found = list(dict.fromkeys(ticked))
    if not 2 <= len(found) <= MOST:
        raise UsageError(f"{len(found)} {what} were chosen: tick two to {MOST} of them, then compare")
    return found


def differing(columns: Sequence[Mapping[str, str]], leave_out: tuple[str, ...] = ()) -> list[tuple[str, list[str]]]:
    """(name, the value of each column) where they are not all the same; names that begin so are left out."""
    names = sorted({name for column in columns for name in column if not name.startswith(leave_out)})
    listed = [(name, [column.get(name, "") for column in columns]) for name in names]
    return [(name, values) for name, values in listed if len(set(values)) > 1]


def confusion(evaluation: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Truth to answer to how often, of an evaluation.json; {} without it."""
    metrics = evaluation.get("multiclass_classification_metrics", {})
    found: dict[str, dict[str, int]] = metrics.get("confusion_matrix", {})
    return found


def curves(named: Sequence[tuple[str, Mapping[str, Any]]]) -> list[plots.Plot]:
    """Reliability, and risk against coverage, of (name, evaluation.json); [] when there is no evaluation."""
    bins = [(name, one.get("calibration", {}).get("bins", [])) for name, one in named]
    risks = [(name, one.get("risk_coverage", {})) for name, one in named]
    return [plots.reliability(bins), plots.risk_coverage(risks)] if any(one for _, one in named) else []
