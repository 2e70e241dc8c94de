"""CloudWatch with its data points in SQLite, kept together: equal values of one second are one point with a count.

Unpatched, MiniStack keeps four points for each Lambda invocation, goes through all points of all metrics at every
request, replaces a metric's list while other threads add to it, which loses points, and writes all at each save.
Source: CloudWatch API Reference, MetricDatum: `Values` with `Counts`.
"""

import ast
import copy
import functools
import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from localcloud.ministack.database import Database
from localcloud.ministack.private_names import find_names

SCHEMA = """
CREATE TABLE IF NOT EXISTS points (
  id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, region TEXT NOT NULL, metric TEXT NOT NULL,
  at REAL NOT NULL, document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS points_by_time ON points (at);
"""
_SEARCHED = 64
_LOCK = threading.Lock()
_ROW = "_row"
"""The member of a point that is on disk: the row that it has there."""
_STATE = (
    "alarms", "composite_alarms", "composite_triggers", "alarm_history", "dashboards", "resource_tags",
)  # fmt: skip
_NAMES = (
    "_metrics", "_metric_bucket", "_evict_old_metrics", "_put_metric_data", "TWO_WEEKS_SECONDS", "get_state",
    "load_persisted_state", "get_account_id", "get_region", *(f"_{name}" for name in _STATE),
)  # fmt: skip

Point = dict[str, Any]
Key = tuple[str, str, tuple[Any, ...]]
"""Account, region and MiniStack's key of a metric."""


class Points(list[Point]):
    """The data points of a metric in the order of their arrival."""

    def __init__(self, points: Iterable[Point] = (), changed: Callable[[Point], None] = lambda point: None) -> None:
        """`changed(point)` is called with each point that is added or counted later."""
        super().__init__(points)
        self._changed = changed

    def append(self, point: Point) -> None:
        """Add a point, or count an equal value of the same second once more."""
        with _LOCK:
            same = self._counted_with(point)
            if same is None:
                super().append(point)
            else:
                same["Count"] = same.get("Count", 1.0) + point.get("Count", 1.0)
            self._changed(point if same is None else same)

    def _counted_with(self, point: Point) -> Point | None:
        """A point of the same second with the same value and unit, if there is one."""
        for earlier in reversed(self[-_SEARCHED:]):
            if int(earlier["Timestamp"]) != int(point["Timestamp"]):
                break
            if _same(earlier, point):
                return earlier
        return None

    def drop_older(self, cutoff: float) -> None:
        """Remove points from before a time, epoch seconds."""
        with _LOCK:
            if self and self[0]["Timestamp"] < cutoff:
                self[:] = [point for point in self if point["Timestamp"] >= cutoff]


def _same(one: Point, other: Point) -> bool:
    statistics = "_stat" in one or "_stat" in other
    return not statistics and one["Value"] == other["Value"] and one.get("Unit") == other.get("Unit")


class Metrics:
    """Patches ministack.services.cloudwatch to keep `Points`, which are on disk before PutMetricData is answered."""

    def __init__(self, cloudwatch: Any, database: Database) -> None:
        """Restore the points that are in `database`, and patch the module `cloudwatch`."""
        find_names(cloudwatch, *_NAMES)
        self._cloudwatch, self._database = cloudwatch, database
        self._changed: dict[int, tuple[Key, Point]] = {}
        self._storing = threading.Lock()
        self._restore()
        put, load = cloudwatch._put_metric_data, cloudwatch.load_persisted_state

        @functools.wraps(put)
        def put_and_store(*given: Any) -> Any:
            answer = put(*given)
            self.store()
            return answer

        @functools.wraps(load)
        def load_and_take_over(data: Any) -> None:
            if cloudwatch._metrics.has_any():
                data.pop("metrics", None)
            load(data)
            self._take_over()

        cloudwatch._put_metric_data, cloudwatch.load_persisted_state = put_and_store, load_and_take_over
        cloudwatch.get_state = lambda: {name: copy.deepcopy(getattr(cloudwatch, f"_{name}")) for name in _STATE}
        cloudwatch._metric_bucket, cloudwatch._evict_old_metrics = self._bucket, self._evict

    def store(self) -> None:
        """Commit the points that were added or counted. DiskError if that is not possible; it is tried again."""
        with self._storing:
            with _LOCK:
                changed, self._changed = self._changed, {}
                texts = [json.dumps({**point, _ROW: None}) for _, point in changed.values()]
            if not changed:
                return
            made = []
            try:
                with self._database.transaction() as write:
                    for (key, point), text in zip(changed.values(), texts, strict=True):
                        if _ROW in point:
                            write.execute("UPDATE points SET document = ? WHERE id = ?", (text, point[_ROW]))
                            continue
                        row = write.execute(
                            "INSERT INTO points (account, region, metric, at, document) VALUES (?, ?, ?, ?, ?)",
                            (*key[:2], repr(key[2]), point["Timestamp"], text),
                        ).lastrowid
                        made.append((point, row))
            except BaseException:
                with _LOCK:
                    self._changed = {**changed, **self._changed}
                raise
            for point, row in made:
                point[_ROW] = row

    def purge(self) -> None:
        """Remove points that are older than two weeks from the disk."""
        with self._database.transaction() as write:
            write.execute("DELETE FROM points WHERE at < ?", (self._cutoff(),))

    def _cutoff(self) -> float:
        return time.time() - float(self._cloudwatch.TWO_WEEKS_SECONDS)

    def _points(self, key: Key, points: Iterable[Point] = ()) -> Points:
        def changed(point: Point) -> None:
            self._changed[id(point)] = key, point

        return Points(points, changed)

    def _bucket(self, metric: tuple[Any, ...]) -> Points:
        """The points of a metric of the account and region in scope."""
        cloudwatch = self._cloudwatch
        found: Points | None = cloudwatch._metrics.get(metric)
        if found is None:
            made = self._points((cloudwatch.get_account_id(), cloudwatch.get_region(), metric))
            found = cloudwatch._metrics.setdefault(metric, made)
        return found

    def _evict(self) -> None:
        """Forget points of the scope that are older than two weeks."""
        metrics, cutoff = self._cloudwatch._metrics, self._cutoff()
        for metric in list(metrics):
            points = self._bucket(metric)
            points.drop_older(cutoff)
            if not points:
                metrics.pop(metric, None)

    def _restore(self) -> None:
        """Read the points that are on disk."""
        metrics = self._cloudwatch._metrics
        rows = self._database.rows("SELECT id, account, region, metric, document FROM points ORDER BY id")
        for row, account, region, text, document in rows:
            key = account, region, ast.literal_eval(text)
            points = metrics.get_scoped(*key)
            if points is None:
                points = self._points(key)
                metrics.set_scoped(*key, points)
            list.append(points, {**json.loads(document), _ROW: row})

    def _take_over(self) -> None:
        """Store the points that an older version kept in its state file."""
        metrics = self._cloudwatch._metrics
        for key, points in list(metrics.all_items()):
            if not isinstance(points, Points):
                metrics.set_scoped(*key, self._points(key, points))
                self._changed |= {id(point): (key, point) for point in points}
        self.store()
