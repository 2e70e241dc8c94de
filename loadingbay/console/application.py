"""Puts the console together: its routes behind the door, and what each handler is given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from loadingbay.console import (
    bulk_run,
    compared_runs,
    decisions,
    history,
    now,
    review,
    run_form,
    runs,
    shadows,
    thresholds,
    try_photo,
    versions,
)
from loadingbay.console.door import Door, Keys
from loadingbay.console.pages import Pages, failed, pages
from loadingbay.console.review import Desks
from loadingbay.console.tasks import Tasks
from loadingbay.errors import WorkError
from loadingbay.serving.photos import MAXIMUM_BYTES
from loadingbay.serving.recent import Recent
from loadingbay.target import Target

STATIC = Path(__file__).parent / "static"


def _another_browser(request: Request) -> Response:
    """A new address with a one-time token, for a second browser or person on this machine."""
    address = f"{pages(request).address}/enter?token={request.app.state.keys.token()}"
    return PlainTextResponse(address)


ROUTES: list[BaseRoute] = [
    *now.ROUTES,
    *versions.ROUTES,
    *shadows.ROUTES,  # before the decisions, whose word may be any
    *decisions.ROUTES,
    *review.ROUTES,
    *bulk_run.ROUTES,
    *try_photo.ROUTES,
    *compared_runs.ROUTES,
    *run_form.ROUTES,
    *runs.ROUTES,
    *history.ROUTES,
    *thresholds.ROUTES,
    Route("/another-browser", _another_browser, methods=["POST"]),
    Route("/favicon.ico", lambda _: RedirectResponse("/static/icon.svg", 308)),
    Mount("/static", StaticFiles(directory=STATIC)),
]
"""Every address of the console."""


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """Deletes, at the end, the photos that were sent for bulk runs that nobody started."""
    yield
    for gathered in app.state.gathered.values():
        gathered.folder.cleanup()


def application(
    target: Target, root: Path, *, port: int, keys: Keys, author: str, environment: Mapping[str, str]
) -> Starlette:
    """The console's ASGI application for a target.

    `root` is where `.loadingbay` and `runs` lie, `port` the one that it will answer on, `keys` what its tokens come
    from, `author` the name that labels carry, and `environment` is where a run looks for its data.
    """
    app = Starlette(
        routes=ROUTES,
        lifespan=_lifespan,
        middleware=[Middleware(Door, keys=keys, port=port, limits={"photos": MAXIMUM_BYTES})],
        exception_handlers={
            HTTPException: failed,
            WorkError: failed,
            ClientError: failed,
            BotoCoreError: failed,
            OSError: failed,
            Exception: failed,
        },
    )
    app.state.pages = Pages(target, root, author, environment, f"http://127.0.0.1:{port}")
    app.state.keys = keys
    app.state.tasks = Tasks()
    app.state.desks = Desks()
    app.state.recent = Recent(target)
    app.state.trials = {}
    app.state.differing = {}
    app.state.gathered = {}
    return app
