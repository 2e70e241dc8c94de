"""Unpickles plain data and integer arrays, and runs nothing that a pickle names."""

from __future__ import annotations

import io
import math
import pickle
import re
import reprlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from processing.job import JobError

# Values are shown by reprlib: a small pickle can hold the same list inside itself so often that repr never ends.


class PlainArray:
    """Stands in for numpy.ndarray while unpickling: no size is believed before it is checked."""

    __slots__ = ("value",)
    value: np.ndarray[Any, Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or type(data) is not bytes or type(shape) is not tuple:
            raise JobError("holds an array that is not of plain numbers")
        if not all(type(size) is int and size >= 0 for size in shape) or len(shape) > 4:
            raise JobError(f"holds an array of impossible shape {reprlib.repr(shape)}")
        if math.prod(shape) * dtype.value.itemsize != len(data):
            raise JobError(f"holds an array of shape {reprlib.repr(shape)} with {len(data)} bytes of data")
        self.value = np.frombuffer(data, dtype.value).reshape(shape, order="F" if fortran else "C")


class _Dtype:
    """Stands in for numpy.dtype: integers of 1 to 8 bytes, nothing else."""

    __slots__ = ("value",)

    def __init__(self, name: Any) -> None:
        text = name.decode("latin1") if type(name) is bytes else name
        if type(text) is not str or not re.fullmatch(r"[iu][1248]", text):
            raise JobError(f"holds an array of type {reprlib.repr(text)}; only integers are read")
        self.value = np.dtype(text)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in (">", b">"):
            self.value = self.value.newbyteorder(">")


class _Name:
    """A name that a pickle may mention. An instance, not the class or function itself: a pickle can set attributes on
    whatever it gets hold of."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make

    def __call__(self, *args: Any) -> Any:
        return self.make(*args)


def _encode(text: str, codec: str) -> bytes:
    """The bytes that Python 3 pickled in protocol 2 as `_codecs.encode(text, 'latin1')`."""
    if type(text) is not str or codec != "latin1":
        raise JobError("holds bytes in an unknown encoding")
    return text.encode("latin1")


_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: PlainArray(),
    ("numpy._core.multiarray", "_reconstruct"): lambda *_: PlainArray(),
    ("numpy", "ndarray"): lambda *_: PlainArray(),
    ("numpy", "dtype"): lambda name, *_: _Dtype(name),
    ("_codecs", "encode"): _encode,
}

# What plain data needs of the pickle machine; its other instructions make objects, or allocate what they are told to.
_OPCODES = """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINSTRING SHORT_BINSTRING
    BINBYTES SHORT_BINBYTES BINUNICODE SHORT_BINUNICODE EMPTY_LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
    EMPTY_DICT SETITEM SETITEMS GLOBAL STACK_GLOBAL REDUCE BUILD BINPUT LONG_BINPUT BINGET LONG_BINGET MEMOIZE
"""


# The pickle machine in Python: the one in C can be told to allocate gigabytes for its memo.
class _PlainUnpickler(pickle._Unpickler):
    """Builds dicts, lists, tuples, strings, numbers and integer arrays; whatever else a pickle asks for is refused."""

    dispatch: ClassVar[dict[int, Any]] = {
        code: pickle._Unpickler.dispatch[code] for code in (getattr(pickle, name)[0] for name in _OPCODES.split())
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise JobError(f"names {module + '.' + name!r:.120}, and only numpy arrays of plain data are read")
        return _Name(_NAMES[module, name])

    def _set_item(self) -> None:
        _check_keys(self.stack[-2:])  # type: ignore[attr-defined]  # typeshed leaves the stack out
        pickle._Unpickler.dispatch[pickle.SETITEM[0]](self)  # type: ignore[arg-type]  # typed for the C class

    def _set_items(self) -> None:
        _check_keys(self.stack)  # type: ignore[attr-defined]
        pickle._Unpickler.dispatch[pickle.SETITEMS[0]](self)  # type: ignore[arg-type]

    dispatch[pickle.SETITEM[0]] = _set_item
    dispatch[pickle.SETITEMS[0]] = _set_items


def _check_keys(items: Sequence[Any]) -> None:
    """JobError unless all keys are strings: hashing a deeply nested tuple would overflow the stack."""
    if not all(type(key) in (bytes, str) for key in items[::2]):
        raise JobError("holds a dictionary whose keys are not strings")


def load_plain_pickle(data: bytes) -> Any:
    """Unpickles plain data with integer arrays. Raises JobError; runs nothing that the pickle names."""
    machine = _PlainUnpickler(io.BytesIO(data), fix_imports=False, encoding="bytes")
    try:
        value = machine.load()
    except JobError:
        raise
    except Exception as error:  # garbage makes the pickle machine raise nearly anything
        raise JobError("is not a pickle of plain data, or is cut short") from error
    return value.value if isinstance(value, PlainArray) else value
