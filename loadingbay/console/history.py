"""The page History: what was in service from when until when, by whose approval, and how good it was."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loadingbay.console.pages import pages
from loadingbay.registry import history as records

_LIMIT = 100


def _history(request: Request) -> Response:
    here = pages(request)
    stack = here.stack()
    periods = records.history(here.target, stack["BucketName"], stack["EndpointName"], _LIMIT)
    now = datetime.now(UTC)
    lasted = [((period.until or now) - period.since).total_seconds() for period in periods]
    return here.render(
        request, "history.html", title="History", periods=list(zip(periods, lasted, strict=True)), limit=_LIMIT
    )


ROUTES = [Route("/history", _history)]
