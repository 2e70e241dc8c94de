"""Metrics that functions print in CloudWatch's embedded metric format, published so that alarms on them work.

The format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from localcloud.state.periodic import Periodic

EVERY_SECONDS = 1.0
_MOST_WAITING = 10_000
_MOST_AT_ONCE = 500
_MOST_VALUES = 150


class EmbeddedMetrics:
    """Finds metrics in what functions print and publishes them every second; `cloudwatch()` is a boto3 client."""

    def __init__(self, cloudwatch: Callable[[], Any]) -> None:
        self._cloudwatch = cloudwatch
        self._waiting: list[tuple[str, dict[str, Any]]] = []
        self._lock = threading.Lock()
        self._periodic = Periodic("publishing the metrics that functions print", EVERY_SECONDS, self.publish)

    def read(self, text: str) -> None:
        """Keep the metrics in `text`, what a function printed, until the next publication; at most 10,000 are kept."""
        found = list(metrics(text))
        with self._lock:
            self._waiting = (self._waiting + found)[-_MOST_WAITING:]

    def publish(self) -> None:
        """Send the metrics that were read since the last publication."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for namespace in dict.fromkeys(name for name, _ in waiting):
            data = _merged(datum for name, datum in waiting if name == namespace)
            for start in range(0, len(data), _MOST_AT_ONCE):
                self._cloudwatch().put_metric_data(Namespace=namespace, MetricData=data[start : start + _MOST_AT_ONCE])

    def stop(self) -> None:
        """Publish what is left and end the thread."""
        self._periodic.stop()


def counted(datum: dict[str, Any], values: Counter[float]) -> list[dict[str, Any]]:
    """Entries of PutMetricData as `datum` with these values and their counts: at most 150 distinct ones each."""
    items = sorted(values.items())
    parts = [items[start : start + _MOST_VALUES] for start in range(0, len(items), _MOST_VALUES)]
    return [{**datum, "Values": [v for v, _ in part], "Counts": [float(n) for _, n in part]} for part in parts]


def _merged(data: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The data with all values of a metric and second in one, as CloudWatch keeps no finer times."""
    found: dict[str, tuple[dict[str, Any], Counter[float]]] = {}
    for datum in data:
        place = str((datum["MetricName"], datum["Dimensions"], datum["Unit"], int(datum["Timestamp"])))
        found.setdefault(place, (datum, Counter()))[1].update(datum["Values"])
    return [entry for datum, values in found.values() for entry in counted(datum, values)]


def metrics(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(namespace, datum of PutMetricData) for each metric in a log; other lines are skipped, as on AWS."""
    for line in text.splitlines():
        if '"_aws"' not in line:
            continue
        try:
            yield from list(_of_document(json.loads(line)))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            continue


def _of_document(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The namespace and PutMetricData entry of each metric of one document, once for each set of its dimensions.

    KeyError, TypeError or ValueError if it is not in CloudWatch's embedded metric format.
    """
    about = document["_aws"]
    for directive in about["CloudWatchMetrics"]:
        for names in directive.get("Dimensions", [[]]):
            dimensions = [{"Name": name, "Value": str(document[name])} for name in names]
            for metric in directive["Metrics"]:
                value = document[metric["Name"]]
                values = value if isinstance(value, list) else [value]
                yield (
                    directive["Namespace"],
                    {
                        "MetricName": metric["Name"],
                        "Dimensions": dimensions,
                        "Timestamp": about["Timestamp"] / 1000,
                        "Values": [float(number) for number in values],
                        "Unit": metric.get("Unit", "None"),
                    },
                )
