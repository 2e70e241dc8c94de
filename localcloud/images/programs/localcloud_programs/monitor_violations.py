"""Compares a dataset with the constraints and the statistics of a baseline, as AWS's model monitor does. Pure.

Source: "Schema for Violations" in the SageMaker developer guide, and for distances the library deequ, which AWS's
analyzer is built on: the greatest difference of two distributions, from which the method Robust takes off what the
two-sample Kolmogorov-Smirnov test expects by chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from localcloud_programs.monitor_statistics import value_types

Document = dict[str, Any]
_CHANCE = 1.8


def violations(
    table: pd.DataFrame, observed: Document, baseline: Document, baseline_statistics: Document | None
) -> list[Document]:
    """The violations of `baseline`, the content of a constraints.json, by a table and its statistics `observed`.

    Without `baseline_statistics` no distributions are compared. The list is empty where `evaluate_constraints` is not
    Enabled.
    """
    config = baseline.get("monitoring_config", {})
    if config.get("evaluate_constraints", "Enabled") != "Enabled":
        return []
    expected = {feature["name"]: feature for feature in baseline.get("features", [])}
    before = {feature["name"]: feature for feature in (baseline_statistics or {}).get("features", [])}
    now = {feature["name"]: feature for feature in observed["features"]}
    found = list(_columns(len(now), len(expected)))
    for name, feature in expected.items():
        if name not in now:
            continue
        settings = {**config, **feature.get("monitoringConfigOverrides", {})}
        found += _of_values(feature, table[name], settings)
        if name in before:
            found += _drift(before[name], now[name], settings.get("distribution_constraints", {}))
    return found


def _violation(feature: str, check: str, description: str) -> Document:
    return {"feature_name": feature, "constraint_check_type": check, "description": description}


def _columns(current: int, expected: int) -> Iterator[Document]:
    """Yield a violation if the dataset has fewer or more columns than the baseline."""
    if current == expected:
        return
    kind = "missing" if current < expected else "extra"
    yield _violation(
        f"{kind.capitalize()} columns",
        f"{kind}_column_check",
        f"There are {kind} columns in current dataset. Number of columns in current dataset: {current}, "
        f"Number of columns in baseline constraints: {expected}",
    )


def _of_values(feature: Document, values: pd.Series[Any], settings: Document) -> Iterator[Document]:
    """The violations of what a feature's values must be: their type, how many are missing, and from which domain."""
    name, kind = feature["name"], feature.get("inferred_type", "Unknown")
    needed = settings.get("datatype_check_threshold", 1.0)
    matching = _matching(value_types(values), kind)
    if matching < needed:
        yield _violation(
            name,
            "data_type_check",
            f"Data type match requirement is not met. Expected data type: {kind}, Expected match: {needed:.1%}. "
            f"Observed: Only {matching:.5%} of data is {kind}.",
        )
    complete = float(values.notna().mean()) if len(values) else 0.0
    if complete < feature.get("completeness", 0.0):
        yield _violation(
            name,
            "completeness_check",
            f"Completeness requirement is not met. Expected: {feature['completeness']:.5%}, Observed: {complete:.5%}.",
        )
    domain = feature.get("string_constraints", {}).get("domains")
    if domain:
        present = values.dropna()
        known = float(present.isin(domain).mean()) if len(present) else 1.0
        wanted = settings.get("domain_content_threshold", 1.0)
        if known < wanted:
            strangers = ", ".join(sorted(set(present) - set(domain))[:5])
            yield _violation(
                name,
                "categorical_values_check",
                f"Value match requirement is not met. Expected match: {wanted:.1%}. Observed: Only {known:.5%} of "
                f"values are in the domain; others are: {strangers}.",
            )


def _matching(types: pd.Series[Any], kind: str) -> float:
    """Return the share (0 to 1) of values whose type fits a column of type `kind`.

    Whole numbers fit a column of fractional ones. In a column of texts with at least one text, every value fits, as
    in one of unknown type.
    """
    if kind == "Unknown" or not len(types):
        return 1.0
    if kind == "Fractional":
        return float(types.isin(["Integral", "Fractional"]).mean())
    if kind == "String" and (types == "String").any():
        return 1.0
    return float((types == kind).mean())


def _drift(before: Document, now: Document, settings: Document) -> Iterator[Document]:
    """A violation where a feature's distribution is farther from the baseline's than the threshold of `settings`."""
    if settings.get("perform_comparison", "Enabled") != "Enabled":
        return
    robust = settings.get("comparison_method", "Robust") == "Robust"
    threshold = settings.get("comparison_threshold", 0.1)
    if "numerical_statistics" in before and "numerical_statistics" in now:
        distance = numerical_distance(_sketch(before), _sketch(now), robust=robust)
    else:
        threshold = settings.get("categorical_comparison_threshold", threshold)
        histograms = (_histogram(before), _histogram(now))
        if not all(histograms):
            return
        distance = categorical_distance(*histograms, robust=robust)
    if distance > threshold:
        yield _violation(
            before["name"],
            "baseline_drift_check",
            f"Baseline drift distance: {distance} exceeds threshold: {threshold}",
        )


def _sketch(feature: Document) -> list[list[float]]:
    data: list[list[float]] = feature["numerical_statistics"]["distribution"]["kll"]["sketch"]["data"]
    return data


def _histogram(feature: Document) -> dict[str, float]:
    distribution = feature.get("string_statistics", {}).get("distribution", {})
    return {bucket["value"]: bucket["count"] for bucket in distribution.get("categorical", {}).get("buckets", [])}


def numerical_distance(before: list[list[float]], now: list[list[float]], *, robust: bool) -> float:
    """The greatest difference, 0 to 1, of the cumulative distributions of two quantile sketches."""
    (left, left_weights), (right, right_weights) = _weighted(before), _weighted(now)
    places = np.unique(np.concatenate([left, right]))
    shares = [
        np.concatenate([[0.0], np.cumsum(weights)])[np.searchsorted(values, places, side="right")] / weights.sum()
        for values, weights in ((left, left_weights), (right, right_weights))
    ]
    distance = float(np.abs(shares[0] - shares[1]).max())
    return _beyond_chance(distance, left_weights.sum(), right_weights.sum()) if robust else distance


def categorical_distance(before: dict[str, float], now: dict[str, float], *, robust: bool) -> float:
    """The greatest difference, 0 to 1, of the shares that one value has in two histograms."""
    sizes = sum(before.values()), sum(now.values())
    distance = max(abs(before.get(key, 0) / sizes[0] - now.get(key, 0) / sizes[1]) for key in before | now)
    return _beyond_chance(distance, *sizes) if robust else distance


def _beyond_chance(distance: float, left: float, right: float) -> float:
    return max(0.0, distance - _CHANCE * math.sqrt((left + right) / (left * right)))


def _weighted(levels: list[list[float]]) -> tuple[Any, Any]:
    """The values of a sketch in order, and how many each stands for."""
    values = np.concatenate([np.asarray(level, dtype=np.float64) for level in levels])
    weights = np.concatenate([np.full(len(level), float(1 << number)) for number, level in enumerate(levels)])
    order = np.argsort(values, kind="stable")
    return values[order], weights[order]
