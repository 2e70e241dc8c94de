"""Bulk runs of the page Try: photos that are sent one by one and classified together, with their progress."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from loadingbay.console import task_pages
from loadingbay.console.pages import pages
from loadingbay.console.task_pages import shown, tasks
from loadingbay.console.tasks import Task
from loadingbay.console.try_photo import BULK, plain, require_served
from loadingbay.errors import UsageError
from loadingbay.serving import bulk

_MOST_FILES = 5000
_GATHERED = 8  # at once
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass
class Gathered:
    """Photos that were sent for a bulk run and wait for its start, in a folder of their own."""

    folder: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="loadingbay-bulk-")
    )
    count: int = 0


def _gathered(request: Request) -> dict[str, Gathered]:
    """What is gathered now, by the number that its page drew; what a photo came for last is the last."""
    found: dict[str, Gathered] = request.app.state.gathered
    return found


async def _bulk_photo(request: Request) -> Response:
    """One of the photos of a bulk run that will be started."""
    identity = request.path_params["id"]
    if not _NAME.fullmatch(identity):
        raise UsageError("the page's number is missing: load the page anew")
    waiting = _gathered(request)
    gathered = waiting.pop(identity) if identity in waiting else Gathered()
    waiting[identity] = gathered
    while len(waiting) > _GATHERED:
        waiting.pop(next(iter(waiting))).folder.cleanup()  # its page was left before it had sent all
    if gathered.count >= _MOST_FILES:
        raise UsageError(f"more than {_MOST_FILES:,} photos: `loadingbay bulk FOLDER` takes any number")
    name, body = plain(request.query_params.get("name", "photo")), await request.body()
    gathered.count += 1
    (Path(gathered.folder.name) / f"{gathered.count:05d}-{name}").write_bytes(body)
    return JSONResponse({"count": gathered.count})


def _bulk_start(request: Request) -> Response:
    """Start classifying the uploaded photos, or those under a prefix of the bucket; redirect to the task's page."""
    here, form = pages(request), request.state.form
    stack = here.stack()
    require_served(request, stack)
    gathered = _gathered(request).pop(form.get("id", ""), None)
    named = form.get("prefix", "").strip()
    if gathered is None and not named:
        raise UsageError("no photos were chosen: drop some, or name a prefix of the bucket such as bulk/mine/")

    def do(task: Task) -> dict[str, object]:
        """Upload the photos that were chosen, if any, and classify all under the prefix; the summary of the run."""
        screen = task.screen
        with screen.part("Photos") as part:
            if gathered is not None:
                with gathered.folder as folder:
                    prefix = bulk.upload(
                        here.target,
                        Path(folder),
                        stack["BucketName"],
                        done=lambda n: screen.note(part, f"{n} uploaded"),
                    )
            else:
                prefix = bulk.prefix_in(stack["BucketName"], named)
            done = bulk.classify(here.target, stack, prefix, waiting=lambda said: screen.note(part, said))
            part.note = f"{done.photos} in {done.seconds:.1f} s"
        return done.document()

    title = f"{gathered.count} photo{'' if gathered.count == 1 else 's'}" if gathered else named
    return shown(tasks(request).start(BULK, title, do))


ROUTES = [
    Route(f"/{BULK}", _bulk_start, methods=["POST"]),
    Route(f"/{BULK}/{{id}}/photo", _bulk_photo, methods=["POST"]),
    *task_pages.routes(BULK, "Bulk run", "bulk_task.html"),
]
