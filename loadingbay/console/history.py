"""The page History: what was in service from when until when, and the story of each deployment."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loadingbay.console.pages import pages
from loadingbay.registry import comparison, deployments, evaluations
from loadingbay.registry import history as records
from loadingbay.registry import versions as registry
from loadingbay.registry.history import Period

_LIMIT = 50
_FURTHEST = 1000  # a story may be older than the list


def _periods(request: Request, limit: int) -> list[Period]:
    here = pages(request)
    stack = here.stack()
    return records.history(here.target, stack["BucketName"], stack["EndpointName"], limit)


def _lasted(period: Period) -> float:
    return ((period.until or datetime.now(UTC)) - period.since).total_seconds()


def _history(request: Request) -> Response:
    periods = _periods(request, _LIMIT)
    listed = [(period, _lasted(period)) for period in periods]
    return pages(request).render(request, "history.html", title="History", periods=listed, limit=_LIMIT)


def _story(request: Request) -> Response:
    """The story of the deployment that began at a moment."""
    here, since = pages(request), request.path_params["since"]
    found = deployments.find(_periods(request, _LIMIT), since) or deployments.find(_periods(request, _FURTHEST), since)
    if found is None:
        raise HTTPException(404, "No deployment began at that moment: the page History lists them.")
    period, following = found
    version = registry.registered(here.target, registry.arn(here.target, period.version)) if period.version else None
    name = f"Version {period.version}" if period.version else period.config
    return here.render(
        request,
        "deployment.html",
        title=f"{name} in service",
        period=period,
        following=following,
        seconds=_lasted(period),
        events=deployments.story(here.target, here.stack()["BucketName"], period, following),
        rows=comparison.rows([evaluations.evaluation(here.target, version)]) if version else [],
    )


ROUTES = [Route("/history", _history), Route("/history/{since}", _story)]
