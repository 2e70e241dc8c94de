"""The page Threshold: what other confidence thresholds would cost on the recent answers that people labelled."""

from __future__ import annotations

import math

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
    wrong = _cost(request.query_params.get("wrong", "10"), "a wrong bay")
    review = _cost(request.query_params.get("review", "1"), "a review")
    answers, today, accepted = thresholds.read(here.target, stack["BucketName"])
    found = thresholds.compare(answers, today, accepted, thresholds.Costs(review, wrong, {}))
    plot = plots.cost([(one.threshold, one.cost) for one in found.points], found.today.threshold, found.best.threshold)
    return here.render(
        request, "threshold.html", title="Threshold", found=found, plot=plot, wrong=f"{wrong:g}", review=f"{review:g}"
    )


def _cost(text: str, of: str) -> float:
    try:
        cost = float(text)
    except ValueError:
        cost = -1.0
    if not (cost >= 0 and math.isfinite(cost)):
        raise UsageError(f"the cost of {of}, {text[:40]!r}, must be a number from 0 on, such as 10")
    return cost


ROUTES = [Route("/threshold", _threshold)]
