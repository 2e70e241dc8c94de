"""Which requests are not served at all, whoever signed them. Pure.

A web page must not be able to drive this port, which runs code on this machine. AWS's clients send no Origin, no
Referer and no Sec-Fetch-*; browsers always send one of them, except old ones for a link or a picture (a GET).
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

_LOCAL_HOST = re.compile(r"^([a-z0-9.-]+\.)?(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$", re.IGNORECASE)
# A custom resource's function answers CloudFormation at an address that nobody else knows.
_ANSWER_TO_STACK = re.compile(r"^/_ministack/cfn-(response|signal)/[^/]{16,}$")


def refusal(method: str, path: str, query: str, headers: Mapping[str, str]) -> str | None:
    """Why a request is refused, as a sentence; None if it may be served."""
    browser = next((name for name in headers if name in {"origin", "referer"} or name.startswith("sec-fetch-")), None)
    if browser is not None:
        return f"The local cloud does not serve web pages: requests with the header {browser!r} are refused."
    if not _LOCAL_HOST.match(headers.get("host", "")):
        return f"The local cloud serves 127.0.0.1 only, not the host {headers.get('host', '')[:100]!r}."
    if headers.get("upgrade", "").lower() == "websocket":
        return "The local cloud serves no WebSockets."
    if path.startswith(("/_ministack", "/_localstack")) and not answers_stack(method, path):
        return f"The emulator's own page {path[:100]} is closed: stop the local cloud and delete its home to reset it."
    # The names as they are once decoded: ?%41ction= is ?Action=.
    if method != "POST" and any(name.strip().lower() == "action" for name, _ in parse_qsl(query, True, separator="&")):
        return "The local cloud takes ?Action= by POST only: a link or a picture of a web page must not act."
    return None


def answers_stack(method: str, path: str) -> bool:
    """Whether this is the answer of a custom resource, which is not signed: its address is the secret."""
    return method == "PUT" and _ANSWER_TO_STACK.match(path) is not None
