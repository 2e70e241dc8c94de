"""Statistics of columns of numbers, in the form of SageMaker's statistics.json, and how much one differs from another.

Evaluate writes those of the test photos, which travel with the version, and Monitor compares the stream with them:
https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-byoc-statistics.html.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

NAME = "statistics.json"
BUCKETS = 10
MIN_COUNT = 30  # values, below which nothing is compared
DRAWS = 20_000  # of the permutation test: its smallest p-value is one in so many

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Histogram:
    """Counts of a column's values in buckets between rising `edges`, one more than there are counts."""

    edges: Floats
    counts: npt.NDArray[np.int64]
    mean: float

    @classmethod
    def of(cls, values: Floats) -> Histogram:
        """Buckets that hold a tenth of the values each; fewer where values are equal. `values` must not be empty."""
        edges = np.unique(np.quantile(values, np.linspace(0, 1, BUCKETS + 1)))
        if len(edges) == 1:
            edges = np.array([edges[0], edges[0]])
        return cls(edges, _count(values, edges), float(values.mean()))

    def like(self, values: Floats) -> Histogram:
        """The histogram of other values in the same buckets; what lies outside goes into the first or the last."""
        return Histogram(self.edges, _count(values, self.edges), float(values.mean()))


def _count(values: Floats, edges: Floats) -> npt.NDArray[np.int64]:
    place = np.searchsorted(edges[1:-1], values, side="right")
    return np.bincount(place, minlength=len(edges) - 1)


@dataclass(frozen=True)
class Difference:
    """How much a stream's histogram differs from a baseline's.

    `psi` is the population stability index: below 0.1 is little, from 0.25 much. `p_value` is the share of random
    divisions of all values into two parts of these sizes whose cumulative shares are as far apart somewhere (a
    permutation test of the Kolmogorov-Smirnov distance): chance alone makes the index of a small sample large. The
    means are in the column's own unit.
    """

    psi: float
    p_value: float
    count: int
    mean: float
    baseline_mean: float


def difference(baseline: Histogram, observed: Histogram, seed: int = 0) -> Difference:
    """Compare two histograms over the same buckets, neither of them empty."""
    pooled, size = baseline.counts + observed.counts, int(observed.counts.sum())
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(pooled, size, DRAWS, method="marginals")
    seen = _distance(baseline.counts[None], observed.counts[None])[0]
    extreme = int((_distance(pooled - drawn, drawn) >= seen - 1e-12).sum())
    psi = stability(baseline.counts, observed.counts)
    return Difference(psi, (extreme + 1) / (DRAWS + 1), size, observed.mean, baseline.mean)


def compare(baseline: Mapping[str, Histogram], columns: Mapping[str, Floats]) -> dict[str, Difference]:
    """The difference of each column that the baseline has too and that has at least MIN_COUNT values."""
    return {
        name: difference(baseline[name], baseline[name].like(values))
        for name, values in columns.items()
        if name in baseline and len(values) >= MIN_COUNT
    }


def stability(expected: npt.ArrayLike, observed: npt.ArrayLike) -> float:
    """Population stability index of two histograms over the same buckets; an empty bucket counts as half a photo."""
    before, now = (np.maximum(np.asarray(counts, float), 0.5) for counts in (expected, observed))
    before, now = before / before.sum(), now / now.sum()
    return float(((now - before) * np.log(now / before)).sum())


def _distance(before: npt.NDArray[Any], now: npt.NDArray[Any]) -> Floats:
    """(n, buckets) counts to (n,) largest differences of the cumulative shares."""
    shares = [np.cumsum(counts, axis=1) / counts.sum(axis=1, keepdims=True) for counts in (before, now)]
    return np.asarray(np.abs(shares[0] - shares[1]).max(axis=1), np.float64)


def describe(columns: Mapping[str, Floats], histograms: Mapping[str, Histogram], count: int) -> dict[str, Any]:
    """statistics.json of `count` rows: columns may have fewer values, and those with none are left out."""
    return {
        "version": 0.0,
        "dataset": {"item_count": count},
        "features": [
            {
                "name": name,
                "inferred_type": "Fractional",
                "numerical_statistics": {
                    "common": {"num_present": len(values), "num_missing": count - len(values)},
                    "mean": float(values.mean()),
                    "sum": float(values.sum()),
                    "std_dev": float(values.std()),
                    "min": float(values.min()),
                    "max": float(values.max()),
                    "distribution": {"kll": {"buckets": _buckets(histograms[name])}},
                },
            }
            for name, values in columns.items()
            if len(values)
        ],
    }


def _buckets(histogram: Histogram) -> list[dict[str, float]]:
    bounds = zip(histogram.edges[:-1].tolist(), histogram.edges[1:].tolist(), histogram.counts.tolist(), strict=True)
    return [{"lower_bound": low, "upper_bound": high, "count": float(count)} for low, high, count in bounds]


def write(folder: Path, statistics: Mapping[str, Any]) -> None:
    """Write statistics.json, refusing NaN, which JSON does not have."""
    (folder / NAME).write_text(json.dumps(statistics, indent=2, allow_nan=False) + "\n", "utf-8")


def read(folder: Path | None) -> dict[str, Histogram]:
    """The histograms of a statistics.json by column; none when there is no such file, or it has another form."""
    if folder is None or not (folder / NAME).is_file():
        return {}
    try:
        features = json.loads((folder / NAME).read_bytes())["features"]
        return {str(one["name"]): _histogram(one["numerical_statistics"]) for one in features}
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return {}


def _histogram(statistics: Mapping[str, Any]) -> Histogram:
    buckets: Sequence[Mapping[str, float]] = statistics["distribution"]["kll"]["buckets"]
    edges = np.array([buckets[0]["lower_bound"], *(one["upper_bound"] for one in buckets)], np.float64)
    counts = np.array([one["count"] for one in buckets], np.float64)
    if not np.isfinite(edges).all() or (np.diff(edges) < 0).any() or (counts < 0).any() or not counts.sum() > 0:
        raise ValueError("the buckets do not rise, or hold nothing")
    return Histogram(edges, counts.round().astype(np.int64), float(statistics["mean"]))
