"""Pages of List operations: filter, sort, cut, and a token that holds the place where the next page starts."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from localcloud.api.errors import validation_error
from localcloud.state.store import Selection

Document = dict[str, Any]
Place = tuple[Any, str]
"""What a list is sorted by, of one document, and its identity."""
Reader = Callable[[Place | None, int], Iterable[Document]]
"""Reads from the place of the last element before (None: from the start) so many documents, in the list's order."""


def page(
    request: Mapping[str, Any],
    documents: Iterable[Document] | Selection | Reader,
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
    where: Callable[[Document], bool] = lambda document: True,
    cut_first: bool = False,
) -> Document:
    """One page of a List operation: filter, sort, cut, and say where the next page starts.

    `member` is the answer's list member; `summary` makes one of its elements from a document. `name` is the documents'
    member that NameContains looks in, `identity` one that is unique (it breaks ties and marks the place). `status`
    names the member for StatusEquals and SortBy=Status. `sort` maps further SortBy values to members; Name,
    CreationTime and LastModifiedTime are there. Filters used when the request has them: NameContains, StatusEquals,
    CreationTimeAfter/Before (also CreatedAfter/Before), LastModifiedTimeAfter/Before. `where` is a filter that only one
    operation has. With `cut_first` a page is cut before it is filtered: it may be short or empty and have a next one.

    A `Selection` of the store, whose keys are the documents' `identity`, is read only as far as the page goes where it
    is sorted by CreationTime: that costs the same however many documents there are. A `Reader` is for lists with one
    order and no filters.

    The token holds the last element's place, not a count, so elements created or deleted meanwhile do not shift pages.
    It is of one list: of the operation, the order, and the members of the request that name a resource. One that is
    mistyped, made up or another list's is refused with a ValidationException.
    """
    fields = {"Name": name, "CreationTime": "CreationTime", "LastModifiedTime": "LastModifiedTime"}
    if status is not None:
        fields["Status"] = status
    fields.update(sort or {})
    field = fields[request.get("SortBy") or default_sort]
    descending = (request.get("SortOrder") or default_order) == "Descending"

    def place(document: Document) -> Place:
        value = document.get(field)
        # Times sort as numbers, all else as text; a missing value sorts first.
        missing: Any = 0.0 if field.endswith("Time") else ""
        return (missing if value is None else value, str(document[identity]))

    parents = {key: value for key, value in request.items() if value and key.endswith(("Arn", "Name", "Resource"))}
    of_list = json.dumps([member, identity, field, descending, parents], sort_keys=True, default=str)
    token = request.get("NextToken")
    after = _read_token(token, of_list) if token else None
    size = request.get("MaxResults") or default_size
    if callable(documents):
        documents = documents(after, size + 1)

    def passes(document: Document) -> bool:
        return _passes(request, document, name, status) and where(document)

    if isinstance(documents, Selection) and field == "CreationTime":
        ordered = documents.by_creation(after, size + 1, descending=descending)
        chosen = list(islice((d for d in ordered if cut_first or passes(d)), size + 1))
    else:
        chosen = [d for d in documents if cut_first or passes(d)]
        chosen.sort(key=place, reverse=descending)
        if after is not None:
            chosen = [d for d in chosen if (place(d) < after if descending else place(d) > after)]
    answer: Document = {member: [summary(document) for document in chosen[:size] if not cut_first or passes(document)]}
    if len(chosen) > size:
        answer["NextToken"] = _write_token(of_list, place(chosen[size - 1]))
    return answer


def pick(document: Mapping[str, Any], *members: str) -> Document:
    """The named members that are set: how most summaries are made."""
    return {member: document[member] for member in members if document.get(member) is not None}


def _passes(request: Mapping[str, Any], document: Document, name: str, status: str | None) -> bool:
    """Whether a document passes the request's filters by name, time and status."""
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


def _write_token(of_list: str, place: Place) -> str:
    """A token of the list that `of_list` describes, with a digest that tells another list's and a mistyped one."""
    text = json.dumps(place)
    digest = hashlib.sha256(f"{of_list}\n{text}".encode()).hexdigest()[:16]
    return base64.urlsafe_b64encode(f"{digest}{text}".encode()).decode()


def _read_token(token: str, of_list: str) -> Place:
    """The place that a token holds, or a refusal: only what `_write_token` wrote for this list is one."""
    try:
        value, identity = json.loads(base64.urlsafe_b64decode(token.encode())[16:])
        known = token == _write_token(of_list, (value, identity))
    except (ValueError, TypeError, RecursionError):
        known = False
    if not known:
        raise validation_error(
            "The NextToken is not one that this list gave for the same resource, SortBy and SortOrder; "
            "start again without it."
        )
    return value, identity
