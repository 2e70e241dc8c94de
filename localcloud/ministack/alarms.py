"""CloudWatch alarms as AWS evaluates them: one metric with these dimensions, period by period, missing data as set.

Unpatched, MiniStack evaluates every metric of that name whatever its dimensions, takes all periods as one, and leaves
an alarm without new data in its state: one endpoint's metric would raise another endpoint's alarm, for good. And no
event would tell EventBridge of the change.
Source: CloudWatch User Guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data".
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.ministack.private_names import find_names

Point = dict[str, Any]

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
# Private names of ministack.services.cloudwatch that `install` uses.
_NAMES = (
    "_metrics",
    "_dims_key",
    "_calc_stats",
    "_stat_value",
    "_record_history",
    "_history_entries",
    "_dispatch_alarm_actions",
    "_evaluate_parent_alarms",
    "_evaluate_alarm",
    "_evaluate_all_alarms",
)
_HISTORY_DAYS = 30
"""Source: CloudWatch API Reference, DescribeAlarmHistory."""
# SetAlarmState, or a change of state, stands at least this long when no data come.
_STAYS_SECONDS = 60


def state(
    alarm: dict[str, Any], points: Sequence[Point], now: float, statistic: Callable[[Sequence[Point]], float | None]
) -> str | None:
    """The state that an alarm goes to: ALARM, OK, INSUFFICIENT_DATA, or None to stay as it is.

    `alarm` has the members of PutMetricAlarm, `points` are the data of its metric, each with `Timestamp`
    (epoch seconds, as `now`). `statistic` gives the value of one period's points, None where it is not defined.
    """
    period, periods = alarm.get("Period") or 60, alarm.get("EvaluationPeriods") or 1
    missing = alarm.get("TreatMissingData") or "missing"
    compare = _COMPARISONS[alarm["ComparisonOperator"]]
    breaching = seen = 0
    for back in range(periods):
        inside = [point for point in points if back <= (now - point["Timestamp"]) / period < back + 1]
        value = statistic(inside) if inside else None
        if value is not None:
            seen += 1
            breaching += compare(value, alarm.get("Threshold", 0.0))
        elif missing == "breaching":
            breaching += 1
    if breaching >= (alarm.get("DatapointsToAlarm") or periods):
        return "ALARM"
    if seen or missing in {"breaching", "notBreaching"}:
        return "OK"
    return None if missing == "ignore" else "INSUFFICIENT_DATA"


def event(alarm: Mapping[str, Any], before: str, after: str, reason: str) -> dict[str, Any]:
    """Return `detail` of the event "CloudWatch Alarm State Change", now, from state `before` to state `after`.

    `alarm` has the members of PutMetricAlarm. Source: CloudWatch User Guide, "Alarm events and EventBridge".
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    dimensions = {one["Name"]: one["Value"] for one in alarm.get("Dimensions") or []}
    metric = {"namespace": alarm.get("Namespace"), "name": alarm.get("MetricName"), "dimensions": dimensions}
    statistic = {"metric": metric, "period": alarm.get("Period"), "stat": alarm.get("Statistic")}
    return {
        "alarmName": alarm["AlarmName"],
        "state": {"value": after, "reason": reason, "timestamp": now},
        "previousState": {"value": before, "timestamp": now},
        "configuration": {
            "description": alarm.get("AlarmDescription") or "",
            "metrics": [{"id": "m1", "metricStat": statistic, "returnData": True}],
        },
    }


def install(cloudwatch: Any, put_event: Callable[[str, list[str], Mapping[str, Any]], None]) -> None:
    """Make ministack.services.cloudwatch evaluate alarms by `state`, whenever a metric arrives, and tell each change.

    `put_event(detail type, resources, detail)` puts an event of source aws.cloudwatch on the default bus.
    """
    find_names(cloudwatch, *_NAMES)
    original, act = cloudwatch._evaluate_alarm, cloudwatch._dispatch_alarm_actions

    @functools.wraps(act)
    def dispatch(alarm: dict[str, Any], before: str, after: str, reason: str, *rest: Any) -> None:
        act(alarm, before, after, reason, *rest)
        if before != after:
            put_event("CloudWatch Alarm State Change", [alarm["AlarmArn"]], event(alarm, before, after, reason))

    cloudwatch._dispatch_alarm_actions = dispatch
    record = cloudwatch._record_history

    @functools.wraps(record)
    def record_and_forget(*change: Any, **named: Any) -> None:
        """Add a change to the history, whose oldest entries end after 30 days."""
        record(*change, **named)
        oldest = f"{datetime.now(UTC) - timedelta(days=_HISTORY_DAYS):%Y-%m-%dT%H:%M:%SZ}"
        entries = cloudwatch._history_entries()
        while entries[0]["Timestamp"] < oldest:
            del entries[0]

    cloudwatch._record_history = record_and_forget

    def evaluate(alarm: dict[str, Any]) -> None:
        """Set the state of an alarm on one metric from its recent points, and run its actions if the state changed.

        Alarms on expressions and anomaly detectors are left to MiniStack.
        """
        if not alarm.get("MetricName") or alarm.get("ComparisonOperator") not in _COMPARISONS:
            original(alarm)  # on a metric expression or an anomaly detector
            return
        dimensions = {one["Name"]: one["Value"] for one in alarm.get("Dimensions") or []}
        key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
        name = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"

        def statistic(points: Sequence[Point]) -> float | None:
            value: float | None = cloudwatch._stat_value(cloudwatch._calc_stats(points), name, points)
            return value

        points, before, now = cloudwatch._metrics.get(key, []), alarm["StateValue"], time.time()
        recent = [p for p in points if now - p["Timestamp"] <= alarm["Period"] * alarm["EvaluationPeriods"]]
        if not recent and now - alarm.get("StateUpdatedTimestamp", 0) < _STAYS_SECONDS:
            return
        after = state(alarm, recent, now, statistic)
        if after is None or after == before:
            return
        reason = f"Threshold {alarm['ComparisonOperator']} {alarm.get('Threshold')}: {name} of {alarm['MetricName']}"
        alarm.update(StateValue=after, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
        cloudwatch._record_history(alarm["AlarmName"], before, after, reason)
        cloudwatch._dispatch_alarm_actions(alarm, before, after, reason)
        cloudwatch._evaluate_parent_alarms(alarm)

    cloudwatch._evaluate_alarm = evaluate
