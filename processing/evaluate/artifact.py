"""Loads a model artifact as the endpoint does: through the handler that ships inside it."""

from __future__ import annotations

import importlib
import json
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from processing.job import JobError

ARTIFACT = "model.tar.gz"
MAX_ARTIFACT_BYTES = 1 << 30  # unpacked
MAX_MEMBERS = 1000
# What an artifact says of itself, and is read here.
ABOUT_MODEL = {
    "classes": list, "threshold": float, "temperature": float, "target_precision": float, "versions": dict,
    "out_of_fold": dict,
}  # fmt: skip
BATCH = 32

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Served:
    """A loaded artifact.

    Its model.json, probabilities of encoded photos through its handler, and its metrics module.
    """

    folder: Path
    about: dict[str, Any]
    probabilities: Callable[[Sequence[bytes]], Floats]
    metrics: ModuleType


def unpack(model: Path, folder: Path) -> Path:
    """The artifact's folder: `model` itself when it is one, or `folder` once model.tar.gz is unpacked into it.

    Members must be plain files and folders inside; sizes and number are bounded. JobError otherwise.
    """
    if (model / "model.json").is_file():
        return model
    if model.is_dir():
        model = model / ARTIFACT
    if not model.is_file():
        raise JobError(f"there is no model artifact at {model}")
    size = 0
    try:
        with tarfile.open(model, "r:gz") as tar:
            for number, member in enumerate(tar, start=1):
                size += member.size
                if number > MAX_MEMBERS or size > MAX_ARTIFACT_BYTES:
                    raise JobError(f"{model} unpacks to more than {MAX_MEMBERS} files or {MAX_ARTIFACT_BYTES} bytes")
                if not (member.isfile() or member.isdir()):
                    raise JobError(f"{model} holds {member.name!r}, which is neither a file nor a folder")
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise JobError(f"{model} cannot be unpacked: {error}") from error
    return folder


@contextmanager
def importing_from(code: Path) -> Iterator[None]:
    """Modules are found in `code` first, and forgotten after: two artifacts bring files of the same names."""
    names = {path.stem for path in code.glob("*.py")}
    hidden = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(code))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(code))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)


def load(folder: Path) -> Served:
    """Load an unpacked artifact through its own handler. JobError when it does not load."""
    code = folder / "code"
    if not (code / "inference.py").is_file():
        raise JobError("code/inference.py is missing in the model artifact")
    dont_write, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # the artifact's folder stays as it is
    try:
        with importing_from(code):
            handler = importlib.import_module("inference")
            metrics = importlib.import_module("metrics")
            model = handler.model_fn(str(folder))
    except Exception as error:  # code of the artifact: whatever it raises means that it does not load
        raise JobError(f"the model does not load through its handler: {type(error).__name__}: {error}") from error
    finally:
        sys.dont_write_bytecode = dont_write

    def probabilities(bodies: Sequence[bytes]) -> Floats:
        parts = []
        for at in range(0, len(bodies), BATCH):
            try:
                images = [handler.input_fn(body, content_type(body)) for body in bodies[at : at + BATCH]]
                parts.append(handler.predict_fn(np.concatenate(images), model))
            except Exception as error:  # code of the artifact
                where = f"photos {at} to {min(at + BATCH, len(bodies)) - 1}"
                raise JobError(f"the handler fails on {where}: {type(error).__name__}: {error}") from error
        return np.concatenate(parts)

    return Served(folder, _about(folder), probabilities, metrics)


def _about(folder: Path) -> dict[str, Any]:
    """What model.json says; JobError when it lacks what is read here, as a foreign artifact's may."""
    about = read_json(folder / "model.json")
    for name, kind in ABOUT_MODEL.items():
        if name not in about:
            raise JobError(f"the artifact's model.json says no {name!r}: it was not written by this training")
        if not isinstance(about[name], (kind, int) if kind is float else kind):
            raise JobError(f"{name!r} in the artifact's model.json is {about[name]!r:.80}, no {kind.__name__}")
    return about


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; JobError when the file is missing or holds none."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise JobError(f"{path} is missing") from None
    except ValueError as error:
        raise JobError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise JobError(f"{path.name} holds no JSON object")
    return content


def content_type(body: bytes) -> str:
    """The media type by the first bytes."""
    return "image/png" if body.startswith(b"\x89PNG") else "image/jpeg"
