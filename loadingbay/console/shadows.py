"""Shadow a version, after the dry run, and the page that compares it with the version in service on live requests."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from loadingbay.console.pages import pages
from loadingbay.console.pictures import as_picture
from loadingbay.errors import UsageError
from loadingbay.learning import live_comparison
from loadingbay.learning.live_comparison import LiveComparison
from loadingbay.registry import plan as deployments
from loadingbay.registry import shadow as shadows
from loadingbay.registry import versions as registry

_DIFFERING = 50  # requests, at most shown


def _planned(request: Request) -> Response:
    """The page that shows what would be done, with the form that does it."""
    here = pages(request)
    name = here.stack()["EndpointName"]
    version = registry.numbered(here.target, request.path_params["number"])
    shadows.check(here.target, name, version)
    return here.render(
        request,
        "decide.html",
        title=f"Shadow version {version.number}",
        word="shadow",
        version=version,
        comment="",
        course=shadows.plan(here.target, name, version, 1.0)["course"],
        details=deployments.details,
    )


def _decided(request: Request) -> Response:
    """Make the version the shadow, with the form's share and comment; redirect to the version's page."""
    here = pages(request)
    name = here.stack()["EndpointName"]
    version = registry.numbered(here.target, request.path_params["number"])
    shadows.check(here.target, name, version)
    comment = " ".join(request.state.form.get("comment", "").split())
    shadows.start(here.target, version, share=_share(request.state.form.get("share", "100")), comment=comment)
    return RedirectResponse(f"/versions/{version.number}?decided=shadow", 303)


def _share(text: str) -> float:
    """A percentage from a form as a share."""
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:4]) <= 100:
        raise UsageError(f"share={text[:40]!r}: must be a whole number of percent, 1 to 100")
    return int(text) / 100


def _live(request: Request) -> Response:
    """The page that compares the shadow with the version in service, with the buttons that end it."""
    found = _compared(request)
    return pages(request).render(
        request,
        "shadow.html",
        title=f"Version {found.shadow} as the shadow of version {found.live}",
        found=found,
        differing=found.differing[: -_DIFFERING - 1 : -1],
    )


def _compared(request: Request) -> LiveComparison:
    """The comparison as it is now; the photos that its page shows are kept until the next one."""
    here = pages(request)
    stack = here.stack()
    version = registry.numbered(here.target, request.path_params["number"])
    found = live_comparison.compare(here.target, stack, version)
    request.app.state.differing = {pair.live.digest: pair.live.photo for pair in found.differing[-_DIFFERING:]}
    return found


def _photo(request: Request) -> Response:
    """A photo to which the two gave different answers, by the hash of its bytes."""
    digest = request.path_params["digest"]
    if digest not in request.app.state.differing:
        _compared(request)  # another page was opened since, or the console was started again
    if digest not in request.app.state.differing:
        raise HTTPException(404, "The versions answered no such photo differently, or not among the newest.")
    return as_picture(request.app.state.differing[digest])


ROUTES = [
    Route("/versions/{number:int}/shadow", _planned),
    Route("/versions/{number:int}/shadow", _decided, methods=["POST"]),
    Route("/versions/{number:int}/live", _live),
    Route("/versions/{number:int}/live/{digest}/photo", _photo),
]
