"""The statistics of a dataset and the constraints that they suggest, in the form of AWS's model monitor. Pure.

Source: "Schema for Statistics" and "Schema for Constraints" in the SageMaker developer guide. AWS's analyzer is built
on the library deequ, whose published rules are followed where the guide is silent: the types of texts, the population's
standard deviation, and for which texts a domain is suggested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

Document = dict[str, Any]
BUCKETS = 10
SKETCH_SIZE = 2048
"""How many values a quantile sketch keeps at most on its highest level."""
MAX_DOMAIN = 120
"""A text feature with more distinct values has no histogram and no domain."""
_INTEGRAL = r"[-+]?\s?\d+"
_FRACTIONAL = r"[-+]?\s?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?|[-+]?\s?\d+[eE][-+]?\d+"
MONITORING_CONFIG: Document = {
    "evaluate_constraints": "Enabled",
    "emit_metrics": "Enabled",
    "datatype_check_threshold": 1.0,
    "domain_content_threshold": 1.0,
    "distribution_constraints": {
        "perform_comparison": "Enabled",
        "comparison_threshold": 0.1,
        "comparison_method": "Robust",
        "categorical_comparison_threshold": 0.1,
        "categorical_drift_method": "LInfinity",
    },
}


def value_types(values: pd.Series[Any]) -> pd.Series[Any]:
    """For each present value its type: Integral, Fractional or String."""
    texts = values.dropna().astype(str).str.strip()
    types = pd.Series("String", index=texts.index, dtype=object)
    types[texts.str.fullmatch(_FRACTIONAL)] = "Fractional"
    types[texts.str.fullmatch(_INTEGRAL)] = "Integral"
    return types


def inferred_type(types: pd.Series[Any]) -> str:
    """The type of a column from those of its values: Unknown without any, String if one is no number."""
    found = set(types.unique())
    return next((kind for kind in ("String", "Fractional", "Integral") if kind in found), "Unknown")


def numbers(values: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The present values of a column of numbers."""
    return values.dropna().astype(str).str.replace(" ", "").to_numpy(dtype=np.float64)


def statistics(table: pd.DataFrame) -> Document:
    """The content of statistics.json for a table of texts, see `monitor_data`."""
    features = [_feature(str(name), table[name]) for name in table.columns]
    return {"version": 0.0, "dataset": {"item_count": len(table)}, "features": features}


def _feature(name: str, values: pd.Series[Any]) -> Document:
    """The entry of one column in statistics.json."""
    kind = inferred_type(value_types(values))
    present = int(values.notna().sum())
    common = {"num_present": present, "num_missing": len(values) - present}
    if kind in ("Integral", "Fractional"):
        return {"name": name, "inferred_type": kind, "numerical_statistics": {"common": common, **_of_numbers(values)}}
    if kind == "Unknown":
        return {"name": name, "inferred_type": kind, "string_statistics": {"common": common, "distinct_count": 0.0}}
    counts = values.value_counts()
    text: Document = {"common": common, "distinct_count": float(len(counts))}
    if len(counts) <= MAX_DOMAIN:
        buckets = [{"value": str(value), "count": int(count)} for value, count in sorted(counts.items())]
        text["distribution"] = {"categorical": {"buckets": buckets}}
    return {"name": name, "inferred_type": kind, "string_statistics": text}


def _of_numbers(values: pd.Series[Any]) -> Document:
    """The members of numerical_statistics of a column beside `common`."""
    found = np.sort(numbers(values))
    return {
        "mean": float(found.mean()),
        "sum": float(found.sum()),
        "std_dev": float(found.std()),
        "min": float(found[0]),
        "max": float(found[-1]),
        "distribution": {
            "kll": {
                "buckets": _buckets(found),
                "sketch": {"parameters": {"c": 0.64, "k": float(SKETCH_SIZE)}, "data": sketch(found)},
            }
        },
    }


def _buckets(found: np.ndarray[Any, np.dtype[np.float64]]) -> list[Document]:
    """The histogram of sorted numbers in BUCKETS buckets of equal width."""
    counts, edges = np.histogram(found, BUCKETS, (float(found[0]), float(found[-1])))
    return [
        {"lower_bound": float(lower), "upper_bound": float(upper), "count": float(count)}
        for lower, upper, count in zip(edges, edges[1:], counts, strict=False)
    ]


def sketch(found: np.ndarray[Any, np.dtype[np.float64]]) -> list[list[float]]:
    """The levels of a quantile sketch of sorted numbers; a value on level n stands for 2 to the power of n of them.

    The highest level keeps at most SKETCH_SIZE values, evenly spaced; what is left over stands on the levels below.
    """
    levels, rest = 0, found
    while len(rest) >> levels > SKETCH_SIZE:
        levels += 1
    data: list[list[float]] = [[] for _ in range(levels + 1)]
    for level in range(levels, -1, -1):
        weight = 1 << level
        whole = len(rest) // weight * weight
        data[level] = [float(value) for value in rest[:whole][weight // 2 :: weight]]
        rest = rest[whole:]
    return data


def constraints(observed: Document, table: pd.DataFrame) -> Document:
    """The content of constraints.json: what `observed`, the statistics of `table`, suggest for the datasets to come."""
    features = []
    for feature in observed["features"]:
        values = table[feature["name"]]
        suggestion: Document = {
            "name": feature["name"],
            "inferred_type": feature["inferred_type"],
            "completeness": float(values.notna().mean()) if len(values) else 0.0,
        }
        if "numerical_statistics" in feature:
            suggestion["num_constraints"] = {"is_non_negative": feature["numerical_statistics"]["min"] >= 0}
        elif domain := _domain(feature):
            suggestion["string_constraints"] = {"domains": domain}
        features.append(suggestion)
    return {"version": 0.0, "features": features, "monitoring_config": MONITORING_CONFIG}


def _domain(feature: Document) -> Sequence[str]:
    """The observed texts, if at most every tenth of them occurs only once; else none."""
    categorical = feature["string_statistics"].get("distribution", {}).get("categorical", {"buckets": []})
    buckets = categorical["buckets"]
    once = sum(bucket["count"] == 1 for bucket in buckets)
    return [bucket["value"] for bucket in buckets] if once <= len(buckets) / 10 else []
