"""The page Runs: executions of the pipeline, one with its steps and logs, and what a retraining would do."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

from botocore.exceptions import ClientError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from loadingbay.console.compared_runs import known
from loadingbay.console.graph import graph
from loadingbay.console.live import Look, stream
from loadingbay.console.pages import pages
from loadingbay.console.run_form import RUN
from loadingbay.console.task_pages import tasks
from loadingbay.console.training_progress import Progress
from loadingbay.errors import UsageError, WorkError
from loadingbay.learning.retraining import retrain
from loadingbay.serving.observe import log_group
from loadingbay.target import Target
from loadingbay.tuning.record import study_of
from pipelines import executions
from pipelines.executions import ENDED, Execution
from pipelines.parameters import BY_NAME
from pipelines.training_log import LogTail

_PAGE = 25
_LINES = 200  # of each log, the newest


def _table(request: Request) -> Response:
    """The page Runs: the pipeline's executions, newest first (from the token `?from=` on), and runs started here."""
    here = pages(request)
    here.stack()
    token = request.query_params.get("from", "")
    try:
        found, following = executions.page(here.target.client("sagemaker"), here.target.stage, _PAGE, token)
    except ClientError as error:
        if token and error.response["Error"]["Code"] == "ValidationException":
            raise UsageError(f"from={token[:40]!r} is no place in the list: open the page Runs anew") from error
        raise
    return here.render(
        request,
        "runs.html",
        title="Runs",
        found=found,
        following=following,
        first=not token,
        tasks=tasks(request).of(RUN),
        study_of=study_of,
    )


class _Logs:
    """The newest lines of each job of an execution; one object for each open page."""

    def __init__(self, target: Target) -> None:
        self._logs = target.client("logs")
        self._tails: dict[str, LogTail] = {}
        self._lines: dict[str, deque[str]] = {}

    def read(self, execution: Execution) -> dict[str, list[str]]:
        """Step name to its last lines."""
        for step in execution.steps:
            group = log_group(step.job)
            if group and not step.cached:
                tail = self._tails.setdefault(step.name, LogTail(self._logs, group, step.job.rsplit("/", 1)[-1]))
                self._lines.setdefault(step.name, deque(maxlen=_LINES)).extend(tail.poll())
        return {name: list(lines) for name, lines in self._lines.items()}


def _look(request: Request, progress: Progress, logs: _Logs) -> dict[str, Any]:
    """Return the execution in its present state, its graph, its training epochs and the ends of its logs."""
    target = pages(request).target
    execution = known(target, request.path_params["id"], executions.describe)
    return {
        "execution": execution,
        "graph": graph(target),
        "epochs": progress.epochs(execution),
        "logs": logs.read(execution),
    }


def _one(request: Request) -> Response:
    """The page of one execution: its steps, parameters, training progress and logs."""
    here = pages(request)
    here.stack()
    seen = _look(request, Progress(here.target), _Logs(here.target))
    given = executions.values(here.target.client("sagemaker"), seen["execution"].arn)
    return here.render(
        request, "run.html", title=f"Run {seen['execution'].id}", ended=ENDED, given=given, known=BY_NAME, **seen
    )


def _one_live(request: Request) -> Response:
    """The server-sent events that keep the page of an execution up to date until it has ended."""
    here = pages(request)
    progress, logs = Progress(here.target), _Logs(here.target)

    def look() -> Look:
        here.stack()
        seen = _look(request, progress, logs)
        parts = {"pipeline": here.fragment("pipeline.html", **seen), "logs": here.fragment("logs.html", **seen)}
        return Look(parts, ended=seen["execution"].status in ENDED)

    return stream(request, look)


def _retraining(request: Request) -> Response:
    """What Retrain would do by itself now, with the form that has it done in any case."""
    here = pages(request)
    here.stack()
    found = retrain(here.target, dry_run=True, by_hand=False)
    return here.render(request, "retrain.html", title="Retrain", found=found)


def _retrain(request: Request) -> Response:
    """Start a retraining by hand and redirect to its execution; WorkError when Retrain starts none."""
    here = pages(request)
    here.stack()
    found = retrain(here.target, dry_run=False, by_hand=True)
    if not found.execution:
        raise WorkError(f"{found.outcome}: {found.because}")
    return RedirectResponse(f"/runs/{found.execution.rsplit('/', 1)[-1]}", 303)


def _stop(request: Request) -> Response:
    here, identity = pages(request), request.path_params["id"]
    here.stack()
    known(here.target, identity, partial(executions.stop, timeout=0))
    return RedirectResponse(f"/runs/{identity}", 303)


ROUTES = [
    Route("/runs", _table),
    Route("/runs/retrain", _retraining),
    Route("/runs/retrain", _retrain, methods=["POST"]),
    Route("/runs/{id}", _one),
    Route("/runs/{id}/events", _one_live),
    Route("/runs/{id}/stop", _stop, methods=["POST"]),
]
