"""Which format to answer in: the Accept header against what handlers can write."""

from __future__ import annotations

from functools import lru_cache

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

OFFERED = ("application/json", "text/csv")


@lru_cache(maxsize=256)
def best(accept: str) -> str | None:
    """The offered type that the client likes best, or None when it accepts none of them. No header accepts all."""
    if not accept.strip():
        return OFFERED[0]
    return parse_accept_header(accept, MIMEAccept).best_match(OFFERED)
