"""Data points that are kept together: counts, order, copies, and what CloudWatch answers of them."""

import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from localcloud.ministack.metrics import Points
from tests.localcloud.restarts import LAST


def point(at: float, value: float, **members: Any) -> dict[str, Any]:
    return {"Timestamp": at, "Value": value, "Unit": "Count", **members}


def test_equal_values_of_a_second_are_counted() -> None:
    points = Points()
    for at, value in ((10.1, 1.0), (10.2, 2.0), (10.9, 1.0), (11.0, 1.0)):
        points.append(point(at, value))
    points.append(point(11.5, 1.0, Count=3.0))

    assert [(p["Value"], p.get("Count", 1)) for p in points] == [(1.0, 2.0), (2.0, 1), (1.0, 4.0)]


def test_statistic_sets_and_other_units_stay_apart() -> None:
    points = Points()
    points.append(point(10.0, 1.0))
    points.append(point(10.0, 1.0, _stat={"SampleCount": 1}))
    points.append({**point(10.0, 1.0), "Unit": "Seconds"})

    assert len(points) == 3


def test_no_point_is_lost_by_threads_and_eviction() -> None:
    points = Points([point(0.0, 1.0)])

    def add(number: int) -> None:
        points.append(point(1_000.0 + number % 3, 1.0))
        points.drop_older(500.0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(2_000)))

    assert sum(p.get("Count", 1) for p in points) == 2_000


def test_metrics_that_boto3_compresses_are_kept(cloud: Any) -> None:
    cloudwatch = cloud.client("cloudwatch")
    names = [f"{number:03}{'x' * 100}" for number in range(100)]  # more than the 10 KiB from which on it compresses
    cloudwatch.put_metric_data(Namespace="Compressed", MetricData=[{"MetricName": name, "Value": 1} for name in names])

    found = cloudwatch.list_metrics(Namespace="Compressed")["Metrics"]

    assert sorted(metric["MetricName"] for metric in found) == names


def test_statistics_count_each_value(cloud: Any) -> None:
    cloudwatch = cloud.client("cloudwatch")
    now = time.time()
    data = [{"MetricName": "Kept", "Value": value, "Timestamp": now} for value in (1, 1, 1, 5)]
    cloudwatch.put_metric_data(Namespace="KeptTogether", MetricData=data)

    [found] = cloudwatch.get_metric_statistics(
        Namespace="KeptTogether", MetricName="Kept", StartTime=now - 60, EndTime=now + 60, Period=300,
        Statistics=["SampleCount", "Sum", "Maximum"],
    )["Datapoints"]  # fmt: skip

    assert (found["SampleCount"], found["Sum"], found["Maximum"]) == (4, 8, 5)


def points(cloud: Any) -> Generator[str, None, float]:
    """Three points of one time; the time."""
    now = time.time()
    yield LAST
    for value in (2, 2, 3):
        data = [{"MetricName": "Kept", "Value": value, "Timestamp": now}]
        cloud.client("cloudwatch").put_metric_data(Namespace="Killed", MetricData=data)
    return now


@pytest.mark.restarted(points, "kill")
def test_points_that_were_acknowledged_are_there_after_a_kill(restarted: tuple[Any, float]) -> None:
    cloud, now = restarted
    [found] = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="Killed", MetricName="Kept", StartTime=now - 60, EndTime=now + 60, Period=300,
        Statistics=["SampleCount", "Sum"],
    )["Datapoints"]  # fmt: skip

    assert (found["SampleCount"], found["Sum"]) == (3, 7)
