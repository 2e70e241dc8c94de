"""Counters in memory that all processes share, shown in Prometheus' format.

Each process writes a row of its own, so nothing is locked and counting costs one addition; whoever is asked for
/metrics sums the rows. A worker that takes the place of a dead one goes on with its row, so counters never fall.
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

ROUTES = ("invocations", "ping", "execution-parameters", "metrics", "other")
STATUSES = (200, 400, 403, 404, 405, 406, 408, 413, 414, 415, 431, 500, 503, 504)
SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.5, 5.0, 10.0, 60.0)
IMAGES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)

_REQUESTS = 0
_SECONDS = _REQUESTS + len(ROUTES) * len(STATUSES)  # one more bucket for +Inf, then the sum
_IMAGES = _SECONDS + len(SECONDS) + 2
_GAUGES = _IMAGES + len(IMAGES) + 2
READY, QUEUED, CONNECTIONS, PROCESS, HEARTBEAT, CLOSED, REPLACED = range(_GAUGES, _GAUGES + 7)
_WIDTH = REPLACED + 1
_ROUTE = {name: _REQUESTS + index * len(STATUSES) for index, name in enumerate(ROUTES)}
_STATUS = {status: index for index, status in enumerate(STATUSES)}
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def create(workers: int) -> int:
    """An anonymous shared file for the supervisor (row 0) and the workers (rows 1 ...): its descriptor."""
    descriptor = os.memfd_create("modelserver-metrics", 0)
    os.ftruncate(descriptor, (workers + 1) * _WIDTH * 8)
    return descriptor


class Metrics:
    """The shared table, as one process sees it: it writes its own row and reads all."""

    def __init__(self, descriptor: int, row: int) -> None:
        size = os.fstat(descriptor).st_size
        self._all: memoryview[float] = memoryview(mmap.mmap(descriptor, size)).cast("d")
        self.rows = size // (_WIDTH * 8)
        self.row = self._view(row)

    def _view(self, row: int) -> memoryview[float]:
        return self._all[row * _WIDTH : (row + 1) * _WIDTH]

    def request(self, route: str, status: int) -> None:
        """Count one answered request."""
        self.row[_ROUTE[route] + _STATUS[status]] += 1

    def seconds(self, value: float) -> None:
        """Count one request's time, `value` seconds from its last byte to its answer being ready."""
        self.row[_SECONDS + bisect_left(SECONDS, value)] += 1
        self.row[_SECONDS + len(SECONDS) + 1] += value

    def batch(self, images: int) -> None:
        """Count one call of predict_fn."""
        self.row[_IMAGES + bisect_left(IMAGES, images)] += 1
        self.row[_IMAGES + len(IMAGES) + 1] += images

    def set(self, gauge: int, value: float) -> None:
        """Set one of this process's gauges (READY, QUEUED, CONNECTIONS, PROCESS, HEARTBEAT)."""
        self.row[gauge] = value

    def add(self, counter: int) -> None:
        """Add one to one of this process's counters (CLOSED, REPLACED)."""
        self.row[counter] += 1

    def of(self, row: int, gauge: int) -> float:
        """A gauge of any process."""
        return float(self._view(row)[gauge])

    def clear_gauges(self, row: int) -> None:
        """Set the gauges of a worker that died to 0; its counters stay."""
        view = self._view(row)
        for gauge in (READY, QUEUED, CONNECTIONS, PROCESS, HEARTBEAT):
            view[gauge] = 0.0

    def render(self) -> bytes:
        """The whole table in Prometheus' text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Table([list(self._view(row)) for row in range(self.rows)]))
        text: bytes = generate_latest(registry)
        return text


class _Table(Collector):  # type: ignore[misc] # typed as Any where the library is not installed
    def __init__(self, rows: list[list[float]]) -> None:
        self.rows = rows
        self.total = [sum(column) for column in zip(*rows, strict=True)]

    def collect(self) -> Iterable[Metric]:
        """The figures of all processes of the server as Prometheus metrics; the client library calls this for each
        scrape.
        """
        requests = CounterMetricFamily("model_server_requests", "Requests answered", labels=["route", "status"])
        for route, start in _ROUTE.items():
            for status, index in _STATUS.items():
                if value := self.total[start + index]:
                    requests.add_metric([route, str(status)], value)
        yield requests
        yield self._histogram(
            "model_server_request_seconds", "Whole request to answer, /invocations", _SECONDS, SECONDS
        )
        yield self._histogram("model_server_batch_images", "Images in one call of the model", _IMAGES, IMAGES)
        yield CounterMetricFamily("model_server_workers_replaced", "Workers that died", value=self.total[REPLACED])
        yield GaugeMetricFamily("model_server_workers_ready", "Workers that can answer", value=self.total[READY])
        yield GaugeMetricFamily("model_server_queued", "Requests waiting for the model", value=self.total[QUEUED])
        yield GaugeMetricFamily("model_server_connections", "Open connections", value=self.total[CONNECTIONS])
        memory = GaugeMetricFamily("model_server_resident_memory_bytes", "Resident memory", labels=["process"])
        for row, size in self._memory():
            memory.add_metric(["supervisor" if row == 0 else f"worker-{row}"], size)
        yield memory

    def _histogram(self, name: str, text: str, start: int, bounds: tuple[float, ...]) -> HistogramMetricFamily:
        """Return the counters from column `start` on as a Prometheus histogram with these upper bounds."""
        counts, running = self.total[start : start + len(bounds) + 1], 0.0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
            running += count
            buckets.append((bound, running))
        return HistogramMetricFamily(name, text, buckets=buckets, sum_value=self.total[start + len(bounds) + 1])

    def _memory(self) -> Iterator[tuple[int, int]]:
        """Yield the row of each process of the server that runs, and its resident bytes."""
        for index, row in enumerate(self.rows):
            try:
                with open(f"/proc/{int(row[PROCESS])}/statm", encoding="utf-8") as file:  # noqa: PTH123 - read often, kept plain
                    yield index, int(file.read().split()[1]) * mmap.PAGESIZE
            except (OSError, IndexError):
                continue
