"""The page Runs: executions of the pipeline, a form that starts one, and one execution with its steps and logs."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from loadingbay.console.compared_runs import arn
from loadingbay.console.live import Look, stream
from loadingbay.console.now import graph
from loadingbay.console.pages import pages
from loadingbay.console.tasks import Task, Tasks
from loadingbay.console.training_progress import Progress
from loadingbay.data import provide
from loadingbay.data.acquire import Data
from loadingbay.errors import UsageError, WorkError
from loadingbay.learning.retraining import retrain
from loadingbay.serving.observe import log_group
from loadingbay.story.run import run as do
from loadingbay.target import Target
from loadingbay.tuning.record import study_of
from pipelines import executions
from pipelines.executions import ENDED, Execution
from pipelines.parameters import BY_NAME, PARAMETERS, Value
from pipelines.training_log import LogTail

_PAGE = 25
_LINES = 200  # of each log, the newest
_RUN = "run"


def _table(request: Request) -> Response:
    """The page Runs: the pipeline's executions, newest first (from the token `?from=` on), and runs started here."""
    here = pages(request)
    here.stack()
    token = request.query_params.get("from", "")
    found, following = executions.page(here.target.client("sagemaker"), here.target.stage, _PAGE, token)
    tasks: Tasks = request.app.state.tasks
    return here.render(
        request,
        "runs.html",
        title="Runs",
        found=found,
        following=following,
        first=not token,
        tasks=tasks.of(_RUN),
        study_of=study_of,
    )


def _form(request: Request) -> Response:
    """The form of all parameters, with those of an execution (`?like=ID`) or the defaults."""
    here = pages(request)
    here.stack()
    like = request.query_params.get("like", "")
    before = executions.values(here.target.client("sagemaker"), arn(here.target, like)) if like else {}
    data, label = before.get("InputData", ""), before.get("DataLabel", "")
    return here.render(
        request,
        "run_form.html",
        title="Start a run",
        parameters=[parameter for parameter in PARAMETERS if parameter.option],
        values=before,
        like=like,
        data=data,
        label=label,
        mistakes={},
    )


def _start(request: Request) -> Response:
    """Start a run from the form and redirect to its page; status 400 and the form with its errors if it is invalid."""
    here, form = pages(request), request.state.form
    stack = here.stack()
    values, mistakes = _values(form)
    data, label = form.get("data", "").strip(), form.get("label", "")
    found: Path | Data | None = None
    try:
        found = _data(stack["BucketName"], data, label)
    except UsageError as error:
        mistakes["data"] = str(error)
    if mistakes:
        return here.render(
            request,
            "run_form.html",
            400,
            title="Start a run",
            parameters=[parameter for parameter in PARAMETERS if parameter.option],
            values=form,
            like="",
            data=data,
            label=label,
            mistakes=mistakes,
        )

    def work(task: Task) -> int:
        finished = do(
            here.target,
            task.screen,
            here.root,
            environment=here.environment,
            data=found,
            values=values,
            approve=False,
        )
        return finished.version.number

    title = ", ".join(f"{name} {value}" for name, value in values.items()) or "all parameters at their defaults"
    tasks: Tasks = request.app.state.tasks
    return RedirectResponse(f"/runs/started/{tasks.start(_RUN, title, work).id}", 303)


def _data(bucket: str, named: str, label: str) -> Path | Data | None:
    """What the field Data names: a place on this machine, data of an earlier run in S3, or nothing."""
    if named.startswith("s3://"):
        return provide.stored(bucket, named, label or "photos")
    if named and not Path(named).exists():
        raise UsageError(f"{named}: there is no such archive or folder")
    return Path(named) if named else None


def _values(form: dict[str, str]) -> tuple[dict[str, Value], dict[str, str]]:
    """The parameters that differ from their defaults, and a sentence for each that is not allowed."""
    values: dict[str, Value] = {}
    mistakes: dict[str, str] = {}
    for parameter in PARAMETERS:
        text = form.get(parameter.name, "").strip()
        if not parameter.option or not text:
            continue
        try:
            value = parameter.parse(text)
        except ValueError as error:
            mistakes[parameter.name] = str(error)
        else:
            if value != parameter.default:
                values[parameter.name] = value
    return values, mistakes


def _task(request: Request) -> Task:
    tasks: Tasks = request.app.state.tasks
    found = tasks.get(request.path_params["id"])
    if found is None:
        raise HTTPException(404, "This console has started no such run, or was started again since: see the page Runs.")
    return found


def _started(request: Request) -> Response:
    return pages(request).render(request, "run_started.html", title="A run", task=_task(request))


def _started_live(request: Request) -> Response:
    here, task = pages(request), _task(request)
    return stream(
        request, lambda: Look({"task": here.fragment("run_task.html", task=task)}, ended=task.state != "running")
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
    target = pages(request).target
    execution = executions.describe(target.client("sagemaker"), arn(target, request.path_params["id"]))
    return {
        "execution": execution,
        "graph": graph(target),
        "epochs": progress.epochs(execution),
        "logs": logs.read(execution),
    }


def _one(request: Request) -> Response:
    here = pages(request)
    here.stack()
    seen = _look(request, Progress(here.target), _Logs(here.target))
    given = executions.values(here.target.client("sagemaker"), seen["execution"].arn)
    return here.render(
        request, "run.html", title=f"Run {seen['execution'].id}", ended=ENDED, given=given, known=BY_NAME, **seen
    )


def _one_live(request: Request) -> Response:
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
    here = pages(request)
    here.stack()
    found = retrain(here.target, dry_run=False, by_hand=True)
    if not found.execution:
        raise WorkError(f"{found.outcome}: {found.because}")
    return RedirectResponse(f"/runs/{found.execution.rsplit('/', 1)[-1]}", 303)


def _stop(request: Request) -> Response:
    here, identity = pages(request), request.path_params["id"]
    here.stack()
    executions.stop(here.target.client("sagemaker"), arn(here.target, identity), timeout=0)
    return RedirectResponse(f"/runs/{identity}", 303)


ROUTES = [
    Route("/runs", _table),
    Route("/runs", _start, methods=["POST"]),
    Route("/runs/new", _form),
    Route("/runs/retrain", _retraining),
    Route("/runs/retrain", _retrain, methods=["POST"]),
    Route("/runs/started/{id}", _started),
    Route("/runs/started/{id}/events", _started_live),
    Route("/runs/{id}", _one),
    Route("/runs/{id}/events", _one_live),
    Route("/runs/{id}/stop", _stop, methods=["POST"]),
]
