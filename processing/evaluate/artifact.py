"""Unpacks a model artifact and reads its metadata (model.json, history.json); answers.py runs its inference handler."""

from __future__ import annotations

import importlib.util
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, NotRequired, TypedDict, cast

from processing.gunzip import opened_tar
from processing.job import JobError, read_list, read_object

ARTIFACT, MODEL, HISTORY = "model.tar.gz", "model.json", "history.json"
HANDLER, METRICS = "code/inference.py", "code/metrics.py"
MAX_BYTES = 1 << 30  # unpacked
MAX_MEMBERS = 1000


class About(TypedDict):
    """The metadata of a model: the members of model.json that are read. training/train.py writes it."""

    classes: list[str]  # in the order of the probabilities
    threshold: float  # answers of at least this confidence are accepted
    temperature: float
    target_precision: float
    versions: dict[str, str]  # of what it was trained with
    out_of_fold: dict[str, Any]  # figures on training photos that the networks asked had not learned from
    class_thresholds: NotRequired[dict[str, float]]  # by the class that is answered, where they differ
    costs: NotRequired[dict[str, Any]]  # for which the threshold was fitted: wrong_bay by class, review
    second_opinion: NotRequired[dict[str, float]]  # when a large network is asked too, and how both are combined
    new_threshold: NotRequired[dict[str, Any]]  # whose network it is, where a person chose another threshold for it
    data_label: NotRequired[str]
    data_sha256: NotRequired[str]
    code_sha256: NotRequired[str]
    seed: NotRequired[int]


_REQUIRED = {
    "classes": list, "threshold": float, "temperature": float, "target_precision": float, "versions": dict,
    "out_of_fold": dict,
}  # fmt: skip


@dataclass(frozen=True)
class Artifact:
    """An unpacked artifact: its folder, model.json and the epochs of history.json."""

    folder: Path
    about: About
    history: list[dict[str, Any]]


def load(model: Path, scratch: Path) -> Artifact:
    """The artifact at `model`: model.tar.gz, a folder that holds it, or its unpacked folder.

    It is unpacked into `scratch` where needed. JobError when it is not there, not whole, or unpacks beyond the limits.
    """
    folder = _unpack(model, scratch)
    for name in (HANDLER, METRICS):
        if not (folder / name).is_file():
            raise JobError(f"{name} is missing in the model artifact")
    about = read_object(folder / MODEL)
    for name, kind in _REQUIRED.items():
        if name not in about:
            raise JobError(f"the artifact's model.json says no {name!r}: it was not written by this training")
        if not isinstance(about[name], (kind, int) if kind is float else kind):
            raise JobError(f"{name!r} in the artifact's model.json is {about[name]!r:.80}, no {kind.__name__}")
    return Artifact(folder, cast(About, about), read_list(folder / HISTORY))


def _unpack(model: Path, folder: Path) -> Path:
    """Unpack the artifact at `model` into `folder` unless it is unpacked already; returns the unpacked folder.

    JobError when there is none, it is not a whole archive, a member is no plain file or folder or would lie outside of
    `folder`, or there are more than MAX_MEMBERS members or MAX_BYTES bytes.
    """
    if (model / MODEL).is_file():
        return model
    if model.is_dir():
        model = model / ARTIFACT
    if not model.is_file():
        raise JobError(f"there is no model artifact at {model}")
    try:
        with opened_tar(model, MAX_BYTES) as tar:
            for number, member in enumerate(tar):
                _check(member, number)
                # Without its `filter`, which Python has only since 3.11.4, and without owner, mode and times.
                tar.extract(member, folder, set_attrs=False)
    except JobError as error:
        raise JobError(f"{model} {error}") from error
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, OverflowError) as error:
        raise JobError(f"{model} cannot be unpacked: {error}") from error
    return folder


def _check(member: tarfile.TarInfo, number: int) -> None:
    if number >= MAX_MEMBERS:
        raise JobError(f"holds more than {MAX_MEMBERS} files")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise JobError(f"holds {member.name!r}, which is neither a file nor a folder")
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise JobError(f"holds {member.name!r}, which would be written outside of its folder")


def metrics(artifact: Artifact) -> ModuleType:
    """The artifact's own metrics.py, with which its figures are worked out, as training worked out those of model.json.

    It is executed; JobError when that fails.
    """
    spec = importlib.util.spec_from_file_location("metrics", artifact.folder / METRICS)
    assert spec is not None  # noqa: S101  # the name ends in .py
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # code of the artifact
        raise JobError(f"{METRICS} in the model artifact fails: {type(error).__name__}: {error}") from error
    return module
