"""The handler that ships in the artifact (`code/inference.py`): loaded, checked, warmed up."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

log = logging.getLogger("modelserver")

Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]
CALLS = ("model_fn", "input_fn", "predict_fn", "output_fn")


class LoadError(RuntimeError):
    """The artifact cannot be served; the message is the reason, in one line."""


class UnsupportedContentType(ValueError):  # noqa: N818 - the name the handler contract uses
    """Stands in for the handler's own exception when it defines none: nothing raises it."""


@dataclass(frozen=True)
class Handler:
    """The four calls of the handler contract around one loaded model."""

    read: Callable[[bytes, str], Images]
    predict: Callable[[Images], Probabilities]
    write: Callable[[Probabilities, str], tuple[bytes, str]]
    unsupported: type[Exception]


def import_code(model_dir: Path) -> ModuleType:
    """Import `code/inference.py`; it may import what lies beside it. Raises LoadError."""
    path = model_dir / "code" / "inference.py"
    if not path.is_file():
        raise LoadError(f"the model artifact in {model_dir} has no code/inference.py")
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location("inference", path)
    if spec is None or spec.loader is None:
        raise LoadError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules["inference"] = module
    try:
        spec.loader.exec_module(module)
    except Exception as problem:
        log.exception("importing %s failed", path)
        raise LoadError(f"importing code/inference.py failed: {_line(problem)}") from problem
    missing = [name for name in CALLS if not callable(getattr(module, name, None))]
    if missing:
        raise LoadError(f"code/inference.py lacks {', '.join(missing)}; a handler defines {', '.join(CALLS)}")
    return module


def load(module: ModuleType, model_dir: Path, batch_sizes: range) -> Handler:
    """Load the model and answer once at each batch size, so that no caller waits for that. Raises LoadError."""
    try:
        model = module.model_fn(str(model_dir))
    except Exception as problem:
        log.exception("model_fn failed")
        raise LoadError(f"model_fn failed: {_line(problem)}") from problem
    handler = Handler(
        read=module.input_fn,
        predict=lambda images: module.predict_fn(images, model),
        write=lambda probabilities, accept: module.output_fn(probabilities, accept, model),
        unsupported=getattr(module, "UnsupportedContentType", UnsupportedContentType),
    )
    try:
        if callable(warmup := getattr(module, "warmup", None)):
            warmup(model)
        body, content_type = getattr(module, "WARMUP_BODY", None) or probe(), "image/png"
        images = handler.read(body, content_type)
        for size in batch_sizes:
            probabilities = handler.predict(np.repeat(images[:1], size, axis=0))
        handler.write(probabilities[:1], "application/json")
    except Exception as problem:
        log.exception("the model cannot answer a plain photo")
        raise LoadError(f"the model cannot answer a plain photo: {_line(problem)}") from problem
    return handler


def probe(width: int = 32, height: int = 32) -> bytes:
    """A plain grey PNG, with which the model is warmed up and checked before it takes requests."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x80" * 3 * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def fingerprint(model_dir: Path) -> str:
    """SHA-256 over the names and contents of the artifact's files, in order of their names."""
    digest = hashlib.sha256()
    for path in sorted(model_dir.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            name = path.relative_to(model_dir).as_posix().encode()
            digest.update(struct.pack(">Q", len(name)) + name)
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
            digest.update(content)
    return digest.hexdigest()


def _line(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {' '.join(str(problem).split())[:500]}"
