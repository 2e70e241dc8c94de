"""Renders templates, in which everything is escaped, and turns failures into pages that say what to do."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar, cast

from botocore.exceptions import ClientError
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from loadingbay.console.door import HEADERS
from loadingbay.errors import NotFoundError, UsageError, WorkError
from loadingbay.options import require_running
from loadingbay.registry.versions import APPROVALS
from loadingbay.screen.explain import refused, sentence
from loadingbay.screen.progress import duration, typed
from loadingbay.stack.deploy import outputs
from loadingbay.target import Target
from loadingbay.tuning.trials import short

T = TypeVar("T")
TEMPLATES = Path(__file__).parent / "templates"
_KEPT_SECONDS = 10.0  # what changes with a deployment, or once an hour
_OF_VERSIONS = dict.fromkeys(("/rollback", "/threshold"), "/versions")


@dataclass(frozen=True)
class Pages:
    """What every page is about: the target, the folder of `.loadingbay` and `runs`, who sits here, and the address."""

    target: Target
    root: Path
    author: str
    environment: Mapping[str, str]
    address: str
    _kept: dict[str, tuple[float | None, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def _templates(self) -> Environment:
        """The Jinja environment of the console's pages, with the filters that they use."""
        templates = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        templates.filters |= {
            "when": when,
            "utc": utc,
            "person": person,
            "short": short,
            "share": share,
            "figure": figure,
            "duration": duration,
            "approval": lambda status: APPROVALS.get(status, status),
            "pretty": pretty,
            "typed": typed,
            "command": lambda text: Markup("<code>{}</code>").format(typed(f"`{text}`").strip("`")),
        }
        return templates

    def stack(self) -> dict[str, str]:
        """The stack's outputs. Raises WorkError when the local cloud does not run, or the stack is not deployed."""
        require_running(self.target)
        return self.kept("outputs", lambda: outputs(self.target))

    def kept(self, name: str, read: Callable[[], T]) -> T:
        """What `read` gives, or gave less than ten seconds ago under this name: for what changes seldom."""
        with self._lock:
            at, found = self._kept.get(name, (None, None))
        if at is None or time.monotonic() - at > _KEPT_SECONDS:
            found = read()
            with self._lock:
                self._kept[name] = (time.monotonic(), found)
        return cast("T", found)

    def render(self, request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        """A whole page."""
        session = getattr(request.state, "session", None)
        context |= {
            "csrf": session.csrf if session else "",
            "target": self.target,
            "here": _OF_VERSIONS.get(request.url.path, f"/{request.url.path.split('/')[1]}"),
        }
        # The page of an unexpected failure does not pass the door, which gives other answers their headers.
        return HTMLResponse(self._templates.get_template(template).render(context), status, HEADERS)

    def fragment(self, template: str, **context: Any) -> str:
        """A part of a page."""
        return self._templates.get_template(template).render(context)


def pages(request: Request) -> Pages:
    """The application's pages."""
    found: Pages = request.app.state.pages
    return found


def failed(request: Request, error: Exception) -> HTMLResponse:
    """The page for a failure: what happened, and what to do."""
    status, said, path = status_of(error), explained(error), request.url.path
    if status == HTTPStatus.NOT_FOUND and said == HTTPStatus.NOT_FOUND.phrase:
        said = f"There is no page {path}."
    query = f"?{request.url.query}" if request.url.query else ""
    again = f"{path}{query}" if request.method == "GET" and status != HTTPStatus.NOT_FOUND else ""
    return pages(request).render(request, "failed.html", status, title="That did not work", said=said, again=again)


def explained(error: Exception) -> str:
    """The error as a sentence whose commands can be typed as they stand."""
    if isinstance(error, HTTPException):
        return str(error.detail)
    return typed(sentence(error))


def status_of(error: Exception) -> int:
    """The HTTP status that a failure is answered with."""
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, NotFoundError):
        return 404
    if isinstance(error, UsageError):
        return 400
    if isinstance(error, WorkError):
        return 409
    if refused(error):
        return 403
    return 502 if isinstance(error, ClientError) else 500


def when(moment: datetime | None) -> Markup:
    """A moment as `<time>`, in UTC; the page's script writes it in the reader's zone."""
    if moment is None:
        return Markup("")
    at = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(timespec="seconds"), utc(at))


def utc(moment: datetime) -> str:
    """A moment in UTC, as text."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def person(arn: str) -> str:
    """Who it is, of an identity's ARN: `user/ada`; other text as it is."""
    return arn.rsplit(":", 1)[-1] if arn.startswith("arn:") else arn


def share(value: float | str | None) -> str:
    """`0.934` as `93.4 %`, "" for what is no number."""
    number = _number(value)
    return "" if number is None else f"{number:.1%}".replace("%", " %")


def figure(value: float | str | None, digits: int = 3) -> str:
    """A number with so many digits after the point, "" for what is no number."""
    number = _number(value)
    return "" if number is None else f"{number:.{digits}f}"


def _number(value: float | str | None) -> float | None:
    """Return the value as a finite number; None for what is none."""
    try:
        number = float(value if value is not None else "")
    except (OverflowError, TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def pretty(document: Any, most: int = 4000) -> str:
    """JSON for a person: indented, texts that are long (a photo in base64) cut, at most `most` characters."""
    text = json.dumps(_cut(document), indent=2, ensure_ascii=False, default=str)
    return text if len(text) <= most else f"{text[:most]}\n... ({len(text) - most:,} more characters)"


def _cut(document: Any) -> Any:
    """Return a copy of a JSON value in which texts of more than 300 characters are shortened."""
    if isinstance(document, dict):
        return {key: _cut(value) for key, value in document.items()}
    if isinstance(document, list):
        return [_cut(value) for value in document]
    if isinstance(document, str) and len(document) > 300:
        return f"{document[:60]}... ({len(document):,} characters)"
    return document
