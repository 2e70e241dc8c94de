"""Events that PutEvents does not take: without source, type or detail, with a detail that is no object, too large.

Source: EventBridge API reference, PutEvents and PutEventsResultEntry, and "Calculating PutEvents event entry size".
"""

import functools
import json
from collections import deque
from typing import Any

from localcloud.ministack.private_names import find_names

MOST_BYTES = 1_048_576
_REQUIRED = ("Source", "DetailType", "Detail")


def problem(entry: dict[str, Any]) -> tuple[str, str] | None:
    """The code and message that an event fails with; None if it is taken."""
    for name in _REQUIRED:
        if not entry.get(name):
            return "InvalidArgument", f"Parameter {name} is not valid. Reason: {name} is a required argument."
    try:
        detail = json.loads(entry["Detail"])
    except (ValueError, RecursionError):
        detail = None
    return None if isinstance(detail, dict) else ("MalformedDetail", "Detail is malformed.")


def size(entry: dict[str, Any]) -> int:
    """The bytes that count of an event: 14 for its time, and its texts."""
    texts = [entry.get(name) or "" for name in _REQUIRED] + list(entry.get("Resources") or [])
    return (14 if entry.get("Time") else 0) + sum(len(str(text).encode(errors="replace")) for text in texts)


def install(events: Any) -> None:
    """Patch `ministack.services.eventbridge`: the events that are taken are put, the others fail by themselves."""
    find_names(events, "_put_events", "_events_log_list", "json_response", "error_response_json")
    put = events._put_events
    # Unpatched, MiniStack keeps each event for ever, for nobody: of an execution two, with its input and output.
    kept_by_nobody: deque[Any] = deque(maxlen=0)
    events._events_log_list = lambda: kept_by_nobody

    @functools.wraps(put)
    def put_what_is_valid(data: dict[str, Any], allow_aws_source: bool = False) -> Any:
        """PutEvents: results in the order of the entries, with codes for those that were not put."""
        if allow_aws_source:  # a service's own event, which was made here
            return put(data, allow_aws_source=True)
        entries = data.get("Entries") or []
        if sum(map(size, entries)) > MOST_BYTES:
            message = "Total size of the entries in the request is over the limit."
            return events.error_response_json("ValidationException", message, 400)
        failed = {number: found for number, entry in enumerate(entries) if (found := problem(entry))}
        if not failed or len(entries) > 10:
            return put(data)
        kept = [entry for number, entry in enumerate(entries) if number not in failed]
        status, headers, body = put({**data, "Entries": kept})
        if status != 200:
            return status, headers, body
        told = json.loads(body)
        results = iter(told["Entries"])
        merged = [
            {"ErrorCode": failed[number][0], "ErrorMessage": failed[number][1]} if number in failed else next(results)
            for number in range(len(entries))
        ]
        return events.json_response({"FailedEntryCount": told["FailedEntryCount"] + len(failed), "Entries": merged})

    events._put_events = put_what_is_valid
