"""Logs of executions in CloudWatch Logs, as a state machine's loggingConfiguration says.

Source: AWS Step Functions Developer Guide, "Using CloudWatch Logs to log execution history in Step Functions" and "Log
levels"; lines and names of streams as public recordings have them. As on AWS, nothing fails for a log.
"""

import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from localcloud.ministack.asl import histories
from localcloud.settings import DiskError

logger = logging.getLogger("localcloud")

Put = Callable[[str, str, list[str]], None]
_FATAL = ("ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut")
_ERRORS = ("Failed", "Aborted", "TimedOut")


class ExecutionLogs:
    """Writes the events of executions whose machines have a log group."""

    def __init__(self, put: Put) -> None:
        """`put(group, stream, lines)` appends lines to a log group that exists."""
        self._put = put

    def add(self, execution: dict[str, Any], event: histories.Event) -> None:
        """Write an event, if it is of the level that is logged."""
        config = execution["logs"]
        if not is_logged(event["type"], config["level"]):
            return
        began = execution["startDate"]
        moment = f"{began[:10]}-{began[11:13]}-{began[14:15]}0"
        machine = execution["stateMachineArn"].rpartition(":")[2]
        group = config["destinations"][0]["cloudWatchLogsLogGroup"]["logGroupArn"].split(":")[6]
        try:
            text = json.dumps(line(execution, event, bool(config.get("includeExecutionData"))))
            self._put(group, f"states/{machine}/{moment}/00000000", [text])
        except (Exception, DiskError):
            logger.exception("the log of %s could not be written", execution["executionArn"])


def is_logged(kind: str, level: str) -> bool:
    """Whether events of a type are logged at a level."""
    if level == "ERROR":
        return kind.endswith(_ERRORS) or kind == "FailStateEntered"
    return level == "ALL" or (level == "FATAL" and kind in _FATAL)


def line(execution: dict[str, Any], event: histories.Event, with_data: bool) -> dict[str, Any]:
    """An event as its line in the log has it."""
    shown = histories.shown(event, with_data)
    at = datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))
    return {
        "id": str(event["id"]),
        "type": event["type"],
        "details": next((shown[name] for name in shown if name.endswith("EventDetails")), {}),
        "previous_event_id": str(event["previousEventId"]),
        "event_timestamp": str(int(at.timestamp() * 1000)),
        "execution_arn": execution["executionArn"],
        "redrive_count": str(execution.get("redriveCount", 0)),
    }


def with_small_letters(config: Any) -> Any:
    """A logging configuration with the names of Step Functions, given that of a stack's template."""
    if isinstance(config, list):
        return [with_small_letters(one) for one in config]
    if not isinstance(config, dict):
        return config
    return {f"{name[:1].lower()}{name[1:]}": with_small_letters(value) for name, value in config.items()}
