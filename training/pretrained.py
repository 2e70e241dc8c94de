"""Weights to start from: every layer but the heads, made by pretrain.py, in half precision in a file beside this.

What a network learned on photos of other things (edges, textures, parts) is what a few hundred photos of the classes
cannot teach it. docs/pretraining.md says from which data the file was made, and what it reached on them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np

FILE = Path(__file__).resolve().with_name("pretrained.params")


class PretrainedError(ValueError):
    """The file of weights does not fit the network."""


def _is_body(name: str) -> bool:
    return "head_" not in name and "orientations" not in name


def save(parameters: dict[str, Any], path: Path) -> None:
    """Write {name: array} of a trained network, heads and fixed layers left out. The same weights, the same bytes."""
    body = {name: array.astype(np.float16) for name, array in sorted(parameters.items()) if _is_body(name)}
    mx.nd.save(str(path), body)


def load(parameters: dict[str, Any], path: Path = FILE) -> None:
    """Put the weights into {name: array} of a fresh network, in place; heads stay as they are.

    PretrainedError when the file was made for a network of another shape.
    """
    stored = mx.nd.load(str(path))
    wanted = {name: array for name, array in parameters.items() if _is_body(name)}
    different = stored.keys() ^ wanted.keys() | {
        name for name in stored.keys() & wanted.keys() if stored[name].shape != wanted[name].shape
    }
    if different:
        raise PretrainedError(
            f"{path.name} was made for another network: {sorted(different)[0]} differs. Make it anew with pretrain.py, "
            "or train with --pretrained no."
        )
    for name, array in wanted.items():
        array[:] = stored[name].astype(np.float32)
