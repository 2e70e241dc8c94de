"""The page Threshold: what other confidence thresholds would cost on the recent answers that people labelled.

From it a version with the cheapest threshold is registered; the page of that task is here, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loadingbay.console import plots, task_pages
from loadingbay.console.pages import Pages, pages
from loadingbay.console.task_pages import shown, tasks
from loadingbay.console.tasks import Task
from loadingbay.errors import UsageError
from loadingbay.learning import threshold as thresholds
from loadingbay.learning import traffic as recent
from loadingbay.learning.new_threshold import register
from loadingbay.learning.threshold import Traffic
from loadingbay.story.training import Registered
from pipelines import costs as prices

_LONGEST = 1024  # characters


STARTED = "threshold/started"
"""The kind of the tasks."""


def _threshold(request: Request) -> Response:
    """The page: what thresholds cost on the recent labelled answers, at the costs that the query names."""
    here = pages(request)
    wrong = request.query_params.get("wrong", "") or "10"
    review = cost(request, "review", 1.0)
    _, _, found = _compared(here, here.stack(), wrong, review)
    curves = [(one.answers, one.points, one.today, one.best) for one in found.curves]
    plot = plots.cost(curves, "on recent labelled answers")
    return here.render(
        request, "threshold.html", title="Threshold", found=found, plot=plot, wrong=wrong, review=f"{review:g}"
    )


def _register(request: Request) -> Response:
    """Start the registration of the threshold that is the cheapest at the form's costs; redirect to the task's page."""
    here, form = pages(request), request.state.form
    stack, wrong, why = here.stack(), form.get("wrong", ""), form.get("why", "").strip()
    traffic, costs, found = _compared(here, stack, wrong, _cost("review", form.get("review", "")))

    def work(task: Task) -> Registered:
        return register(here.target, task.screen, stack, traffic, found, found.best, costs, why)

    title = f"The cheapest threshold where a wrong bay costs {wrong[:_LONGEST]} and a review {costs.review:g}"
    return shown(tasks(request).start(STARTED, title, work))


def _compared(
    here: Pages, stack: Mapping[str, str], wrong: str, review: float
) -> tuple[Traffic, prices.Costs, thresholds.Comparison]:
    """The recent labelled answers, the costs, and what thresholds cost then. UsageError for what is no cost."""
    try:
        prices.read(wrong[:_LONGEST])  # before the stream is: what is no number needs none
        traffic = recent.read(here.target, dict(stack))
        costs = prices.of(wrong, review, list(traffic.thresholds))
    except ValueError as error:
        raise UsageError(f"the cost of a wrong bay, {wrong[:40]!r}: {error}") from error
    if costs is None:
        raise UsageError("the cost of a wrong bay is none: without one no threshold is cheaper than another")
    return traffic, costs, thresholds.compare(traffic, costs)


def cost(request: Request, name: Literal["wrong", "review"], otherwise: float) -> float:
    """The cost of a wrong bay or a review that the query names. UsageError for what is no number from 0 on."""
    return _cost(name, request.query_params.get(name, "") or f"{otherwise}")


def _cost(name: Literal["wrong", "review"], text: str) -> float:
    try:
        return prices.one(text)
    except ValueError as error:
        of = {"wrong": "a wrong bay", "review": "a review"}[name]
        raise UsageError(f"the cost of {of}, {text[:40]!r}, must be a number from 0 on, such as 10") from error


ROUTES = [
    Route("/threshold", _threshold),
    Route("/threshold", _register, methods=["POST"]),
    *task_pages.routes(STARTED, "Another threshold", "threshold_task.html"),
]
