"""Says in one sentence why uv could not make an environment, from what it printed. Pure."""

from __future__ import annotations

from collections.abc import Sequence

_NO_NETWORK = (
    "network was disabled",
    "client error (Connect)",
    "dns error",
    "operation timed out",
    "Could not resolve host",
    "Network is unreachable",
)


def reason(lines: Sequence[str], exit_code: int) -> str:
    """The reason in one line without a line break or an end: the error, what caused it, and for a build its last line.

    uv prints `error: ...`, then causes from the outermost to the innermost, each as `cause: ...`, and below a failed
    build that build's own output. Where the network is the cause, the sentence says so and what to do.
    """
    texts = [line.strip() for line in lines if line.strip()]
    begin = next((number for number, text in enumerate(texts) if text.startswith("error: ")), None)
    if begin is None:
        return texts[-1] if texts else f"uv exited with {exit_code}"
    texts = texts[begin:]
    causes = [text.removeprefix("cause: ") for text in texts if text.startswith("cause: ")]
    innermost = causes[-1] if causes else texts[0].removeprefix("error: ")
    if any(sign in text for text in texts for sign in _NO_NETWORK):
        if any("network was disabled" in text for text in texts):
            innermost = "UV_OFFLINE is set"
        where = next((cause for cause in causes if "http" in cause), "")
        cause = ": ".join(dict.fromkeys(filter(None, [where, innermost])))
        return f"a package is not in uv's cache, and no package index can be reached to download it ({cause})"
    parts = [texts[0].removeprefix("error: "), innermost]
    build = next((number for number, text in enumerate(texts) if text in ("[stderr]", "--- stderr", "[stdout]")), None)
    if build is not None and texts[build + 1 :]:
        parts.append(next((text for text in reversed(texts[build + 1 :]) if not text.startswith("hint: ")), ""))
    return ": ".join(dict.fromkeys(part.rstrip(".") for part in parts if part))
