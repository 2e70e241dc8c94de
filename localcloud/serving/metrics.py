"""Publishes the AWS/SageMaker metrics of endpoints to CloudWatch, by endpoint and variant."""

import threading
from collections import Counter
from collections.abc import Callable
from math import floor, log10
from typing import Any

from localcloud.state.embedded_metrics import counted
from localcloud.state.periodic import Periodic

NAMESPACE = "AWS/SageMaker"
EVERY_SECONDS = 5.0


class Metrics:
    """Counts requests in memory; a thread publishes the counts every 5 s; `cloudwatch()` is a boto3 client."""

    def __init__(self, cloudwatch: Callable[[], Any]) -> None:
        self._cloudwatch = cloudwatch
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], dict[str, Counter[float]]] = {}
        self._periodic = Periodic("publishing the metrics of endpoints", EVERY_SECONDS, self.publish)

    def put(self, endpoint: str, variant: str, status: int, model_seconds: float, all_seconds: float) -> None:
        """Count one request. `status` is the model server's HTTP status (0: no response); times are in seconds."""
        server_error = status >= 500 or status == 0
        values = {
            "Invocations": 1.0,
            "Invocation4XXErrors": float(400 <= status < 500),
            "Invocation5XXErrors": float(server_error),
            "InvocationModelErrors": float(status >= 400 or status == 0),
            "ModelLatency": _rounded(model_seconds * 1e6),
            "OverheadLatency": _rounded(max(0.0, all_seconds - model_seconds) * 1e6),
        }
        with self._lock:
            counters = self._counts.setdefault((endpoint, variant), {})
            for name, value in values.items():
                counters.setdefault(name, Counter())[value] += 1

    def publish(self) -> None:
        """Send the counts since the last call to CloudWatch."""
        with self._lock:
            counts, self._counts = self._counts, {}
        for (endpoint, variant), counters in counts.items():
            dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}]
            data = [
                entry
                for name, counter in counters.items()
                for entry in counted({"MetricName": name, "Dimensions": dimensions, "Unit": _unit(name)}, counter)
            ]
            self._cloudwatch().put_metric_data(Namespace=NAMESPACE, MetricData=data)

    def stop(self) -> None:
        """Publish the remaining counts and end the thread."""
        self._periodic.stop()


def _unit(name: str) -> str:
    return "Microseconds" if name.endswith("Latency") else "None"


def _rounded(value: float) -> float:
    """Round to two significant digits: percentiles are right within 5 %, and few distinct values are kept."""
    if value <= 0:
        return 0.0
    return round(value, 1 - floor(log10(value)))
