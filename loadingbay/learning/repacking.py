"""Gives a model artifact another threshold: only model.json changes, all other members keep their bytes. Pure."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Mapping
from typing import Any

from loadingbay.errors import WorkError
from pipelines.costs import Costs

MODEL = "model.json"
MAX_BYTES = 1 << 30  # unpacked
_MAX_MEMBERS = 1000


def repacked(artifact: bytes, thresholds: Mapping[str, float], costs: Costs, note: Mapping[str, Any]) -> bytes:
    """A model.tar.gz with these thresholds, by class, in place of its own.

    `costs` are those that the thresholds were chosen for, and `note`, kept as `new_threshold`, says how. The same input
    gives the same bytes. WorkError when the artifact is damaged, has members that are no plain files, unpacks to more
    than MAX_BYTES, knows other classes, or has a handler that knows one threshold only where they differ.
    """
    packed, size, found = io.BytesIO(), 0, False
    try:
        with (
            tarfile.open(fileobj=io.BytesIO(artifact), mode="r:gz") as old,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
        ):
            for number, member in enumerate(old):
                if number >= _MAX_MEMBERS or not (member.isfile() or member.isdir()):
                    raise WorkError(
                        f"the model artifact holds {member.name!r}, which is no plain file of {_MAX_MEMBERS}"
                    )
                size += member.size
                if size > MAX_BYTES:
                    raise WorkError(f"the model artifact unpacks to more than {MAX_BYTES:,} bytes")
                content = old.extractfile(member)
                body = content.read() if content else b""
                if member.name.removeprefix("./") == MODEL:
                    body, found = _changed(body, thresholds, costs, note), True
                    member.size = len(body)
                new.addfile(member, io.BytesIO(body) if member.isfile() else None)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise WorkError(f"the model artifact is damaged: {error}") from error
    if not found:
        raise WorkError(f"the model artifact holds no {MODEL}")
    return gzip.compress(packed.getvalue(), compresslevel=6, mtime=0)


def _changed(body: bytes, thresholds: Mapping[str, float], costs: Costs, note: Mapping[str, Any]) -> bytes:
    """model.json's bytes with the thresholds, costs and note; WorkError where they do not fit what it says."""
    try:
        about = json.loads(body)
        classes, fold = list(about["classes"]), dict(about["out_of_fold"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WorkError(f"{MODEL} in the model artifact is not understood: {error!r}") from error
    if set(classes) != set(thresholds):
        raise WorkError(f"the model knows {','.join(classes)}, but the thresholds are for {','.join(thresholds)}")
    differ = len(set(thresholds.values())) > 1
    if differ and "class_thresholds" not in about:
        raise WorkError("this version's handler knows one threshold for all classes: train a version, or give one cost")
    fold.pop("costs", None)  # of the threshold that was fitted in training
    about |= {
        "threshold": max(thresholds.values()),
        "costs": {"wrong_bay": {name: costs.wrong_bay[name] for name in classes}, "review": costs.review},
        "out_of_fold": fold,
        "new_threshold": dict(note),
    }
    if differ or "class_thresholds" in about:
        about["class_thresholds"] = {name: thresholds[name] for name in classes} if differ else {}
    return (json.dumps(about, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
