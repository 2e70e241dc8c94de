"""The story of one deployment: approved, verified, traffic, alarms, live, ended, each with its time.

It is put together from what is kept anyway: the registry, the log of DeployModel, CloudWatch's history of alarms, and
the periods of monitoring. What an account keeps for a shorter time is missing from older stories.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from loadingbay.learning import periods as monitoring
from loadingbay.registry import versions as registry
from loadingbay.registry.history import Period
from loadingbay.target import Target
from pipelines import aws

Kind = Literal["registry", "deployment", "alarm", "monitoring"]
_BEFORE, _AFTER = timedelta(hours=6), timedelta(minutes=10)  # of the log around the two ends
_MOST = 1000  # log lines, and alarm states, that are looked at
# Of Python's logging on this machine, and of Lambda's runtime on AWS.
_LINE = re.compile(r"(?:(\w+):deploy_model\.\w+:|\[(\w+)\]\t\S+\t\S+\t)(.*)", re.DOTALL)
_PASSED = re.compile(r"Version \d+ passed: (\{.*\})")
_APPROVED_BY = re.compile(r"NoteApproval\(.*approved_by='([^']*)'\)")
_NO_NEWS = ("its next state change decides", " is live.")  # said again and again


@dataclass(frozen=True)
class Event:
    """Something that happened to a deployment. `bad`: it needs somebody's attention."""

    time: datetime
    kind: Kind
    what: str
    bad: bool = False


def story(target: Target, bucket: str, period: Period, following: Period | None) -> list[Event]:
    """What happened in a period of the endpoint, the earliest first. `following` is the period after it, if any."""
    end = period.until or datetime.now(UTC)
    version = _version(target, period)
    told = [
        *_registered(version),
        *_logged(target, period, end),
        *_alarms(target, period.since, end),
        *_monitored(target, bucket, period, end),
        Event(period.since, "deployment", "The endpoint serves it, and nothing else."),
        *_ended(period, following, version),
    ]
    return sorted(told, key=lambda event: event.time)


def _version(target: Target, period: Period) -> registry.Version | None:
    """The version as the registry has it now; None when it was deleted, or the configuration is not of its making."""
    return registry.registered(target, registry.arn(target, period.version)) if period.version else None


def _registered(version: registry.Version | None) -> Iterator[Event]:
    if version is not None:
        run = version.origin.rsplit("/", 1)[-1] if version.origin else ""
        yield Event(version.created, "registry", f"Registered{f' by the run {run}' if run else ''}.")


def _logged(target: Target, period: Period, end: datetime) -> list[Event]:
    """What DeployModel said about this version shortly before it served, and when it ended; each sentence once."""
    windows = [(period.since - _BEFORE, min(end, period.since + _AFTER))]
    if period.until:
        windows.append((max(windows[0][1], end - _AFTER), end + _AFTER))
    names = re.compile(
        rf"\b[Vv]ersion {period.version}\b|model-package/[\w-]+/{period.version}'|'{re.escape(period.config)}'"
    )
    found: dict[str, Event] = {}
    for start, stop in windows:
        for time, message in _lines(target, start, stop):
            line = _LINE.match(message.strip())
            if line is None or not names.search(line[3]):
                continue
            if said := _in_words(line[3], period.config):
                bad = (line[1] or line[2]) in {"ERROR", "WARNING"}
                found.setdefault(said, Event(time, "deployment", said, bad))
    return list(found.values())


def _lines(target: Target, start: datetime, stop: datetime) -> list[tuple[datetime, str]]:
    """The lines of DeployModel's log in a time; none where its log is not kept that long, or there is none."""
    window = {"startTime": int(start.timestamp() * 1000), "endTime": int(stop.timestamp() * 1000)}
    group = f"/aws/lambda/{target.stage}-deploy-model"
    lines = aws.listed(
        target.client("logs"), "filter_log_events", "events", logGroupName=group, **window,
        PaginationConfig={"MaxItems": _MOST},
    )  # fmt: skip
    try:
        return [(datetime.fromtimestamp(event["timestamp"] / 1000, UTC), event["message"]) for event in lines]
    except ClientError as error:
        if not aws.is_missing(error):
            raise
        return []


def _in_words(said: str, config: str) -> str:
    """A line of the log as a sentence; "" for what is no news."""
    if passed := _PASSED.fullmatch(said):
        verdict: dict[str, Any] = ast.literal_eval(passed[1])
        return (
            f"It passed its verification: {verdict['accuracy']:.1%} of {verdict['photos']} labelled photos right, "
            f"{verdict['evaluated_accuracy']:.1%} when it was evaluated; nine of ten answers within "
            f"{verdict['milliseconds']:.0f} ms."
        )
    if by := _APPROVED_BY.fullmatch(said):
        return f"Approved by {by[1].rsplit(':', 1)[-1]}."
    if said.startswith("UpdateEndpoint(") and f"'{config}'" in said:
        watched = "; alarms would take it back" if "watched=True" in said else ""
        return f"The endpoint begins to take it: traffic shifts{watched}."
    if said.startswith("CreateEndpoint(") and f"'{config}'" in said:
        return "The endpoint is made with it."
    return "" if re.match(r"\w+\(", said) or any(words in said for words in _NO_NEWS) else said


def _alarms(target: Target, start: datetime, end: datetime) -> Iterator[Event]:
    """The stage's alarms that began or ceased to ring."""
    answer = target.client("cloudwatch").describe_alarm_history(
        HistoryItemType="StateUpdate", StartDate=start, EndDate=end, MaxRecords=100
    )
    prefix = f"{target.stage}-"
    for item in answer["AlarmHistoryItems"]:
        name, said = item["AlarmName"], item["HistorySummary"]
        if name.startswith(prefix) and "ALARM" in said.split():
            rings = said.endswith("to ALARM")
            what = f"The alarm {name.removeprefix(prefix)} {'rings' if rings else 'is over'}."
            yield Event(item["Timestamp"].astimezone(UTC), "alarm", what, rings)


def _monitored(target: Target, bucket: str, period: Period, end: datetime) -> Iterator[Event]:
    """What monitoring found: its first and its last period, and violations when they begin."""
    seen = [
        one
        for one in monitoring.read(target, bucket).periods
        if one.version == str(period.version) and period.since <= one.time <= end
    ]
    before: set[str] = set()
    for number, one in enumerate(seen):
        begun = [sentence for name, sentence in one.violations.items() if name not in before]
        before = set(one.violations)
        if number in {0, len(seen) - 1}:
            right = f", {one.accuracy.value:.1%} right of all" if one.accuracy else ""
            what = f"Monitoring: {one.accepted:.1%} of {one.count:,} answers acted upon{right}."
            yield Event(one.time, "monitoring", what)
        for sentence in begun:
            yield Event(one.time, "monitoring", f"Monitoring: {sentence}.", bad=True)


def _ended(period: Period, following: Period | None, version: registry.Version | None) -> Iterator[Event]:
    """Yield the event of the period's end: what took its place, and why the version was rejected, if it was."""
    if period.until is None:
        return
    why = ""
    if version is not None and version.approval == "Rejected":
        why = f" It was rejected: {version.comment}" if version.comment else " It was rejected."
    after = f"version {following.version}" if following and following.version else "another configuration"
    yield Event(period.until, "deployment", f"It ended: {after} took its place.{why}", bool(why))


def find(periods: Sequence[Period], since: str) -> tuple[Period, Period | None] | None:
    """The period with that `key`, of periods the newest first, and the one after it."""
    for number, one in enumerate(periods):
        if one.key == since:
            return one, periods[number - 1] if number else None
    return None
