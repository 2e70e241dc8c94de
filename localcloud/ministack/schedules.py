"""EventBridge targets that MiniStack lacks: a SageMaker pipeline as the target of a schedule or a rule.

A schedule also remembers across a restart when it fired last: unpatched, a one-time schedule would fire again.
Sources: EventBridge Scheduler User Guide, "Using templated targets" (SageMaker StartPipelineExecution) and "Using
universal targets"; EventBridge API Reference, SageMakerPipelineParameters.
"""

import functools
import json
import logging
import re
import uuid
import zoneinfo
from collections.abc import Callable
from datetime import datetime
from typing import Any

from localcloud.ministack.private_names import find_names

logger = logging.getLogger("localcloud")

_TICK_SECONDS = 1
_UNIVERSAL = "arn:aws:scheduler:::aws-sdk:sagemaker:startPipelineExecution"

_RATE = re.compile(r"rate\((1 (minute|hour|day)|(?!1 )[1-9][0-9]{0,8} (minutes|hours|days))\)")
_ANY_RATE = re.compile(r"rate\([1-9][0-9]{0,8} (minute|minutes|hour|hours|day|days)\)")
_ONCE = re.compile(r"at\(([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\)")
_NUMBER = re.compile("(?<![/#0-9])[0-9]+")  # not the step behind a slash, nor the week behind #
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (1, 7), (1970, 2199))

Start = Callable[[dict[str, Any]], Any]


def is_schedule(expression: str) -> bool:
    """Whether a rule may have a schedule: a rate in the right number, a cron with numbers within their bounds.

    Source: EventBridge User Guide, "Setting a schedule pattern": 1 has a singular unit, more than 1 a plural one.
    """
    if expression.startswith("rate("):
        return _RATE.fullmatch(expression) is not None
    fields = expression.removeprefix("cron(").removesuffix(")").split()
    return len(fields) != len(_BOUNDS) or all(
        least <= int(number[:9]) <= most
        for field, (least, most) in zip(fields, _BOUNDS, strict=True)
        for number in _NUMBER.findall(field)
    )


def schedule_problem(body: dict[str, Any], is_cron: Callable[[str], bool]) -> str | None:
    """Why EventBridge Scheduler refuses to create or change a schedule so; None if it does not.

    `is_cron(expression)` says whether an expression is a cron one that rules may have. Source: EventBridge Scheduler
    User Guide, "Schedule types in EventBridge Scheduler" and "Configuring flexible time windows".
    """
    expression = str(body.get("ScheduleExpression", ""))
    if not (_is_time(expression) or _ANY_RATE.fullmatch(expression) or is_cron(expression)):
        return f"Invalid Schedule Expression {expression[:256]}."
    zone = body.get("ScheduleExpressionTimezone") or "UTC"
    try:
        zoneinfo.ZoneInfo(str(zone))
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return f"Invalid Schedule Expression Timezone {str(zone)[:50]}."
    window = body.get("FlexibleTimeWindow") or {}
    minutes = window.get("MaximumWindowInMinutes")
    if window.get("Mode") == "FLEXIBLE" and minutes is None:
        return "MaximumWindowInMinutes is required when the mode of the flexible time window is FLEXIBLE."
    if window.get("Mode") == "OFF" and minutes is not None:
        return "MaximumWindowInMinutes must not be given when the mode of the flexible time window is OFF."
    start, end = body.get("StartDate"), body.get("EndDate")
    if isinstance(start, int | float) and isinstance(end, int | float) and end <= start:
        return "The EndDate must be later than the StartDate."
    return None


def _is_time(expression: str) -> bool:
    """Whether an expression is that of a schedule that fires once: at(yyyy-mm-ddThh:mm:ss)."""
    found = _ONCE.fullmatch(expression)
    try:
        return found is not None and bool(datetime.fromisoformat(found[1]))
    except ValueError:
        return False


def install(events: Any, scheduler: Any, start: Start, store: Callable[[], None]) -> None:
    """Patch ministack.services.eventbridge and .scheduler.

    `start(request)` is StartPipelineExecution; `store()` writes when schedules fired, before the target of one that
    just did is called: so a kill does not let a schedule of one time fire twice.
    """
    find_names(events, "_invoke_target", "_validate_schedule_expression")
    find_names(
        scheduler,
        "_create_schedule",
        "_update_schedule",
        "_error",
        "_schedule_last_fired",
        "_SCHEDULE_TICK_INTERVAL",
        "get_state",
        "load_persisted_state",
        "_tick_schedules",
    )
    invoke = events._invoke_target

    @functools.wraps(invoke)
    def invoke_target(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
        """Start the pipeline that a target names; MiniStack invokes targets of other kinds."""
        if event.get("Source") == "aws.scheduler":
            store()
        request = pipeline_request(target)
        if request is None:
            invoke(target, event, rule, view)
            return
        try:
            started = start({**request, "ClientRequestToken": uuid.uuid4().hex})
        except Exception as error:
            logger.warning(
                "%s could not start the pipeline %s: %s", rule.get("Arn"), request.get("PipelineName"), error
            )
            return
        logger.info("%s started %s", rule.get("Arn"), started)

    valid = events._validate_schedule_expression
    events._validate_schedule_expression = lambda expression: is_schedule(expression) and valid(expression)

    def is_cron(expression: str) -> bool:
        return expression.startswith("cron(") and bool(events._validate_schedule_expression(expression))

    for name in ("_create_schedule", "_update_schedule"):
        setattr(scheduler, name, _checked(scheduler, getattr(scheduler, name), is_cron))
    events._invoke_target = invoke_target
    scheduler._SCHEDULE_TICK_INTERVAL = _TICK_SECONDS
    state, load = scheduler.get_state, scheduler.load_persisted_state

    @functools.wraps(state)
    def state_with_times() -> Any:
        times = {"\n".join(key): at for key, at in list(scheduler._schedule_last_fired.items())}
        return {**state(), "last_fired": times}

    @functools.wraps(load)
    def load_with_times(data: Any) -> None:
        load(data)
        for key, at in (data or {}).get("last_fired", {}).items():
            scheduler._schedule_last_fired[tuple(key.split("\n"))] = at

    scheduler.get_state, scheduler.load_persisted_state = state_with_times, load_with_times


def _checked(scheduler: Any, work: Callable[..., Any], is_cron: Callable[[str], bool]) -> Callable[..., Any]:
    """`work`, which creates or changes a schedule, for those that EventBridge Scheduler takes."""

    @functools.wraps(work)
    def checked(name: str, body: dict[str, Any]) -> Any:
        problem = schedule_problem(body, is_cron) if body.get("ScheduleExpression") else None
        return scheduler._error(400, "ValidationException", problem) if problem else work(name, body)

    return checked


def pipeline_request(target: dict[str, Any]) -> dict[str, Any] | None:
    """The members of StartPipelineExecution that a target asks for; None for a target of another kind."""
    arn = str(target.get("Arn", ""))
    if arn == _UNIVERSAL:
        try:
            given = json.loads(target.get("Input") or "{}")
        except ValueError:
            given = None
        return given if isinstance(given, dict) else {}
    service, kind, name = (arn.split(":")[2:3] or [""])[0], *_resource(arn)
    if service != "sagemaker" or kind != "pipeline":
        return None
    listed = (target.get("SageMakerPipelineParameters") or {}).get("PipelineParameterList") or []
    parameters = [{"Name": one["Name"], "Value": one["Value"]} for one in listed]
    return {"PipelineName": name, **({"PipelineParameters": parameters} if parameters else {})}


def _resource(arn: str) -> tuple[str, str]:
    kind, _, name = arn.rpartition(":")[2].partition("/")
    return kind, name
