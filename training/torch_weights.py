"""Reads a file of weights as PyTorch before 1.6 wrote it, without PyTorch, and runs nothing that the file names.

The file is five pickles (a magic number, the version of the format, the sizes of C's types, the tensors by name, the
keys of their storages), then for each storage its number of elements in 8 bytes and the elements.
"""

from __future__ import annotations

import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
_KINDS: dict[Any, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}

Weights = dict[str, npt.NDArray[Any]]


class WeightsError(ValueError):
    """The file is not one of plain weights, is cut short, or is missing."""


class _Storage(NamedTuple):
    """Where the elements of tensors lie: `key` in the file, `kind` of element."""

    key: str
    kind: np.dtype[Any]


class _Tensor(NamedTuple):
    """Elements of a storage: the first at `offset`, a step along each axis of `shape` by its stride."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def cut(self, elements: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A copy of the tensor, from the storage's elements."""
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if last >= len(elements) or math.prod(self.shape) > len(elements):
            raise WeightsError(f"the file holds a tensor of shape {self.shape} with {len(elements)} elements")
        strides = [stride * elements.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(elements[self.offset :], self.shape, strides, writeable=False)
        return np.array(view)


class _Name:
    """What stands for a name in the file. An instance: a pickle can set attributes on whatever it gets hold of."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make

    def __call__(self, *arguments: Any) -> Any:
        return self.make(*arguments)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    """In place of torch._utils._rebuild_tensor_v2."""
    whole = all(type(size) is int and size > 0 for size in shape)
    if not whole or not all(type(step) is int and step >= 0 for step in (*strides, offset)):
        raise WeightsError(f"the file holds a tensor of impossible shape {shape!r:.80}")
    return _Tensor(storage, offset, shape, strides)


class _Reader(pickle.Unpickler):
    """Reads numbers, strings, and where each tensor lies; whatever else a pickle names is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name."""
        allowed: dict[str, Any] = {
            "collections.OrderedDict": _Name(OrderedDict),
            "torch._utils._rebuild_tensor_v2": _Name(_tensor),
            **{f"torch.{kind}": kind for kind in _KINDS},
        }
        if f"{module}.{name}" not in allowed:
            raise WeightsError(f"the file names {module}.{name}, which has no place in a file of weights")
        return allowed[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> _Storage:
        """The storage that ("storage", kind, key, device, ...) stands for."""
        if pid[0] != "storage" or pid[1] not in _KINDS or type(pid[2]) is not str:
            raise WeightsError("the file refers to something that is not a storage of numbers")
        return _Storage(pid[2], _KINDS[pid[1]])


def read(file: BinaryIO) -> Weights:
    """{name: array}, float32 or int64. WeightsError, with a sentence, for anything but such a file.

    Nothing is allocated that the file does not hold.
    """
    try:
        return _read(file)
    except WeightsError:
        raise
    except Exception as error:  # garbage makes the pickle machine raise nearly anything
        raise WeightsError("the file is not one of PyTorch's weights, or is cut short") from error


def _read(file: BinaryIO) -> Weights:
    magic, version, _, tensors, keys = (_Reader(file).load() for _ in range(5))
    if (magic, version) != (MAGIC, VERSION):
        raise WeightsError(f"the file begins with {magic!r:.40} and {version!r:.40}, not as PyTorch's weights do")
    kinds = {tensor.storage.key: tensor.storage.kind for tensor in tensors.values()}
    storages = {}
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        storages[key] = np.frombuffer(file.read(count * kinds[key].itemsize), kinds[key], count)
    return {name: tensor.cut(storages[tensor.storage.key]) for name, tensor in tensors.items()}
