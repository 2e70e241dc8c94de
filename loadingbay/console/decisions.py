"""Approve, reject and roll back: first the dry run, then, after a confirmation, the decision with its comment."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from loadingbay.console.pages import pages
from loadingbay.registry import plan as deployments
from loadingbay.registry import versions as registry

_WORDS = {"approve": True, "reject": False}


def _planned(request: Request) -> Response:
    """The page that shows what would be done, with the form that does it."""
    here, word = pages(request), request.path_params["word"]
    stack = here.stack()
    version = registry.numbered(here.target, request.path_params["number"])
    document = deployments.decision(here.target, stack["EndpointName"], version.arn, approve=_approve(word))
    return here.render(
        request,
        "decide.html",
        title=f"{word.capitalize()} version {version.number}",
        word=word,
        version=version,
        comment="",
        course=document["course"],
        details=deployments.details,
    )


def _decided(request: Request) -> Response:
    """Approve or reject the version with the form's comment; redirect to the version's page."""
    here, word = pages(request), request.path_params["word"]
    here.stack()
    version = registry.numbered(here.target, request.path_params["number"])
    comment = " ".join(request.state.form.get("comment", "").split())
    registry.decide(here.target, version, approve=_approve(word), comment=comment)
    return RedirectResponse(f"/versions/{version.number}?decided={word}", 303)


def _approve(word: str) -> bool:
    if word not in _WORDS:
        raise HTTPException(404, "A version can be approved or rejected.")
    return _WORDS[word]


def _rollback(request: Request) -> Response:
    """A rollback is the rejection of the version that belongs in service: its dry run, with a comment that says so."""
    here = pages(request)
    stack = here.stack()
    live, before = registry.rollback(here.target)
    document = deployments.decision(here.target, stack["EndpointName"], live.arn, approve=False)
    return here.render(
        request,
        "decide.html",
        title=f"Roll back from version {live.number} to version {before.number}",
        word="reject",
        version=live,
        comment=f"rolled back to version {before.number}",
        course=document["course"],
        details=deployments.details,
    )


ROUTES = [
    Route("/versions/{number:int}/{word}", _planned),
    Route("/versions/{number:int}/{word}", _decided, methods=["POST"]),
    Route("/rollback", _rollback),
]
