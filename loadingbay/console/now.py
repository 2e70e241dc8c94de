"""The page Now, live: pipeline, endpoint, recent answers, accuracy over time, alarms, and the review queue."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from loadingbay.console import plots
from loadingbay.console.graph import graph
from loadingbay.console.live import Look, stream
from loadingbay.console.pages import Pages, explained, pages
from loadingbay.console.training_progress import Progress
from loadingbay.learning import periods
from loadingbay.learning.review import Queue
from loadingbay.registry import versions as registry
from loadingbay.screen.explain import refused
from loadingbay.serving.observe import alarms, last_execution
from loadingbay.serving.recent import Recent

_PERIODS = 168  # of monitoring: a week of hours


def _now(request: Request) -> Response:
    here = pages(request)
    here.stack()
    return here.render(request, "now.html", title="Now", parts=_parts(here, Progress(here.target), _recent(request)))


def _now_live(request: Request) -> Response:
    here, recent, progress = pages(request), _recent(request), Progress(pages(request).target)
    return stream(request, lambda: Look(_parts(here, progress, recent)))


def _recent(request: Request) -> Recent:
    found: Recent = request.app.state.recent
    return found


def _parts(here: Pages, progress: Progress, recent: Recent) -> dict[str, str]:
    """The parts of the page by their id."""
    stack = here.stack()
    looks: dict[str, Callable[[], dict[str, Any]]] = {
        "pipeline": lambda: _pipeline(here, progress),
        "service": lambda: _service(here, stack),
        "recent": lambda: _answers(stack, recent),
        "stream": lambda: _over_time(here, stack),
        "queue": lambda: _queue(here, stack),
        "alarms": lambda: {"alarms": alarms(here.target)},
    }
    with ThreadPoolExecutor(len(looks), thread_name_prefix="look") as pool:
        return dict(zip(looks, pool.map(lambda name: _part(here, name, looks[name]), looks), strict=True))


def _part(here: Pages, name: str, look: Callable[[], dict[str, Any]]) -> str:
    """A part of the page; where we may not see it, which action is missing, beside the parts that we may."""
    try:
        seen = look()
    except ClientError as error:
        if not refused(error):
            raise
        return here.fragment("refused.html", said=explained(error))
    return here.fragment(f"{name}.html", **seen)


def _pipeline(here: Pages, progress: Progress) -> dict[str, Any]:
    """Return the newest execution, the steps of the pipeline, and the training epochs of that execution."""
    execution = last_execution(here.target)
    return {
        "execution": execution,
        "graph": graph(here.target),
        "epochs": progress.epochs(execution) if execution else [],
    }


def _service(here: Pages, stack: dict[str, str]) -> dict[str, Any]:
    """Return the endpoint, the version it serves, its shadow, and the version that is on its way into service."""
    now = registry.endpoint(here.target, stack["EndpointName"])
    version = registry.registered(here.target, now.serves) if now else None
    deleted = registry.number(now.serves) if now and version is None else 0
    due = registry.due(here.target)
    waits = due is not None and (now is None or now.serves != due.arn or now.status != "InService")
    how = registry.how_far(here.target, stack["EndpointName"], due) if due and waits else ""
    shadow = registry.number(now.shadow) if now else 0
    waiting = due if waits else None
    return {"now": now, "version": version, "deleted": deleted, "shadow": shadow, "due": waiting, "how_far": how}


def _answers(stack: dict[str, str], recent: Recent) -> dict[str, Any]:
    """Return the newest captured answers with their plot, the threshold in force, and the share accepted (0 to 1)."""
    answers = recent.answers(stack)
    threshold = answers[-1].threshold if answers else None
    accepted = sum(answer.accepted for answer in answers) / len(answers) if answers else None
    plot = plots.stream([(answer.confidence, answer.accepted) for answer in answers], threshold)
    return {"answers": answers, "threshold": threshold, "accepted": accepted, "plot": plot}


def _over_time(here: Pages, stack: dict[str, str]) -> dict[str, Any]:
    """What monitoring found, period by period: the share acted upon, and accuracy where there are labels."""
    watch = here.kept("periods", lambda: periods.read(here.target, stack["BucketName"]))
    found = watch.periods[-_PERIODS:]
    accepted = [plots.Share(one.time, f"v{one.version}", one.accepted) for one in found]
    accuracy = [_accuracy(one) for one in found]
    plot = plots.over_time([("s0", accepted), ("s1", accuracy)])
    return {"periods": found, "sentences": watch.sentences, "plot": plot}


def _accuracy(period: periods.Period) -> plots.Share:
    known = period.accuracy
    interval = (known.low, known.high) if known else None
    return plots.Share(period.time, f"v{period.version}", known.value if known else None, interval)


def _queue(here: Pages, stack: dict[str, str]) -> dict[str, Any]:
    queue = Queue(here.target.client("sqs"), here.target.client("s3"), stack["ReviewQueueUrl"], stack["BucketName"])
    name = stack["ReviewQueueUrl"].rsplit("/", 1)[-1]
    return {"waiting": queue.waiting(), "age": queue.age(here.target.client("cloudwatch"), name)}


ROUTES = [Route("/", _now), Route("/events", _now_live)]
