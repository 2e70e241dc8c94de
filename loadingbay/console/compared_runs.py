"""The pages of several runs: two to four side by side, and the trials of a search with Optuna's figures."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import ClientError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loadingbay.console import side_by_side
from loadingbay.console.pages import pages
from loadingbay.errors import NotFoundError, UsageError
from loadingbay.registry import comparison
from loadingbay.story import training
from loadingbay.target import Target
from loadingbay.tuning import figures, record
from loadingbay.tuning.record import Objective, Trial
from pipelines import aws, executions

T = TypeVar("T")
_IDENTITY = re.compile("[A-Za-z0-9]{1,20}")
_OF_VERSIONS = ("accuracy", "coverage", "accepted_precision", "out_of_distribution_", "recent", "threshold")


def known(target: Target, identity: str, do: Callable[[Any, str], T]) -> T:
    """What `do` gives for the SageMaker client and the ARN of an execution of the stage's pipeline.

    `identity` is the last part of the ARN. Raises NotFoundError when there is no such execution.
    """
    place = f"{target.resolved_region}:{target.account}"
    arn = f"arn:{target.partition}:sagemaker:{place}:pipeline/{target.stage}/execution/{identity}"
    missing = NotFoundError(f"there is no execution {identity[:40]!r}: the page Runs lists them")
    if not _IDENTITY.fullmatch(identity):
        raise missing
    try:
        return do(target.client("sagemaker"), arn)
    except ClientError as error:
        if aws.is_missing(error):
            raise missing from error
        raise


def _compare(request: Request) -> Response:
    """The page that puts two or more runs side by side: parameters, inputs, steps and figures that differ."""
    here = pages(request)
    here.stack()
    ids = side_by_side.chosen(request.query_params.getlist("run"), "runs")
    found = [known(here.target, one, executions.describe) for one in ids]
    sagemaker = here.target.client("sagemaker")
    given = [{**side_by_side.DEFAULTS, **executions.values(sagemaker, one.arn)} for one in found]
    documents = [training.evaluation(here.target, one) for one in found]
    made_of = [{str(name): str(value) for name, value in one.get("metadata", {}).items()} for one in documents]
    steps = list(dict.fromkeys(step.name for one in found for step in one.steps))
    return here.render(
        request,
        "runs_compare.html",
        title=f"Runs {', '.join(one.id for one in found)}",
        runs=found,
        parameters=side_by_side.differing(given),
        made_of=side_by_side.differing(made_of, _OF_VERSIONS),
        rows=comparison.rows(documents),
        confusions=[side_by_side.confusion(document) for document in documents],
        plots=side_by_side.curves([(one.id, document) for one, document in zip(found, documents, strict=True)]),
        steps=[(name, [one.step(name) for one in found]) for name in steps],
    )


def _objective(request: Request) -> Objective:
    asked = request.query_params.get("by", "nll")
    if asked not in {"nll", "accuracy"}:
        raise UsageError(f"by={asked[:40]!r}: trials are ranked by nll or accuracy")
    return "accuracy" if asked == "accuracy" else "nll"


def _trials(request: Request) -> list[Trial]:
    here = pages(request)
    here.stack()
    known: dict[str, Trial] = request.app.state.trials
    return record.read(here.target, request.path_params["study"], _objective(request), known)


def _search(request: Request) -> Response:
    """The page of a hyperparameter search: its trials, the best first, and links to its figures."""
    trials = _trials(request)
    shown: dict[str, Any] = {
        "trials": trials,
        "names": list(trials[0].values),
        "study": request.path_params["study"],
        "objective": _objective(request),
        "figures": [(name, figures.NAMES[name]) for name in figures.drawable(trials)],
    }
    return pages(request).render(request, "search.html", title=f"Search {request.path_params['study']}", **shown)


def _figure(request: Request) -> Response:
    """A figure of a search as SVG, in the colour scheme that the query asks for; status 404 for an unknown one."""
    trials, name = _trials(request), request.path_params["name"]
    scheme = request.query_params.get("scheme", "light")
    if name not in figures.drawable(trials) or scheme not in figures.SCHEMES:
        raise HTTPException(404, "There is no such figure of this search.")
    drawn = figures.draw(name, trials, _objective(request), scheme)
    return Response(drawn, media_type="image/svg+xml")


ROUTES = [
    Route("/runs/compare", _compare),
    Route("/runs/search/{study}", _search),
    Route("/runs/search/{study}/{name}.svg", _figure),
]
