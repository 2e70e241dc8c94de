"""Tasks that somebody else ends: by a task token (`.waitForTaskToken`), or as a worker of an activity.

Source: AWS Step Functions API reference, SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat.
"""

import contextlib
import functools
import json
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from localcloud.api import strict_json
from localcloud.ministack.asl import limits, runs
from localcloud.ministack.asl.errors import TIMEOUT, HeartbeatError, StateError, StoppedError
from localcloud.ministack.asl.requests import Answer, Refused

_MOST_REMEMBERED = 10_000


@dataclass
class Until:
    """How long a task may take, and how long it may be silent, in seconds; None for as long as it likes."""

    timeout: float | None
    heartbeat: float | None

    def __post_init__(self) -> None:
        self._end = runs.deadline(self.timeout)

    def left(self, heard: float) -> float | None:
        """Seconds until one of the two is over; `heard` is when the task was last heard of, on the monotonic clock."""
        ends = [end for end in (self._end, None if self.heartbeat is None else heard + self.heartbeat) if end]
        return min(ends) - time.monotonic() if ends else None

    def error(self) -> StateError:
        """The error of the one that is over."""
        over = self._end is not None and self._end <= time.monotonic()
        return StateError(TIMEOUT, "") if over else HeartbeatError()


@dataclass
class _Task:
    ended: runs.Signal
    heard: float
    outcome: Any = None
    started: Callable[[str | None], None] | None = None


class Callbacks:
    """The tasks that wait, by token; it has the operations that end them."""

    def __init__(self, states: Any) -> None:
        self._states, self._refused = states, Refused(states)
        self._tasks: dict[str, _Task] = {}
        self._over: OrderedDict[str, None] = OrderedDict()
        """Tokens of tasks that wait no longer, the newest last."""

    @contextlib.contextmanager
    def waiting(self, token: str) -> Iterator[Callable[[Until], Any]]:
        """Take answers for a token within the block; what it gives waits for one, returns it or raises StateError."""
        run = runs.current()
        task = self._tasks[token] = _Task(runs.Signal(run), time.monotonic())

        def wait(until: Until) -> Any:
            while not run.wait_for(lambda: task.ended.happened, until.left(task.heard)):
                left = until.left(task.heard)
                if left is not None and left <= 0:
                    raise until.error()
            if isinstance(task.outcome, StateError):
                raise task.outcome
            return task.outcome

        try:
            yield wait
        finally:
            self._tasks.pop(token, None)
            self._over[token] = None
            while len(self._over) > _MOST_REMEMBERED:
                self._over.popitem(last=False)

    def do_activity(self, arn: str, given: Any, until: Until, started: Callable[[str | None], None]) -> Any:
        """The result of an activity's worker. The time of the task counts from now, as on AWS.

        `started(name)` is called when a worker has taken the task.
        """
        if arn not in self._states._activities:
            raise StateError("States.Runtime", f"The activity {arn} does not exist.")
        queue = self._offers(arn)
        token = str(uuid.uuid4())
        offered = {"taskToken": token, "input": limits.as_json(given)}
        with self.waiting(token) as wait:
            self._tasks[token].started = started
            queue.append(offered)
            try:
                return wait(until)
            finally:
                with contextlib.suppress(ValueError):
                    queue.remove(offered)

    def _offers(self, arn: str) -> list[dict[str, Any]]:
        """The tasks that an activity offers to workers; after a restart there are none, and no list of them."""
        if arn not in self._states._activity_tasks:
            self._states._activity_tasks[arn] = []
        offered: list[dict[str, Any]] = self._states._activity_tasks[arn]
        return offered

    def offering(self, give: Callable[[dict[str, Any]], Awaitable[Answer]]) -> Callable[[dict[str, Any]], Any]:
        """`give`, which is GetActivityTask, for an activity that has a list of tasks."""

        @functools.wraps(give)
        async def given(data: dict[str, Any]) -> Answer:
            if refusal := self._refused.missing(data, "activity"):
                return refusal
            self._offers(data["activityArn"])
            answer = await give(data)
            task = self._tasks.get(json.loads(answer[2] or b"{}").get("taskToken") or "")
            if task and task.started:
                with contextlib.suppress(StoppedError):
                    task.started(data.get("workerName"))
            return answer

        return given

    # Operations

    def succeed(self, data: dict[str, Any]) -> Answer:
        """SendTaskSuccess."""
        try:
            output = strict_json.loads(data["output"])
        except ValueError as error:
            return self._refused.with_code("InvalidOutput", f"Invalid Output: '{error}'")
        if limits.is_too_large(data["output"]):
            return self._refused.with_code(
                "InvalidOutput", f"Invalid Output: 'it has more than {limits.MOST_BYTES} bytes'"
            )
        return self._end(data["taskToken"], output)

    def fail(self, data: dict[str, Any]) -> Answer:
        """SendTaskFailure."""
        return self._end(data["taskToken"], StateError(data.get("error") or "", data.get("cause") or ""))

    def heartbeat(self, data: dict[str, Any]) -> Answer:
        """SendTaskHeartbeat."""
        task = self._tasks.get(data["taskToken"])
        if task is None:
            return self._unknown(data["taskToken"])
        task.heard = time.monotonic()
        return self._done()

    def _end(self, token: str, outcome: Any) -> Answer:
        # The first answer counts.
        task = self._tasks.pop(token, None)
        if task is None:
            return self._unknown(token)
        task.outcome = outcome
        task.ended.set()
        return self._done()

    def _unknown(self, token: str) -> Answer:
        if token in self._over:
            return self._refused.with_code("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
        return self._refused.with_code("InvalidToken", "Invalid Token: 'Invalid token'")

    def _done(self) -> Answer:
        answer: Answer = self._states.json_response({})
        return answer
