"""MiniStack's module of S3 by itself: nothing that other tests patched, and none of their objects."""

import asyncio
import importlib.util
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

ACCOUNT = "000000000000"


def module(folder: Path, *, persist: bool) -> Any:
    """A new one, whose objects are in a folder."""
    spec = importlib.util.find_spec("ministack.services.s3")
    assert spec is not None
    assert spec.loader is not None
    made: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    made.DATA_DIR, made.S3_PERSIST = str(folder), persist
    return made


def ask(s3: Any, method: str, path: str, query: dict[str, str] | None = None, body: bytes = b"", **headers: str) -> Any:
    """The status and the document of S3's answer to a request; headers are named with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = {name: [value] for name, value in (query or {}).items()}
    status, _, answer = asyncio.run(s3.handle_request(method, path, named, body, asked))
    return status, fromstring(answer) if answer[:1] == b"<" else answer  # noqa: S314 - of this process


def texts(document: Element, path: str) -> list[str]:
    """The text of each element at a path, in S3's namespace."""
    space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    return [element.text or "" for element in document.findall("/".join(space + tag for tag in path.split("/")))]


def version(s3: Any, bucket: str, status: str) -> None:
    """Set a bucket's versioning to Enabled or Suspended."""
    body = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"
    assert ask(s3, "PUT", f"/{bucket}", {"versioning": ""}, body.encode())[0] == 200
