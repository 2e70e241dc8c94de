"""Artifacts made from a good one: with a fault, or healthy with other answers, so that who answered can be told."""

import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

Files = dict[str, bytes]

_SLOW = """

def _slowly(predict):
    import time

    def predict_fn(images, model):
        time.sleep({seconds})
        return predict(images, model)

    return predict_fn


predict_fn = _slowly(predict_fn)
"""
_RAISES = """

def model_fn(model_dir):
    raise RuntimeError("this version cannot be loaded: it was made so by the fault suite")
"""


def warmer(files: Files, factor: float = 1.5) -> Files:
    """Healthy: the same decisions, at another temperature, so with other probabilities."""
    return _about(files, lambda about: about.update(temperature=float(about["temperature"]) * factor))


def swapped(files: Files) -> Files:
    """Wrong labels: each class is called by the other's name."""
    return _about(files, lambda about: about.update(classes=about["classes"][::-1]))


def raising(files: Files) -> Files:
    """Broken: the handler raises when the model is loaded."""
    return _code(files, _RAISES)


def slow(files: Files, seconds: float) -> Files:
    """Right, but every prediction takes this long."""
    return _code(files, _SLOW.format(seconds=seconds))


def _about(files: Files, change: Callable[[dict[str, Any]], None]) -> Files:
    about = json.loads(files["model.json"])
    change(about)
    return {**files, "model.json": json.dumps(about).encode()}


def _code(files: Files, more: str) -> Files:
    return {**files, "code/inference.py": files["code/inference.py"] + more.encode()}


def read(archive: bytes) -> Files:
    """The files of a model.tar.gz that this project's own pipeline made."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {member.name.removeprefix("./"): tar.extractfile(member) for member in tar if member.isfile()}
        return {name: stream.read() for name, stream in found.items() if stream is not None}


def packed(files: Files) -> bytes:
    """A model.tar.gz of these files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return data.getvalue()
