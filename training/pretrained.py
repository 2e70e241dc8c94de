"""Weights to start from, and what the large network sees in photos of other things; made by pretrain.py, beside this.

What a network learned on photos of other things (edges, textures, parts) is what a few hundred photos of the classes
cannot teach it: every layer but the heads is in the file, in half precision. What other things look like is what data
without any cannot teach: of a few hundred of these photos the file holds the large network's features, in 8 bits.
docs/pretraining.md says from which data the file was made, and what it reached on them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import numpy.typing as npt

FILE = Path(__file__).resolve().with_name("pretrained.params")
_EXAMPLES, _STEP = "examples:", "step of examples"  # before a class's name; what 1 in 8 bits stands for, by feature

Float32 = npt.NDArray[np.float32]


class PretrainedError(ValueError):
    """The file of weights does not fit the network."""


def _is_body(name: str) -> bool:
    return "head_" not in name and "orientations" not in name and not name.startswith((_EXAMPLES, _STEP))


def save(parameters: dict[str, Any], examples: dict[str, Float32], path: Path) -> None:
    """Write {name: array} of a trained network, heads and fixed layers left out, and the `examples`.

    These are (n, c) features by class. The same weights and examples, the same bytes.
    """
    stored = {name: array.astype(np.float16) for name, array in sorted(parameters.items()) if _is_body(name)}
    if examples:
        largest = np.abs(np.concatenate(list(examples.values()))).max(axis=0)
        step = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        stored[_STEP] = mx.nd.array(step)
        for name, features in sorted(examples.items()):
            stored[_EXAMPLES + name] = mx.nd.array((features / step).round(), dtype=np.int8)
    mx.nd.save(str(path), stored)


def examples(path: Path = FILE) -> dict[str, Float32]:
    """The large network's features of photos of other things, (n, c) by class; {} where the file has none."""
    stored = mx.nd.load(str(path))
    return {
        name.removeprefix(_EXAMPLES): array.asnumpy().astype(np.float32) * stored[_STEP].asnumpy()
        for name, array in sorted(stored.items())
        if name.startswith(_EXAMPLES)
    }


def load(parameters: dict[str, Any], path: Path = FILE) -> None:
    """Put the weights into {name: array} of a fresh network, in place; heads stay as they are.

    PretrainedError when the file was made for a network of another shape.
    """
    stored = {name: array for name, array in mx.nd.load(str(path)).items() if _is_body(name)}
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
