"""The page Threshold: what other confidence thresholds would cost on the recent answers that people labelled."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loadingbay.console import plots
from loadingbay.console.pages import pages
from loadingbay.errors import UsageError
from loadingbay.learning import threshold as thresholds
from loadingbay.learning import traffic as recent
from pipelines import costs as prices

_LONGEST = 1024  # characters


def _threshold(request: Request) -> Response:
    """The page: what thresholds cost on the recent labelled answers, at the costs that the query names."""
    here = pages(request)
    stack = here.stack()
    wrong = request.query_params.get("wrong", "") or "10"
    review = cost(request, "review", 1.0)
    try:
        prices.read(wrong[:_LONGEST])  # before the stream is: what is no number needs none
        traffic = recent.read(here.target, stack)
        costs = prices.of(wrong, review, list(traffic.thresholds))
    except ValueError as error:
        raise UsageError(f"the cost of a wrong bay, {wrong[:40]!r}: {error}") from error
    if costs is None:
        raise UsageError("the cost of a wrong bay is none: without one no threshold is cheaper than another")
    found = thresholds.compare(traffic, costs)
    curves = [(one.answers, one.points, one.today, one.best) for one in found.curves]
    plot = plots.cost(curves, "on recent labelled answers")
    return here.render(
        request, "threshold.html", title="Threshold", found=found, plot=plot, wrong=wrong, review=f"{review:g}"
    )


def cost(request: Request, name: Literal["wrong", "review"], otherwise: float) -> float:
    """The cost of a wrong bay or a review that the query names. UsageError for what is no number from 0 on."""
    text = request.query_params.get(name, "") or f"{otherwise}"
    try:
        return prices.one(text)
    except ValueError as error:
        of = {"wrong": "a wrong bay", "review": "a review"}[name]
        raise UsageError(f"the cost of {of}, {text[:40]!r}, must be a number from 0 on, such as 10") from error


ROUTES = [Route("/threshold", _threshold)]
