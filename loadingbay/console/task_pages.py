"""The page of a task that was started from another page: its parts and what came of it, live."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from loadingbay.console.live import Look, stream
from loadingbay.console.pages import pages
from loadingbay.console.tasks import Task, Tasks


def tasks(request: Request) -> Tasks:
    """The application's tasks."""
    found: Tasks = request.app.state.tasks
    return found


def shown(task: Task) -> Response:
    """Sends the browser to the task's page."""
    return RedirectResponse(f"/{task.kind}/{task.id}", 303)


def routes(kind: str, title: str, template: str) -> list[Route]:
    """The page of the tasks of a kind, which is the first part of their addresses; `template` shows the results."""

    def find(request: Request) -> Task:
        found = tasks(request).get(request.path_params["id"])
        if found is None or found.kind != kind:
            raise HTTPException(
                404,
                "This console has started nothing of that number, or was started again since. "
                "What it started in the cloud goes on: the pages Runs and Try show it.",
            )
        return found

    def page(request: Request) -> Response:
        return pages(request).render(request, "task.html", title=title, task=find(request), parts=template)

    def live(request: Request) -> Response:
        here = pages(request)

        def look() -> Look:
            task = find(request)
            # The state first: what is shown of a task that has ended is all of it.
            ended = task.state != "running"
            return Look({"task": here.fragment(template, task=task)}, ended=ended)

        return stream(request, look)

    return [Route(f"/{kind}/{{id}}", page), Route(f"/{kind}/{{id}}/events", live)]
