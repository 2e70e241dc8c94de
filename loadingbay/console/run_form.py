"""The form that starts a run: every parameter, its bounds and help; and the page of a run that was started from it."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loadingbay.console import task_pages
from loadingbay.console.compared_runs import known
from loadingbay.console.pages import pages
from loadingbay.console.task_pages import shown, tasks
from loadingbay.console.tasks import Task
from loadingbay.data import provide
from loadingbay.data.acquire import Data
from loadingbay.errors import UsageError
from loadingbay.story.run import Finished
from loadingbay.story.run import run as do
from pipelines import executions
from pipelines.parameters import PARAMETERS, Value, check_costs

RUN = "runs/started"
"""The kind of the tasks."""


def _form(request: Request) -> Response:
    """The form of all parameters, with those of an execution (`?like=ID`) or the defaults."""
    here = pages(request)
    here.stack()
    like = request.query_params.get("like", "")
    before = known(here.target, like, executions.values) if like else {}
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

    def work(task: Task) -> Finished:
        """The run itself, as a task."""
        return do(
            here.target,
            task.screen,
            here.root,
            environment=here.environment,
            data=found,
            values=values,
            approve=False,
        )

    title = ", ".join(f"{name} {value}" for name, value in values.items()) or "all parameters at their defaults"
    return shown(tasks(request).start(RUN, title, work))


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
    if not mistakes:
        try:
            check_costs(values)
        except ValueError as error:
            mistakes["CostOfWrongBay"] = str(error)
    return values, mistakes


ROUTES = [
    Route("/runs", _start, methods=["POST"]),
    Route("/runs/new", _form),
    *task_pages.routes(RUN, "A run", "run_task.html"),
]
