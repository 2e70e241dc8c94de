"""The page Try: a photo's way through the state machine, and many photos in one bulk run with its progress."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from loadingbay.console.live import Look, stream
from loadingbay.console.pages import pages
from loadingbay.console.pictures import photo_response
from loadingbay.console.tasks import Task, Tasks
from loadingbay.errors import UsageError, WorkError
from loadingbay.registry import evaluations
from loadingbay.registry import versions as registry
from loadingbay.serving import bulk, photos
from loadingbay.serving.trace import Trace, trace

_SAMPLES = 12
_BULK = "bulk"
_MOST_FILES = 5000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass
class Gathered:
    """Photos that were sent for a bulk run and wait for its start, in a folder that is deleted with this object."""

    folder: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="loadingbay-bulk-")
    )
    count: int = 0


def _try(request: Request) -> Response:
    """The page on which a photo is classified: samples to pick from, an upload, and the bulk runs under way."""
    here = pages(request)
    stack = here.stack()
    now = registry.endpoint(here.target, stack["EndpointName"])
    version = registry.get(here.target, now.serves) if now and now.serves else None
    labels = evaluations.verification_labels(here.target, version) if version else {}
    tasks: Tasks = request.app.state.tasks
    return here.render(
        request,
        "try.html",
        title="Try",
        version=version,
        samples=sorted(labels, key=lambda name: (name.rpartition("-")[2], name))[:_SAMPLES],
        bulks=tasks.of(_BULK),
        megabytes=photos.MAXIMUM_BYTES // 2**20,
    )


async def _sent(request: Request) -> Response:
    """A photo as the body of the request; answers with the page that shows its way."""
    body, name = await request.body(), request.query_params.get("name", "photo")

    def start() -> str:
        here = pages(request)
        stack = here.stack()
        _require_served(request, stack)
        key = photos.upload(here.target.client("s3"), stack["BucketName"], _plain(name), body, "console")
        machine = here.target.client("stepfunctions")
        return photos.start(machine, stack["InferenceStateMachineArn"], stack["BucketName"], key)

    arn = await run_in_threadpool(start)
    return JSONResponse({"location": f"/photos/{arn.rsplit(':', 1)[-1]}"})


def _sample(request: Request) -> Response:
    """One of the verification photos, where it lies."""
    here, name = pages(request), request.state.form.get("name", "")
    stack = here.stack()
    version = registry.get(here.target, _require_served(request, stack))
    if name not in evaluations.verification_labels(here.target, version):
        raise UsageError(f"version {version.number} has no sample photo {name[:80]!r}: choose one on the page")
    bucket, _, key = evaluations.verification_photo(version, name).removeprefix("s3://").partition("/")
    machine = here.target.client("stepfunctions")
    execution = photos.execution_name("sample", name)
    photos.start(machine, stack["InferenceStateMachineArn"], bucket, key, execution)
    return RedirectResponse(f"/photos/{execution}", 303)


def _require_served(request: Request, stack: dict[str, str]) -> str:
    now = registry.endpoint(pages(request).target, stack["EndpointName"])
    if now is None or not now.serves:
        raise WorkError("no model is deployed yet: approve a version on the page Versions, then try again")
    return now.serves


def _plain(name: str) -> str:
    """The last part of a file's name, without what would make it a path."""
    return name.replace("\\", "/").rsplit("/", 1)[-1].lstrip(".")[:200] or "photo"


def _trace(request: Request) -> Trace:
    here, name = pages(request), request.path_params["name"]
    if not _NAME.fullmatch(name):
        raise HTTPException(404, "There is no such execution.")
    return trace(here.target, here.stack()["InferenceStateMachineArn"], name)


def _one(request: Request) -> Response:
    found = _trace(request)
    return pages(request).render(request, "photo.html", title="A photo's way", trace=found, reasons=photos.FOR_REVIEW)


def _one_live(request: Request) -> Response:
    here = pages(request)

    def look() -> Look:
        found = _trace(request)
        html = here.fragment("trace.html", trace=found, reasons=photos.FOR_REVIEW)
        return Look({"trace": html}, ended=found.status != "RUNNING")

    return stream(request, look)


def _picture(request: Request) -> Response:
    found = _trace(request).input
    if not isinstance(found, dict) or not {"bucket", "key"} <= set(found):
        raise HTTPException(404, "The execution's input names no photo.")
    return photo_response(pages(request).target, f"s3://{found['bucket']}/{found['key']}", found.get("version_id"))


def _gathered(request: Request) -> dict[str, Gathered]:
    state = request.app.state
    if not hasattr(state, "gathered"):
        state.gathered = {}
    found: dict[str, Gathered] = state.gathered
    return found


async def _bulk_photo(request: Request) -> Response:
    """One of the photos of a bulk run that will be started."""
    identity = request.path_params["id"]
    if not _NAME.fullmatch(identity):
        raise UsageError("the page's number is missing: load the page anew")
    waiting = _gathered(request)
    if identity not in waiting and len(waiting) >= 8:
        raise WorkError("eight bulk runs are being gathered already: start one of them, or restart the console")
    gathered = waiting.setdefault(identity, Gathered())
    if gathered.count >= _MOST_FILES:
        raise UsageError(f"more than {_MOST_FILES:,} photos: `loadingbay bulk FOLDER` takes any number")
    name, body = _plain(request.query_params.get("name", "photo")), await request.body()
    gathered.count += 1
    (Path(gathered.folder.name) / f"{gathered.count:05d}-{name}").write_bytes(body)
    return JSONResponse({"count": gathered.count})


def _bulk_start(request: Request) -> Response:
    """Start classifying the uploaded photos, or those under a prefix of the bucket; redirect to the task's page."""
    here, form = pages(request), request.state.form
    stack = here.stack()
    _require_served(request, stack)
    gathered = _gathered(request).pop(form.get("id", ""), None)
    named = form.get("prefix", "").strip()
    if gathered is None and not named:
        raise UsageError("no photos were chosen: drop some, or name a prefix of the bucket such as bulk/mine/")

    def do(task: Task) -> dict[str, object]:
        screen = task.screen
        with screen.part("Photos") as part:
            if gathered is not None:
                folder = Path(gathered.folder.name)
                prefix = bulk.upload(
                    here.target, folder, stack["BucketName"], done=lambda n: screen.note(part, f"{n} uploaded")
                )
                gathered.folder.cleanup()
            else:
                prefix = bulk.prefix_in(stack["BucketName"], named)
            done = bulk.classify(here.target, stack, prefix, waiting=lambda said: screen.note(part, said))
            part.note = f"{done.photos} in {done.seconds:.1f} s"
        return done.document()

    title = f"{gathered.count} photos" if gathered else named
    tasks: Tasks = request.app.state.tasks
    return RedirectResponse(f"/photos/bulk/{tasks.start(_BULK, title, do).id}", 303)


def _task(request: Request) -> Task:
    tasks: Tasks = request.app.state.tasks
    found = tasks.get(request.path_params["id"])
    if found is None:
        raise HTTPException(
            404, "This console knows no such bulk run: it was started again since, or many others were."
        )
    return found


def _bulk(request: Request) -> Response:
    return pages(request).render(request, "bulk.html", title="Bulk run", task=_task(request))


def _bulk_live(request: Request) -> Response:
    here, task = pages(request), _task(request)
    return stream(
        request, lambda: Look({"task": here.fragment("bulk_task.html", task=task)}, ended=task.state != "running")
    )


ROUTES = [
    Route("/photos", _try),
    Route("/photos", _sent, methods=["POST"]),
    Route("/photos/sample", _sample, methods=["POST"]),
    Route("/photos/bulk", _bulk_start, methods=["POST"]),
    Route("/photos/bulk/{id}", _bulk),
    Route("/photos/bulk/{id}/events", _bulk_live),
    Route("/photos/bulk/{id}/photo", _bulk_photo, methods=["POST"]),
    Route("/photos/{name}", _one),
    Route("/photos/{name}/events", _one_live),
    Route("/photos/{name}/photo", _picture),
]
