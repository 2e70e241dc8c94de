"""PyTorch's file of weights, read without PyTorch and on no trust."""

import collections
import io
import os
import pickle
import sys
import types
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch_weights


class _Storage:
    def __init__(self, key: str, kind: str) -> None:
        self.key, self.kind = key, kind


class _Tensor:
    """Pickles as PyTorch's tensors do."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.arguments = storage, offset, shape, strides, False, OrderedDict()

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


@pytest.fixture(autouse=True)
def _torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names only, as a file of weights holds them."""
    top, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def rebuild(*arguments: Any) -> None:
        raise AssertionError("nothing of the file may run")

    rebuild.__module__, rebuild.__qualname__, rebuild.__name__ = utils.__name__, *["_rebuild_tensor_v2"] * 2
    utils._rebuild_tensor_v2 = rebuild  # type: ignore[attr-defined]
    for kind in ("FloatStorage", "LongStorage", "ByteStorage"):
        setattr(top, kind, type(kind, (), {"__module__": "torch", "__qualname__": kind}))
    monkeypatch.setitem(sys.modules, "torch", top)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def _file(
    tensors: Any, storages: dict[str, np.ndarray], magic: int = torch_weights.MAGIC, extra: int = 0
) -> io.BytesIO:
    """The file that PyTorch would write; each storage says that it has `extra` more elements than it has."""
    file = io.BytesIO()

    class Writer(pickle.Pickler):
        def persistent_id(self, thing: Any) -> Any:
            if not isinstance(thing, _Storage):
                return None
            return "storage", getattr(sys.modules["torch"], thing.kind), thing.key, "cpu", 0, None

    for head in (magic, torch_weights.VERSION, {"little_endian": True}, tensors, sorted(storages)):
        Writer(file, 2).dump(head)
    for key in sorted(storages):
        file.write((len(storages[key]) + extra).to_bytes(8, "little") + storages[key].tobytes())
    file.seek(0)
    return file


FLOATS = {"7": np.arange(8, dtype="<f4")}


def _one(offset: int = 0, shape: tuple[int, ...] = (2,), strides: tuple[int, ...] = (1,)) -> Any:
    return OrderedDict(a=_Tensor(_Storage("7", "FloatStorage"), offset, shape, strides))


def test_tensors_are_read_by_offset_and_strides() -> None:
    floats, count = _Storage("7", "FloatStorage"), _Storage("8", "LongStorage")
    tensors = OrderedDict(a=_Tensor(floats, 1, (2, 3), (1, 2)), b=_Tensor(count, 0, (), ()))
    found = torch_weights.read(_file(tensors, {**FLOATS, "8": np.array([5], "<i8")}))
    assert found["a"].tolist() == [[1, 3, 5], [2, 4, 6]]
    assert found["a"].dtype == np.float32
    assert found["b"] == 5


@pytest.mark.parametrize("thing", [os.system, eval, collections.Counter, np.ndarray])
def test_a_file_that_names_anything_else_is_refused(thing: Any) -> None:
    with pytest.raises(torch_weights.WeightsError, match="has no place in a file of weights"):
        torch_weights.read(_file({"a": thing}, {}))


def test_a_storage_of_another_kind_is_refused() -> None:
    tensors = OrderedDict(a=_Tensor(_Storage("7", "ByteStorage"), 0, (1,), (1,)))
    with pytest.raises(torch_weights.WeightsError, match="ByteStorage"):
        torch_weights.read(_file(tensors, FLOATS))


@pytest.mark.parametrize(
    "tensor",
    [_one(offset=7), _one(shape=(3, 3), strides=(3, 1)), _one(shape=(10**9,), strides=(0,)), _one(strides=(8,))],
)
def test_a_tensor_larger_than_its_storage_is_refused(tensor: Any) -> None:
    with pytest.raises(torch_weights.WeightsError, match="with 8 elements"):
        torch_weights.read(_file(tensor, FLOATS))


@pytest.mark.parametrize(
    "tensor",
    [_one(offset=-1), _one(shape=(-2,)), _one(shape=(0,)), _one(strides=(-1,)), _one(shape=(2.0,))],  # type: ignore[arg-type]
)
def test_a_tensor_of_impossible_shape_is_refused(tensor: Any) -> None:
    with pytest.raises(torch_weights.WeightsError, match="impossible shape"):
        torch_weights.read(_file(tensor, FLOATS))


def test_a_file_of_another_format_is_refused() -> None:
    with pytest.raises(torch_weights.WeightsError, match="not as PyTorch's weights do"):
        torch_weights.read(_file(_one(), FLOATS, magic=1))


def test_a_storage_that_claims_more_than_there_is_allocates_nothing() -> None:
    with pytest.raises(torch_weights.WeightsError, match="cut short"):
        torch_weights.read(_file(_one(), FLOATS, extra=2**60))


@pytest.mark.parametrize("length", [0, 1, 30, 200, -1])
def test_a_file_that_is_cut_short_is_refused(length: int) -> None:
    content = _file(_one(), FLOATS).getvalue()
    with pytest.raises(torch_weights.WeightsError):
        torch_weights.read(io.BytesIO(content[:length]))
