"""The figures of a period as CloudWatch metrics, in the embedded metric format: a line of JSON in the function's log.

Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

_NAMESPACE = "LoadingBay"


def publish(monitoring: Mapping[str, Any], violations: int, lasting: int, application: str) -> None:
    """Prints the metrics of a period; figures that are not known are left out."""
    for dimensions, values in _groups(monitoring, violations, lasting):
        known = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
        if not known:
            continue
        named = {"Application": application, **dimensions}
        metric = {
            "Namespace": _NAMESPACE,
            "Dimensions": [list(named)],
            "Metrics": [{"Name": name} for name in known],
        }
        emf = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metric]}
        print(json.dumps({"_aws": emf, **named, **known}))


def _groups(
    monitoring: Mapping[str, Any], violations: int, lasting: int
) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Metrics by their dimensions beside the application's name."""
    count = monitoring["count"]
    estimates = monitoring.get("estimates") or {}

    def estimate(name: str, part: str) -> Any:
        return (estimates.get(name) or {}).get(part)

    yield (
        {},
        {
            "AcceptedShare": monitoring["share_above"],
            "UnknownShare": monitoring["share_unknown"],
            "MonitoredAnswers": count,
            "LabelledAnswers": monitoring["labelled"],
            "Accuracy": estimate("accuracy", "value"),
            "AccuracyLow": estimate("accuracy", "low"),
            "AccuracyHigh": estimate("accuracy", "high"),
            "AcceptedPrecision": estimate("accepted_precision", "value"),
            "AcceptedPrecisionLow": estimate("accepted_precision", "low"),
            "AcceptedPrecisionHigh": estimate("accepted_precision", "high"),
            "NeitherShare": estimate("neither_share", "value"),
            "ReviewQueueAgeHours": monitoring.get("review_queue_age_hours"),
            "ConfidenceDrift": monitoring["drift"].get("psi"),
            "Violations": violations,
            "LastingViolations": lasting,
        },
    )
    for column, difference in monitoring["differences"].items():
        yield {"Column": column}, {"StabilityIndex": difference["psi"], "PValue": difference["p_value"]}
    for name, answers in monitoring["answers"].items():
        yield {"Class": name}, {"AnswerShare": answers / count}
