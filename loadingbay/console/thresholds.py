"""The page Threshold: what other confidence thresholds would cost on the recent answers that people labelled."""

from __future__ import annotations

import math
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loadingbay.console import plots
from loadingbay.console.pages import pages
from loadingbay.errors import UsageError
from loadingbay.learning import threshold as thresholds


def _threshold(request: Request) -> Response:
    here = pages(request)
    stack = here.stack()
    wrong, review = cost(request, "wrong", 10.0), cost(request, "review", 1.0)
    answers, today, accepted = thresholds.read(here.target, stack["BucketName"])
    found = thresholds.compare(answers, today, accepted, thresholds.Costs(review, wrong, {}))
    plot = plots.cost([(one.threshold, one.cost) for one in found.points], found.today.threshold, found.best.threshold)
    return here.render(
        request, "threshold.html", title="Threshold", found=found, plot=plot, wrong=f"{wrong:g}", review=f"{review:g}"
    )


def cost(request: Request, name: Literal["wrong", "review"], otherwise: float) -> float:
    """The cost of a wrong bay or a review that the query names. UsageError for what is no number from 0 on."""
    text = request.query_params.get(name, "") or f"{otherwise}"
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (value >= 0 and math.isfinite(value)):
        of = {"wrong": "a wrong bay", "review": "a review"}[name]
        raise UsageError(f"the cost of {of}, {text[:40]!r}, must be a number from 0 on, such as 10")
    return value


ROUTES = [Route("/threshold", _threshold)]
