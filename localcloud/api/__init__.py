"""The interface between the protocol and the resources: how an operation is registered, fails and lists.

A resource module looks like this:

    from localcloud.api import ApiError, not_found, operation, page
    from localcloud.cloud import Cloud

    @operation("DescribePipeline")
    def describe_pipeline(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
        pipeline = cloud.store.get("pipeline", request["PipelineName"])
        if pipeline is None:
            raise not_found("Pipeline", cloud.arn("pipeline", request["PipelineName"]))
        return pipeline

- `request` is already validated against botocore's model (required, types, lengths, enums, patterns), without unknown
  members. Timestamps are epoch seconds (float), here, in the store and in answers.
- The answer is a dict in the shape of the operation's output. Members whose value is None are omitted. A member that
  AWS does not have is a bug: it raises in tests, and is dropped with a log line otherwise. A stored document may
  keep private members under names starting with "_": those are dropped silently.
- Operations run in a thread pool: they may block, and must be safe beside each other (use `cloud.store.transaction()`).
- `@on_start` functions run once the server answers, in registration order: resume what was running. `@on_stop`
  functions run at a graceful stop, in reverse order.
- A module takes part by being listed in `localcloud/resources/__init__.py`.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

Document = dict[str, Any]
Handler = Callable[["Cloud", Document], Document | None]
Hook = Callable[["Cloud"], None]
H = TypeVar("H", bound=Hook)

OPERATIONS: dict[str, Handler] = {}
START_HOOKS: list[Hook] = []
STOP_HOOKS: list[Hook] = []


class ApiError(Exception):
    """An error that the client sees: AWS's code, a sentence, and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members
        """Further members of the error's body, e.g. ModelError's OriginalStatusCode."""


def validation_error(message: str) -> ApiError:
    """A request that AWS's rules refuse, in words that name the value and what to do."""
    return ApiError("ValidationException", message)


def not_found(kind: str, name: str) -> ApiError:
    """ResourceNotFound in SageMaker's words, e.g. `Pipeline 'arn:...' does not exist.`"""
    return ApiError("ResourceNotFound", f"{kind} '{name}' does not exist.")


def refuse(request: Mapping[str, Any], *members: str) -> None:
    """ValidationException naming a member that AWS acts on and the local cloud does not. None is ignored."""
    for member in members:
        if request.get(member) not in (None, False):
            raise validation_error(f"The local cloud does not implement {member}; leave it out.")


def operation(name: str) -> Callable[[Handler], Handler]:
    """Register the decorated function as SageMaker's operation `name`."""

    def register(handler: Handler) -> Handler:
        if name in OPERATIONS:
            raise RuntimeError(f"operation {name} is registered twice: {OPERATIONS[name]} and {handler}")
        OPERATIONS[name] = handler
        return handler

    return register


def on_start(hook: H) -> H:
    """Run `hook(cloud)` once the server answers requests."""
    START_HOOKS.append(hook)
    return hook


def on_stop(hook: H) -> H:
    """Run `hook(cloud)` at a graceful stop, before the emulator's state is saved."""
    STOP_HOOKS.append(hook)
    return hook


def page(
    request: Mapping[str, Any],
    documents: Iterable[Document],
    *,
    member: str,
    summary: Callable[[Document], Document],
    name: str,
    identity: str,
    sort: Mapping[str, str] | None = None,
    default_sort: str = "CreationTime",
    default_order: str = "Descending",
    default_size: int = 10,
    status: str | None = None,
) -> Document:
    """One page of a List operation: filter, sort, cut, and say where the next page starts.

    `member` is the answer's list member; `summary` makes one of its elements from a document. `name` is the documents'
    member that NameContains looks in, `identity` one that is unique (it breaks ties and marks the place). `status`
    names the member for StatusEquals and SortBy=Status. `sort` maps further SortBy values to members; Name,
    CreationTime and LastModifiedTime are there. Filters used when the request has them: NameContains, StatusEquals,
    CreationTimeAfter/Before (also CreatedAfter/Before), LastModifiedTimeAfter/Before. Filters that only one operation
    has are the caller's: pass `documents` filtered.

    The token holds the last element's place, not a count, so elements created or deleted meanwhile do not shift pages.
    """
    fields = {"Name": name, "CreationTime": "CreationTime", "LastModifiedTime": "LastModifiedTime"}
    if status is not None:
        fields["Status"] = status
    fields.update(sort or {})
    field = fields[request.get("SortBy") or default_sort]
    descending = (request.get("SortOrder") or default_order) == "Descending"

    def place(document: Document) -> tuple[Any, str]:
        value = document.get(field)
        # Times sort as numbers, all else as text; a missing value sorts first.
        missing: Any = 0.0 if field.endswith("Time") else ""
        return (missing if value is None else value, str(document[identity]))

    chosen = [document for document in documents if _passes(request, document, name, status)]
    chosen.sort(key=place, reverse=descending)
    token = request.get("NextToken")
    if token:
        after = _read_token(token, field)
        chosen = [d for d in chosen if (place(d) < after if descending else place(d) > after)]
    size = request.get("MaxResults") or default_size
    answer: Document = {member: [summary(document) for document in chosen[:size]]}
    if len(chosen) > size:
        answer["NextToken"] = _write_token(field, place(chosen[size - 1]))
    return answer


def pick(document: Mapping[str, Any], *members: str) -> Document:
    """The named members that are set: how most summaries are made."""
    return {member: document[member] for member in members if document.get(member) is not None}


def _passes(request: Mapping[str, Any], document: Document, name: str, status: str | None) -> bool:
    contains = request.get("NameContains")
    if contains and contains.lower() not in str(document[name]).lower():
        return False
    for prefix, field in (
        ("CreationTime", "CreationTime"),
        ("Created", "CreationTime"),
        ("LastModifiedTime", "LastModifiedTime"),
    ):
        after, before = request.get(f"{prefix}After"), request.get(f"{prefix}Before")
        time = document.get(field)
        if after is not None and not (time is not None and time > after):
            return False
        if before is not None and not (time is not None and time < before):
            return False
    equals = request.get("StatusEquals")
    return not (equals and status is not None and document.get(status) != equals)


def _write_token(field: str, place: tuple[Any, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([field, *place]).encode()).decode()


def _read_token(token: str, field: str) -> tuple[Any, str]:
    try:
        written_for, value, identity = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError, TypeError):
        raise validation_error("The NextToken is not one that this operation gave.") from None
    if written_for != field:
        raise validation_error("The NextToken was given for another SortBy; start again without it.")
    return value, str(identity)
