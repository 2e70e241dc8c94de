"""CloudWatch data points kept together: equal values of one second are one point with a count.

Unpatched, MiniStack keeps four points for each Lambda invocation, goes through all points of all metrics at every
request, and replaces a metric's list while other threads add to it, which loses points.
Source: CloudWatch API Reference, MetricDatum: `Values` with `Counts`.
"""

import threading
import time
from collections.abc import Iterable
from typing import Any

from localcloud.ministack.private_names import find_names

_SEARCHED = 64
_LOCK = threading.Lock()

Point = dict[str, Any]


class Points(list[Point]):
    """The data points of a metric in the order of their arrival."""

    def append(self, point: Point) -> None:
        """Add a point, or count an equal value of the same second once more."""
        with _LOCK:
            for earlier in reversed(self[-_SEARCHED:]):
                if int(earlier["Timestamp"]) != int(point["Timestamp"]):
                    break
                if _same(earlier, point):
                    earlier["Count"] = earlier.get("Count", 1.0) + point.get("Count", 1.0)
                    return
            super().append(point)

    def drop_older(self, cutoff: float) -> None:
        """Remove points from before a time, epoch seconds."""
        with _LOCK:
            if self and self[0]["Timestamp"] < cutoff:
                self[:] = [point for point in self if point["Timestamp"] >= cutoff]

    def __deepcopy__(self, _memo: dict[int, Any]) -> list[Point]:
        with _LOCK:
            return [dict(point) for point in self]


def _same(one: Point, other: Point) -> bool:
    statistics = "_stat" in one or "_stat" in other
    return not statistics and one["Value"] == other["Value"] and one.get("Unit") == other.get("Unit")


def install(cloudwatch: Any) -> None:
    """Patch ministack.services.cloudwatch to keep `Points`."""
    find_names(cloudwatch, "_metrics", "_metric_bucket", "_evict_old_metrics", "TWO_WEEKS_SECONDS")
    metrics = cloudwatch._metrics

    def bucket(key: tuple[Any, ...]) -> Points:
        points: Iterable[Point] = metrics.get(key) or ()
        if not isinstance(points, Points):
            points = metrics[key] = Points(points)
        return points

    def evict() -> None:
        cutoff = time.time() - cloudwatch.TWO_WEEKS_SECONDS
        for key in list(metrics):
            points = bucket(key)
            points.drop_older(cutoff)
            if not points:
                metrics.pop(key, None)

    cloudwatch._metric_bucket, cloudwatch._evict_old_metrics = bucket, evict
