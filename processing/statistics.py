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

    `psi` is the population stability index: below 0.1 is little, from 0.25 much. `p_value` is the share of all
    divisions of the values into two parts of these sizes whose cumulative shares are as far apart somewhere (the
    permutation test of the Kolmogorov-Smirnov distance): chance alone makes the index of a small sample large. The
    means are in the column's own unit.
    """

    psi: float
    p_value: float
    count: int
    mean: float
    baseline_mean: float


def difference(baseline: Histogram, observed: Histogram) -> Difference:
    """Compare two histograms over the same buckets, neither of them empty."""
    psi, p_value = stability(baseline.counts, observed.counts), _p_value(baseline.counts, observed.counts)
    return Difference(psi, p_value, int(observed.counts.sum()), observed.mean, baseline.mean)


def _p_value(before: npt.NDArray[np.int64], now: npt.NDArray[np.int64]) -> float:
    """The p-value of `Difference`, exact: all divisions are counted, bucket after bucket.

    `ways` holds, for each number of the stream's values among those of the buckets so far, the chance of it with no
    distance as large as the seen one up to there, when each value is the stream's with the same chance. Divided by the
    chance that the stream has as many values as it has, that is the share of divisions (as in Hodges, 1958, for values
    without ties).
    """
    from scipy.stats import binom  # takes half a second to import

    pooled, size, others = before + now, int(now.sum()), int(before.sum())
    share, seen = size / (size + others), _distance(before, now) - 1e-12
    ways, done = np.ones(1), 0
    for count in pooled.tolist():
        done += count
        ways = np.convolve(ways, binom.pmf(np.arange(count + 1), count, share))[: size + 1]
        mine = np.arange(len(ways))
        ways[np.abs(mine / size - (done - mine) / others) >= seen] = 0.0
    within = ways[size] / binom.pmf(size, size + others, share)
    return float(min(1.0, max(0.0, 1 - within)))


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


def _distance(before: npt.NDArray[np.int64], now: npt.NDArray[np.int64]) -> float:
    """The largest difference of the cumulative shares."""
    return float(np.abs(np.cumsum(before) / before.sum() - np.cumsum(now) / now.sum()).max())


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
    """Parse the histogram of a column of statistics.json; KeyError or ValueError for another form."""
    buckets: Sequence[Mapping[str, float]] = statistics["distribution"]["kll"]["buckets"]
    edges = np.array([buckets[0]["lower_bound"], *(one["upper_bound"] for one in buckets)], np.float64)
    counts = np.array([one["count"] for one in buckets], np.float64)
    if not np.isfinite(edges).all() or (np.diff(edges) < 0).any() or (counts < 0).any() or not counts.sum() > 0:
        raise ValueError("the buckets do not rise, or hold nothing")
    return Histogram(edges, counts.round().astype(np.int64), float(statistics["mean"]))
