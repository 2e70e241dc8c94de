"""The pages Versions, one version, and several side by side."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loadingbay.console import plots, side_by_side
from loadingbay.console.live import Look, stream
from loadingbay.console.pages import Pages, pages
from loadingbay.console.pictures import photo_response
from loadingbay.console.side_by_side import DEFAULTS
from loadingbay.console.thresholds import cost
from loadingbay.errors import UsageError
from loadingbay.learning.comparison import paired_tests
from loadingbay.registry import comparison, evaluations
from loadingbay.registry import versions as registry
from loadingbay.registry.cost_curve import cost_curve
from loadingbay.registry.versions import Version
from pipelines import aws, executions

PAGE = 25
_DIFFERING = 24  # photos on which versions disagree, at most shown
_NOT_COMPARED = ("accuracy", "coverage", "accepted_precision", "approved_by", "out_of_distribution_", "verif")


def _table(request: Request) -> Response:
    """The page of all versions, the newest first, PAGE of them from number `?skip=` on."""
    here = pages(request)
    stack = here.stack()
    skip = max(0, _whole(request.query_params.get("skip", "0"), "skip"))
    found, count = registry.page(here.target, skip, PAGE)
    now = registry.endpoint(here.target, stack["EndpointName"])
    return here.render(
        request, "versions.html", title="Versions", versions=found, count=count, skip=skip, size=PAGE, now=now
    )


def _one(request: Request) -> Response:
    """The page of one version: its figures, tests and plots, its state, and the buttons that its state allows."""
    here = pages(request)
    stack = here.stack()
    version = registry.numbered(here.target, request.path_params["number"])
    found = evaluations.evaluation(here.target, version)
    return here.render(
        request,
        "version.html",
        title=f"Version {version.number}",
        version=version,
        rows=comparison.rows([found]),
        tests=paired_tests(found),
        confusion=side_by_side.confusion(found),
        plots=side_by_side.curves([(f"version {version.number}", found)]),
        costs=found.get("costs"),
        cost_plot=_cost_plot(found.get("costs") or {}),
        state=_state(here, stack, version),
        asked_for=request.query_params.get("decided", ""),
    )


def _cost_plot(costs: Mapping[str, Any]) -> plots.Plot | None:
    """The curves of evaluation.json's `costs`, None without any."""
    curves = [
        (
            one["answers"],
            list(zip(one["points"]["threshold"], one["points"]["cost"], strict=True)),
            one["threshold"],
            one["best"]["threshold"],
        )
        for one in costs.get("curves", ())
    ]
    return plots.cost(curves, "on the test photos") if curves else None


def _state(here: Pages, stack: dict[str, str], version: Version) -> dict[str, Any]:
    """What is happening with the version: whether it serves, is being verified, or was refused, and why."""
    now = registry.endpoint(here.target, stack["EndpointName"])
    serves = now is not None and now.serves == version.arn and now.status == "InService"
    how = (
        ""
        if serves or version.approval != "Approved"
        else registry.how_far(here.target, stack["EndpointName"], version)
    )
    return {"version": version, "serves": serves, "how_far": how, "status": now.status if now else ""}


def _one_live(request: Request) -> Response:
    """The server-sent events that keep the state on a version's page up to date."""
    here = pages(request)
    number = request.path_params["number"]

    def look() -> Look:
        state = _state(here, here.stack(), registry.numbered(here.target, number))
        return Look({"state": here.fragment("version_state.html", state=state)})

    return stream(request, look)


def _compare(request: Request) -> Response:
    """The page that puts two or more versions side by side; UsageError if too few or too many were chosen."""
    here = pages(request)
    here.stack()
    numbers = [_whole(text, "v") for text in side_by_side.chosen(request.query_params.getlist("v"), "versions")]
    wrong, review = cost(request, "wrong", 10.0), cost(request, "review", 1.0)
    with ThreadPoolExecutor(side_by_side.MOST) as pool:
        found = list(pool.map(lambda number: registry.numbered(here.target, number), sorted(numbers)))
        documents = list(pool.map(lambda version: evaluations.evaluation(here.target, version), found))
        parameters = list(pool.map(lambda version: _parameters(here, version), found))
    named = [(f"version {version.number}", document) for version, document in zip(found, documents, strict=True)]
    return here.render(
        request,
        "compare.html",
        title=f"Versions {', '.join(str(version.number) for version in found)}",
        versions=found,
        rows=comparison.rows(documents),
        confusions=[side_by_side.confusion(document) for document in documents],
        plots=[*side_by_side.curves(named), *_costs(found, documents, wrong, review)],
        wrong=f"{wrong:g}",
        review=f"{review:g}",
        differing=side_by_side.differing([version.metadata for version in found], _NOT_COMPARED),
        parameters=side_by_side.differing(parameters) if all(parameters) else [],
        unknown=[version.number for version, known in zip(found, parameters, strict=True) if not known],
        disagreements=_disagreements(here, found),
    )


def _costs(found: list[Version], documents: list[dict[str, Any]], wrong: float, review: float) -> list[plots.Plot]:
    """Return the plot of the versions' cost curves for these costs; [] where no version keeps its answers."""
    drawn = [
        (cost_curve(document, wrong, review), version.figure("threshold"))
        for version, document in zip(found, documents, strict=True)
    ]
    return [plots.costs(drawn)] if any(points for points, _ in drawn) else []


def _parameters(here: Pages, version: Version) -> dict[str, str]:
    """What the execution that registered the version was given, defaults included; {} when it is not known any more."""
    if "/execution/" not in version.origin:
        return {}
    try:
        return {**DEFAULTS, **executions.values(here.target.client("sagemaker"), version.origin)}
    except ClientError as error:
        if not aws.is_missing(error):
            raise
        return {}


def _disagreements(here: Pages, found: list[Version]) -> list[dict[str, Any]]:
    """The verification photos, of the first version's, to which the versions gave different answers."""
    answers = [evaluations.verification_answers(here.target, version) for version in found]
    labels = evaluations.verification_labels(here.target, found[0])
    common = [name for name in answers[0] if all(name in other for other in answers[1:])]
    # The same name means the same photo only where the data are the same.
    if len({version.metadata.get("data_sha256") for version in found}) > 1:
        return []
    return [
        {"name": name, "truth": labels.get(name, ""), "answers": [each[name] for each in answers]}
        for name in common
        if len({each[name]["label"] for each in answers}) > 1
    ][:_DIFFERING]


def _photo(request: Request) -> Response:
    """A verification photo of the version, as PNG or JPEG; status 404 when it has none of that name."""
    here = pages(request)
    here.stack()
    version = registry.numbered(here.target, request.path_params["number"])
    name = request.path_params["name"]
    if name not in evaluations.verification_labels(here.target, version):
        raise HTTPException(404, f"Version {version.number} has no verification photo of that name.")
    return photo_response(here.target, evaluations.verification_photo(version, name))


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise UsageError(f"{name}={text[:40]!r}: must be a whole number")
    return int(text)


ROUTES = [
    Route("/versions", _table),
    Route("/versions/compare", _compare),
    Route("/versions/{number:int}", _one),
    Route("/versions/{number:int}/events", _one_live),
    Route("/versions/{number:int}/verification/{name}", _photo),
]
