"""The page Try: a photo that is sent, or a sample, and its way through the state machine."""

from __future__ import annotations

import re

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from loadingbay.console.live import Look, stream
from loadingbay.console.pages import pages
from loadingbay.console.pictures import photo_response
from loadingbay.console.task_pages import tasks
from loadingbay.errors import UsageError, WorkError
from loadingbay.registry import evaluations
from loadingbay.registry import versions as registry
from loadingbay.serving import photos
from loadingbay.serving.trace import Trace, trace
from pipelines import aws

BULK = "photos/bulk"
"""The kind of the tasks that are bulk runs."""
_SAMPLES = 12
_NAME_BYTES = 200  # of 255, which the names of files may have
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


def _try(request: Request) -> Response:
    """The page on which a photo is classified: samples to pick from, an upload, and the bulk runs under way."""
    here = pages(request)
    stack = here.stack()
    now = registry.endpoint(here.target, stack["EndpointName"])
    version = registry.registered(here.target, now.serves) if now else None
    labels = evaluations.verification_labels(here.target, version) if version else {}
    return here.render(
        request,
        "try.html",
        title="Try",
        serves=now.serves if now else "",
        version=version,
        samples=sorted(labels, key=lambda name: (name.rpartition("-")[2], name))[:_SAMPLES],
        bulks=tasks(request).of(BULK),
    )


async def _sent(request: Request) -> Response:
    """A photo as the body of the request; answers with the page that shows its way."""
    body, name = await request.body(), request.query_params.get("name", "photo")

    def start() -> str:
        here = pages(request)
        stack = here.stack()
        require_served(request, stack)
        key = photos.upload(here.target.client("s3"), stack["BucketName"], plain(name), body, "console")
        machine = here.target.client("stepfunctions")
        return photos.start(machine, stack["InferenceStateMachineArn"], stack["BucketName"], key)

    arn = await run_in_threadpool(start)
    return JSONResponse({"location": f"/photos/{arn.rsplit(':', 1)[-1]}"})


def _sample(request: Request) -> Response:
    """One of the verification photos, where it lies."""
    here, name = pages(request), request.state.form.get("name", "")
    stack = here.stack()
    version = registry.numbered(here.target, registry.number(require_served(request, stack)))
    if name not in evaluations.verification_labels(here.target, version):
        raise UsageError(f"version {version.number} has no sample photo {name[:80]!r}: choose one on the page")
    bucket, key = aws.split_s3(evaluations.verification_photo(version, name))
    machine = here.target.client("stepfunctions")
    execution = photos.execution_name("sample", name)
    photos.start(machine, stack["InferenceStateMachineArn"], bucket, key, execution)
    return RedirectResponse(f"/photos/{execution}", 303)


def require_served(request: Request, stack: dict[str, str]) -> str:
    """The ARN of the version in service. Raises WorkError when there is none."""
    now = registry.endpoint(pages(request).target, stack["EndpointName"])
    if now is None or not now.serves:
        raise WorkError("no model is deployed yet: approve a version on the page Versions, then try again")
    return now.serves


def plain(name: str) -> str:
    """The last part of a file's name, printable and of at most 200 bytes, without what would make it a path."""
    last = "".join(filter(str.isprintable, name.replace("\\", "/").rsplit("/", 1)[-1]))
    return last.encode()[-_NAME_BYTES:].decode(errors="ignore").lstrip(".") or "photo"


def _trace(request: Request) -> Trace:
    here, name = pages(request), request.path_params["name"]
    if not _NAME.fullmatch(name):
        raise HTTPException(404, "There is no such execution.")
    return trace(here.target, here.stack()["InferenceStateMachineArn"], name)


def _one(request: Request) -> Response:
    found = _trace(request)
    return pages(request).render(request, "photo.html", title="A photo's way", trace=found, reasons=photos.FOR_REVIEW)


def _one_live(request: Request) -> Response:
    """The server-sent events that show a photo's way through the state machine until it has ended."""
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


ROUTES = [
    Route("/photos", _try),
    Route("/photos", _sent, methods=["POST"]),
    Route("/photos/sample", _sample, methods=["POST"]),
    Route("/photos/{name}", _one),
    Route("/photos/{name}/events", _one_live),
    Route("/photos/{name}/photo", _picture),
]
