"""CloudWatch Logs with its lines in a LogStore instead of MiniStack's memory.

Unpatched, MiniStack keeps each line twice in memory and writes all of them at each save, gives each Lambda invocation a
log stream of its own, and cuts FilterLogEvents at 10,000 events without a token.
"""

import functools
import itertools
import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localcloud.ministack.log_store import MOST_EVENTS, Line, LogStore, Place, Scope
from localcloud.ministack.private_names import find_names

MOST_BYTES = 1_048_576
"""Of a batch, and of an event in it, with EVENT_BYTES for each."""
EVENT_BYTES = 26
# Each takes up to 4 bytes in UTF-8.
_MOST_CHARACTERS = (MOST_BYTES - EVENT_BYTES) // 4

Answer = tuple[int, dict[str, str], bytes]

_NAMES = (
    "_log_groups", "_put_log_events", "_get_log_events", "_filter_log_events", "_get_log_record",
    "_collect_query_records", "_describe_log_groups", "_delete_log_group", "_delete_log_stream",
    "_resolve_log_group_name", "_compile_filter_pattern", "_build_log_record", "_public_log_record",
    "_fanout_to_subscription_filters", "_fanout_to_live_tail_sessions", "_make_group_arn", "load_persisted_state",
    "get_account_id", "get_region", "json_response", "error_response_json",
)  # fmt: skip
# Lines that one Logs Insights query looks at in each group.
_MOST_QUERIED = 200_000


class Logs:
    """Replaces the functions of ministack.services.cloudwatch_logs that store and read lines."""

    def __init__(self, module: Any, store: LogStore, soon: Callable[[], bool] = lambda: False) -> None:
        """Replace the functions of MiniStack's CloudWatch Logs `module` that write and read lines by `store`'s.

        `soon()` says whether lines of the function that was just invoked may be committed together with others'.
        """
        find_names(module, *_NAMES)
        self._module, self._store, self._soon = module, store, soon
        # As on AWS, an execution environment has a stream; here, all environments of a version until the next start.
        self._environment = uuid.uuid4().hex
        load = module.load_persisted_state

        @functools.wraps(load)
        def load_and_restore(data: Any) -> None:
            load(data)
            self._move_lines()
            self._restore_streams()

        module.load_persisted_state = load_and_restore
        module._put_log_events = self.put
        module._get_log_events = self.get
        module._filter_log_events = self.filter
        module._get_log_record = self.record
        module._collect_query_records = self.query
        module._describe_log_groups = self._with_stored_bytes(module._describe_log_groups)
        module._delete_log_group = self._deleting(module._delete_log_group)
        module._delete_log_stream = self._deleting(module._delete_log_stream)
        self._restore_streams()

    @property
    def _scope(self) -> Scope:
        return self._module.get_account_id(), self._module.get_region()

    # What an earlier version, or a kill, left behind

    def _move_lines(self) -> None:
        """Move lines that MiniStack restored from its state file to the store."""
        self._module._log_records.clear()
        for (account, region, group), document in self._module._log_groups.all_items():
            for name, stream in document["streams"].items():
                events, stream["events"] = stream["events"], []
                if events:
                    pairs = [(event["timestamp"], event["message"]) for event in events]
                    self._store.append((account, region), group, name, pairs, events[-1]["ingestionTime"])

    def _restore_streams(self) -> None:
        """Add groups and streams that have lines and are missing: a kill came before the state file was written."""
        groups = self._module._log_groups
        for stream in self._store.streams():
            group = groups.get_scoped(stream.account, stream.region, stream.group)
            if group is None:
                arn = f"arn:aws:logs:{stream.region}:{stream.account}:log-group:{stream.group}:*"
                group = _group(arn, stream.created)
                groups.set_scoped(stream.account, stream.region, stream.group, group)
            entry = group["streams"].setdefault(stream.name, _stream(stream.created))
            entry.update(
                firstEventTimestamp=stream.first, lastEventTimestamp=stream.last, lastIngestionTime=stream.ingested
            )

    # Writing

    def put(self, data: dict[str, Any]) -> Answer:
        """PutLogEvents: the lines are committed when this returns. Refused are large and unordered batches."""
        problem = refused_events(data.get("logEvents") or [])
        return self._invalid(problem) if problem else self.keep(data)

    def keep(self, data: dict[str, Any]) -> Answer:
        """PutLogEvents for this cloud's own lines, which come in batches of any size."""
        group, stream = data.get("logGroupName"), data.get("logStreamName")
        document = self._module._log_groups.get(group)
        if document is None:
            return self._not_found(f"The specified log group does not exist: {group}")
        entry = document["streams"].get(stream)
        if entry is None:
            return self._not_found(f"The specified log stream does not exist: {stream}")
        events, now = data.get("logEvents", []), int(time.time() * 1000)
        self._append(str(group), str(stream), entry, [(e.get("timestamp", now), e.get("message", "")) for e in events])
        entry["uploadSequenceToken"] = token = str(int(entry["uploadSequenceToken"]) + 1)
        self._module._fanout_to_subscription_filters(group, stream, events)
        shown = [{"timestamp": now, "message": "", **event, "ingestionTime": now} for event in events]
        self._module._fanout_to_live_tail_sessions(group, stream, shown)
        return self._answer({"nextSequenceToken": token})

    def _append(
        self, group: str, stream: str, entry: dict[str, Any], events: list[tuple[int, str]], soon: bool = False
    ) -> None:
        """Store a stream's new lines and set the times in MiniStack's entry of the stream."""
        if not events:
            return
        now, times = int(time.time() * 1000), [at for at, _ in events]
        append = self._store.append_soon if soon else self._store.append
        append(self._scope, group, stream, events, now)
        known = [at for at in (entry["firstEventTimestamp"], entry["lastEventTimestamp"]) if at is not None]
        entry.update(
            firstEventTimestamp=min(times + known), lastEventTimestamp=max(times + known), lastIngestionTime=now
        )

    def put_function_lines(self, config: dict[str, Any], lines: list[str]) -> None:
        """Append what an invocation of a Lambda function wrote; `config` is the function's configuration.

        Whoever reads finds it at once. It is committed when this returns, or later where `soon()` says so.
        """
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
        if group not in self._module._log_groups:
            now = int(time.time() * 1000)
            self._module._log_groups[group] = _group(self._module._make_group_arn(group), now)
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[{config.get('Version', '$LATEST')}]{self._environment}"
        self.put_lines(group, stream, lines)

    def put_lines(self, group: str, stream: str, lines: list[str]) -> None:
        """Append lines to a stream of a log group, which is made; nothing happens where the group does not exist."""
        now, document = int(time.time() * 1000), self._module._log_groups.get(group)
        if document is None:
            return
        entry = document["streams"].setdefault(stream, _stream(now))
        written = [piece for line in lines for piece in pieces(line)]
        self._append(group, stream, entry, [(now, line) for line in written], self._soon())
        if document["subscriptionFilters"]:
            events = [{"timestamp": now, "message": line} for line in written]
            self._module._fanout_to_subscription_filters(group, stream, events)

    # Reading

    def get(self, data: dict[str, Any]) -> Answer:
        """GetLogEvents: a page of a stream, and tokens for the pages after and before it."""
        group, stream = self._module._resolve_log_group_name(data), data.get("logStreamName")
        document = self._module._log_groups.get(group)
        if document is None:
            return self._not_found(f"The specified log group does not exist: {group}")
        if stream not in document["streams"]:
            return self._not_found(f"The specified log stream does not exist: {stream}")
        token = data.get("nextToken") or ("f/-" if data.get("startFromHead") else "b/-")
        direction, _, place = token.partition("/")
        try:
            position = None if place == "-" else _place(place)
        except ValueError:
            direction = ""
        if direction not in ("f", "b"):
            return self._invalid("The specified nextToken is invalid.")
        forward = direction == "f"
        lines = self._store.page(
            self._scope, str(group), str(stream), data.get("startTime"), data.get("endTime"), _limit(data),
            after=position if forward else None, before=None if forward else position, forward=forward,
        )  # fmt: skip
        # At the end of a stream the caller's token comes back, which ends the paging of AWS's clients.
        ahead = f"f/{_written(lines[-1].place)}" if lines else f"f/{place}"
        back = f"b/{_written(lines[0].place)}" if lines else f"b/{place}"
        events = [{"timestamp": x.at, "message": x.message, "ingestionTime": x.ingested} for x in lines]
        return self._answer({"events": events, "nextForwardToken": ahead, "nextBackwardToken": back})

    def filter(self, data: dict[str, Any]) -> Answer:
        """FilterLogEvents: matching lines of a group in order, and a token while there may be more."""
        group = self._module._resolve_log_group_name(data)
        if group not in self._module._log_groups:
            return self._not_found(f"The specified log group does not exist: {group}")
        try:
            after = _place(data["nextToken"]) if data.get("nextToken") else None
        except ValueError:
            return self._invalid("The specified nextToken is invalid.")
        end = data.get("endTime")
        lines, more = self._store.filter(
            self._scope, str(group), self._module._compile_filter_pattern(data.get("filterPattern", "")),
            data.get("startTime"), None if end is None else end + 1, _limit(data), after,
            data.get("logStreamNames"), data.get("logStreamNamePrefix", ""),
        )  # fmt: skip
        answer: dict[str, Any] = {"events": [_event(line) for line in lines], "searchedLogStreams": []}
        return self._answer({**answer, "nextToken": _written(more)} if more else answer)

    def record(self, data: dict[str, Any]) -> Answer:
        """GetLogRecord: the fields of one line."""
        pointer = str(data.get("logRecordPointer") or "")
        found = self._store.line(int(pointer)) if pointer.isdecimal() and len(pointer) <= 18 else None
        if found is None:
            return self._invalid(f"The logRecordPointer {pointer[:100]!r} is not of a log record.")
        return self._answer({"logRecord": self._module._public_log_record(self._record(*found))})

    def query(self, groups: list[str], start: float, end: float) -> list[dict[str, Any]]:
        """The records that a Logs Insights query looks at, oldest first: the newest 200,000 of each group."""
        found = self._store.newest(self._scope, groups, int(start) * 1000, int(end) * 1000, _MOST_QUERIED)
        records = [self._record(group, line) for group, line in found]
        records.sort(key=lambda record: int(record["_timestamp_ms"]))
        return records

    def _record(self, group: str, line: Line) -> dict[str, Any]:
        record: dict[str, Any] = self._module._build_log_record(
            ptr=str(line.id), timestamp_ms=line.at, message=line.message, log_group=group, log_stream=line.stream
        )
        return record

    def _with_stored_bytes(self, describe: Callable[[dict[str, Any]], Answer]) -> Callable[[dict[str, Any]], Answer]:
        """`describe`, which describes log groups, with the size of each group's stored lines."""

        @functools.wraps(describe)
        def with_stored_bytes(data: dict[str, Any]) -> Answer:
            status, headers, body = describe(data)
            if status != 200:
                return status, headers, body
            answer, sizes = json.loads(body), self._store.bytes_by_group(self._scope)
            for group in answer["logGroups"]:
                group["storedBytes"] = sizes.get(group["logGroupName"], 0)
            return self._answer(answer)

        return with_stored_bytes

    # Removal

    def _deleting(self, delete: Callable[[dict[str, Any]], Answer]) -> Callable[[dict[str, Any]], Answer]:
        """`delete`, which deletes a group or stream, together with its stored lines."""

        @functools.wraps(delete)
        def delete_with_lines(data: dict[str, Any]) -> Answer:
            answer = delete(data)
            if answer[0] == 200 and "logStreamName" in data:
                self._store.delete_stream(self._scope, data["logGroupName"], data["logStreamName"])
            elif answer[0] == 200:
                self._store.delete_group(self._scope, data["logGroupName"])
            return answer

        return delete_with_lines

    def purge(self) -> int:
        """Remove a part of the lines past their retention; how many. Call it again while it removes some."""
        groups = self._module._log_groups.all_items()
        return self._store.purge({key: g["retentionInDays"] for key, g in groups if g.get("retentionInDays")})

    # Answers

    def _answer(self, document: dict[str, Any]) -> Answer:
        answer: Answer = self._module.json_response(document)
        return answer

    def _not_found(self, message: str) -> Answer:
        answer: Answer = self._module.error_response_json("ResourceNotFoundException", message, 400)
        return answer

    def _invalid(self, message: str) -> Answer:
        answer: Answer = self._module.error_response_json("InvalidParameterException", message, 400)
        return answer


def _group(arn: str, created: int) -> dict[str, Any]:
    return {
        "arn": arn, "creationTime": created, "retentionInDays": None, "tags": {}, "subscriptionFilters": {},
        "streams": {},
    }  # fmt: skip


def _stream(created: int) -> dict[str, Any]:
    empty = dict.fromkeys(("firstEventTimestamp", "lastEventTimestamp", "lastIngestionTime"))
    return {"events": [], "uploadSequenceToken": "1", "creationTime": created, **empty}


def _event(line: Line) -> dict[str, Any]:
    return {
        "logStreamName": line.stream, "timestamp": line.at, "message": line.message, "ingestionTime": line.ingested,
        "eventId": f"{line.id:056d}",
    }  # fmt: skip


def _limit(data: dict[str, Any]) -> int:
    return min(int(data.get("limit") or MOST_EVENTS), MOST_EVENTS)


def _written(place: Place) -> str:
    return f"{place[0]}:{place[1]}"


def _place(written: str) -> Place:
    """The place in a token; ValueError if it is none."""
    at, _, identity = written.partition(":")
    return int(at), int(identity)


def refused_events(events: list[dict[str, Any]]) -> str | None:
    """Why PutLogEvents refuses a batch; None if it does not.

    Source: CloudWatch Logs API reference, PutLogEvents.
    """
    sizes = [len(str(event.get("message", "")).encode(errors="replace")) + EVENT_BYTES for event in events]
    if largest := next((size for size in sizes if size > MOST_BYTES), None):
        return f"Log event too large: {largest} bytes exceeds limit of {MOST_BYTES}"
    if sum(sizes) > MOST_BYTES:
        return f"Upload too large: {sum(sizes)} bytes exceeds limit of {MOST_BYTES}"
    times = [event.get("timestamp", 0) for event in events]
    if any(after < before for before, after in itertools.pairwise(times)):
        return "Log events in a single PutLogEvents request must be in chronological order."
    return None


def pieces(line: str) -> list[str]:
    """A line of a function's as events of CloudWatch Logs can hold it."""
    return [line[at : at + _MOST_CHARACTERS] for at in range(0, len(line), _MOST_CHARACTERS)] or [line]
