"""Compares an analysis with an earlier one, the baseline: has the bias grown, have the features' shares moved? Pure.

Source: "Bias Drift Violations" and "Model Feature Attribution Drift Violations" in the SageMaker developer guide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from sklearn.metrics import ndcg_score

Document = dict[str, Any]
NDCG_THRESHOLD = 0.9
_FAIR = {"DI": 1.0}
"""The value of a metric without any bias, where it is not 0."""


def violations(analysis: Document, baseline: Document) -> list[Document]:
    """The violations of a baseline's analysis.json by another one: what is in only one of them is not compared."""
    found: list[Document] = []
    for name in ("pre_training_bias_metrics", "post_training_bias_metrics"):
        if name in analysis and name in baseline:
            found += _bias(analysis[name]["facets"], baseline[name]["facets"])
    now, before = (one.get("explanations", {}).get("kernel_shap", {}) for one in (analysis, baseline))
    found += _attributions(now, before)
    return found


def _bias(now: Mapping[str, list[Document]], before: Mapping[str, list[Document]]) -> Iterator[Document]:
    """A violation for each bias metric that is now farther from its fair value than before; both by facet."""
    for facet, earlier in before.items():
        for place, group in enumerate(now.get(facet, [])):
            peer = next((one for one in earlier if one["value_or_threshold"] == group["value_or_threshold"]), None)
            if peer is None and len(earlier) == len(now[facet]):
                # The upper end of an interval is that of the data.
                peer = earlier[place]
            limits = {metric["name"]: metric.get("value") for metric in (peer or {"metrics": []})["metrics"]}
            for metric in group["metrics"]:
                value, limit = _number(metric.get("value")), _number(limits.get(metric["name"]))
                fair = _FAIR.get(metric["name"], 0.0)
                if value is not None and limit is not None and abs(value - fair) > abs(limit - fair):
                    yield {
                        "facet": facet,
                        "facet_value": str(group["value_or_threshold"]),
                        "metric_name": metric["name"],
                        "constraint_check_type": "bias_drift_check",
                        "description": f"Value {value} does not meet the constraint requirement",
                    }


def _number(value: Any) -> float | None:
    """A metric's value, which is a text where it is infinite; None where it could not be computed."""
    if value is None:
        return None
    number = float(value)
    return None if math.isnan(number) else number


def _attributions(now: Mapping[str, Document], before: Mapping[str, Document]) -> Iterator[Document]:
    """Compare the order and size of the features' shares by their normalized discounted cumulative gain."""
    for label, earlier in before.items():
        shares = earlier["global_shap_values"]
        current = now.get(label, {}).get("global_shap_values", {})
        names = [name for name in shares if name in current]
        if len(names) < 2:
            continue
        score = float(ndcg_score([[abs(shares[name]) for name in names]], [[abs(current[name]) for name in names]]))
        if score < NDCG_THRESHOLD:
            yield {
                "label": label,
                "metric_name": "shap",
                "constraint_check_type": "feature_attribution_drift_check",
                "description": f"Feature attribution drift {score} exceeds threshold {NDCG_THRESHOLD}",
            }
