"""Turns photos into the records that training and evaluation read: one image format, two splits, checked throughout.

    python3 processing/stage.py --input PATH --train DIR --test DIR --photos DIR --classes bicycle,motorcycle --seed 1

PATH is an archive in CIFAR-100's python format (`*.tar.gz`), a folder that holds one, or a folder of labelled photos
`<class>/*.png|jpg|jpeg`. Stands alone: standard library, numpy, Pillow and MXNet's RecordIO. Nothing it reads is
trusted: the tar is read member by member and never unpacked, the pickles can build plain data only, sizes are bounded.
What is wrong becomes one sentence in --message and on stderr, with exit status 1.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib
import importlib.util
import io
import json
import math
import os
import pickle
import re
import reprlib
import sys
import tarfile
import warnings
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, ClassVar, cast

import numpy as np
from PIL import Image

MEMBERS = ("meta", "test", "train")
MAX_MEMBER_BYTES = 256 << 20  # the whole CIFAR-100 `train` is 155 MB
MAX_ARCHIVE_BYTES = 512 << 20  # unpacked
MAX_MEMBERS = 100
MAX_PHOTO_BYTES = 6 << 20  # the endpoint takes no larger photo, so neither does training
MAX_PHOTO_PIXELS = 50_000_000
MAX_PHOTOS = 200_000
MIN_PHOTOS_PER_CLASS = 5  # four to learn from, one to test with
TEST_SHARE = 0.2
SAMPLE_PHOTOS = 60
DATA_LABELS = ("cifar-100", "drawn samples", "photos")
CLASS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")


class StageError(Exception):
    """The input cannot be staged; the message is one sentence that names what, which value and what to do."""


@dataclass(frozen=True)
class Row:
    """One labelled photo; `load` gives the encoded PNG or JPEG bytes, exactly as they will be served."""

    label: int
    load: Callable[[], bytes]


@dataclass(frozen=True)
class Splits:
    """Rows to train on and to test on, in their final order, and where they came from."""

    train: list[Row]
    test: list[Row]
    source: str
    drawn: bool = False  # the archive says that its photos are drawn


# --- pickles -----------------------------------------------------------------------------------------------------
# Values are shown by reprlib: a small pickle can hold the same list inside itself so often that repr never ends.


class _Array:
    """Stands in for numpy.ndarray while unpickling: no size is believed before it is checked."""

    __slots__ = ("value",)
    value: np.ndarray[Any, Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or type(data) is not bytes or type(shape) is not tuple:
            raise StageError("holds an array that is not of plain numbers")
        if not all(type(size) is int and size >= 0 for size in shape) or len(shape) > 4:
            raise StageError(f"holds an array of impossible shape {reprlib.repr(shape)}")
        if math.prod(shape) * dtype.value.itemsize != len(data):
            raise StageError(f"holds an array of shape {reprlib.repr(shape)} with {len(data)} bytes of data")
        self.value = np.frombuffer(data, dtype.value).reshape(shape, order="F" if fortran else "C")


class _Dtype:
    """Stands in for numpy.dtype: integers of 1 to 8 bytes, nothing else."""

    __slots__ = ("value",)

    def __init__(self, name: Any) -> None:
        text = name.decode("latin1") if type(name) is bytes else name
        if type(text) is not str or not re.fullmatch(r"[iu][1248]", text):
            raise StageError(f"holds an array of type {reprlib.repr(text)}; only integers are read")
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
    """What Python 3 writes for bytes in protocol 2: `_codecs.encode(text, 'latin1')`."""
    if type(text) is not str or codec != "latin1":
        raise StageError("holds bytes in an unknown encoding")
    return text.encode("latin1")


_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),
    ("numpy._core.multiarray", "_reconstruct"): lambda *_: _Array(),
    ("numpy", "ndarray"): lambda *_: _Array(),
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
            raise StageError(f"names {module + '.' + name!r:.120}, and only numpy arrays of plain data are read")
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
    """Hashing a deeply nested tuple overflows the stack, so keys are strings."""
    if not all(type(key) in (bytes, str) for key in items[::2]):
        raise StageError("holds a dictionary whose keys are not strings")


def load_plain_pickle(data: bytes) -> Any:
    """Unpickles plain data with integer arrays. Raises StageError; runs nothing that the pickle names."""
    machine = _PlainUnpickler(io.BytesIO(data), fix_imports=False, encoding="bytes")
    try:
        value = machine.load()
    except StageError:
        raise
    except Exception as error:  # garbage makes the pickle machine raise nearly anything
        raise StageError("is not a pickle of plain data, or is cut short") from error
    return value.value if isinstance(value, _Array) else value


# --- the archive -------------------------------------------------------------------------------------------------


class _Bounded:
    """Reads a decompressed stream, up to a limit: a small file can unpack to terabytes."""

    def __init__(self, stream: BinaryIO | gzip.GzipFile, limit: int) -> None:
        self.stream, self.left, self.limit = stream, limit, limit

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(min(size, self.left + 1) if size >= 0 else self.left + 1)
        self.left -= len(data)
        if self.left < 0:
            raise StageError(f"unpacks to more than {self.limit >> 20} MiB")
        return data


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    """Name and content of the members that matter; anything that could lead out of the archive is refused."""
    for count, member in enumerate(tar):
        if count >= MAX_MEMBERS:
            raise StageError(f"holds more than {MAX_MEMBERS} members")
        if member.name.startswith("/") or ".." in member.name.split("/") or "\\" in member.name:
            raise StageError(f"holds the path {member.name!r:.120}, which climbs out of it")
        if member.isdir():
            continue
        if not member.isreg() or member.issparse():
            raise StageError(f"holds {member.name!r:.120}, which is a link or a special file")
        if member.size > MAX_MEMBER_BYTES:
            raise StageError(f"holds {member.name!r:.120} of {member.size} bytes; the limit is {MAX_MEMBER_BYTES}")
        name = member.name.rsplit("/", 1)[-1]
        content = tar.extractfile(member)
        if name in MEMBERS and content is not None:
            data = content.read()
            if len(data) != member.size:
                raise EOFError(f"{name} has {len(data)} of {member.size} bytes")
            yield name, data


def read_archive(path: Path) -> dict[str, dict[bytes, Any]]:
    """Reads `train`, `test` and `meta` of an archive in CIFAR-100's python format, without unpacking it to disk.

    Returns the three pickled dictionaries with bytes keys. Format: https://www.cs.toronto.edu/~kriz/cifar.html
    """
    found: dict[str, dict[bytes, Any]] = {}
    try:
        with gzip.open(path, "rb") as unzipped:
            bounded = _Bounded(unzipped, MAX_ARCHIVE_BYTES)
            # "r|" never seeks: each byte is decompressed once and counted once.
            with tarfile.open(fileobj=cast(BinaryIO, bounded), mode="r|", bufsize=1 << 18) as tar:
                for name, data in _members(tar):
                    found[name] = _load_member(name, data)
            while bounded.read(1 << 20):  # to the end, where gzip keeps its checksum
                pass
    except StageError as error:
        raise StageError(f"The archive {path.name} {error}.") from error
    except (EOFError, tarfile.TarError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError) as error:
        raise StageError(f"The archive {path.name} is truncated or damaged ({error}); fetch it again.") from error
    missing = [name for name in MEMBERS if name not in found]
    if missing:
        raise StageError(f"The archive {path.name} lacks {', '.join(missing)}: not CIFAR-100's python format.")
    return found


def _load_member(name: str, data: bytes) -> dict[bytes, Any]:
    try:
        content = load_plain_pickle(data)
    except StageError as error:
        raise StageError(f"is refused: its {name!r} {error}") from error
    if type(content) is not dict:
        raise StageError(f"holds {name!r}, which is not a dictionary")
    # Python 3 may have written text keys.
    return {key.encode() if isinstance(key, str) else key: value for key, value in content.items()}


def class_names(meta: dict[bytes, Any]) -> list[str]:
    """Names of the fine labels, by number."""
    names = meta.get(b"fine_label_names")
    if type(names) is not list or not names or not all(type(name) in (bytes, str) for name in names):
        raise StageError("'meta' has no list 'fine_label_names'.")
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in names]


def _check_rows(split: str, content: dict[bytes, Any], classes: int) -> tuple[np.ndarray[Any, Any], list[int]]:
    data = content.get(b"data")
    pixels = data.value if isinstance(data, _Array) and hasattr(data, "value") else None
    labels = content.get(b"fine_labels")
    if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3072:
        what = "missing" if pixels is None else f"{pixels.dtype} of shape {pixels.shape}"
        raise StageError(f"'{split}' should hold 'data' as uint8 of shape (rows, 3072); it is {what}.")
    if type(labels) is not list or len(labels) != len(pixels):
        count = len(labels) if type(labels) is list else "no"
        raise StageError(f"'{split}' has {len(pixels)} rows of pixels and {count} fine labels.")
    for row, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < classes:
            raise StageError(f"'{split}' row {row} has the label {reprlib.repr(label)}, outside 0 to {classes - 1}.")
    return pixels, labels


def png_bytes(pixels: np.ndarray[Any, Any]) -> bytes:
    """Lossless PNG of one CIFAR row: 3,072 bytes, colour planes R, G, B of 32 x 32."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.reshape(3, 32, 32).transpose(1, 2, 0))).save(out, "PNG")
    return out.getvalue()


def archive_splits(path: Path, classes: Sequence[str]) -> Splits:
    """Rows of the chosen classes, split as the archive splits them, without training photos that are test photos."""
    content = read_archive(path)
    names = class_names(content["meta"])
    unknown = [name for name in classes if name not in names]
    if unknown:
        raise StageError(f"The archive has no class {unknown[0]!r}; it names {_some(sorted(names))}.")
    index = {names.index(name): label for label, name in enumerate(classes)}
    rows: dict[str, list[Row]] = {}
    tested: set[bytes] = set()
    for split in ("test", "train"):
        pixels, labels = _check_rows(split, content[split], len(names))
        rows[split] = [
            Row(index[label], partial(png_bytes, pixels[row]))
            for row, label in enumerate(labels)
            if label in index and pixels[row].tobytes() not in tested
        ]
        if split == "test":  # what is tested with is not learned from, whatever the archive says
            tested = {pixels[row].tobytes() for row, label in enumerate(labels) if label in index}
        empty = [name for label, name in enumerate(classes) if all(row.label != label for row in rows[split])]
        if empty:
            raise StageError(f"The archive has no {split} photos of {', '.join(empty)}; choose other classes.")
    batch = content["train"].get(b"batch_label")
    drawn = type(batch) is bytes and b"drawn samples" in batch
    return Splits(rows["train"], rows["test"], path.name, drawn)


# --- a folder of photos ------------------------------------------------------------------------------------------


def check_photo(data: bytes) -> None:
    """Decodes a photo in full and keeps nothing. Raises StageError if it is broken or more than the endpoint takes."""
    if not data:
        raise StageError("is empty")
    if len(data) > MAX_PHOTO_BYTES:
        raise StageError(
            f"has {len(data) / (1 << 20):.1f} MiB, more than the {MAX_PHOTO_BYTES >> 20} MiB the endpoint takes"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF and palette notes; what cannot be decoded raises
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
                pixels = image.width * image.height
                if pixels <= MAX_PHOTO_PIXELS:
                    image.load()
    except Exception as error:  # decoders of broken files raise nearly anything
        raise StageError("is not a readable PNG or JPEG") from error
    if pixels > MAX_PHOTO_PIXELS:
        raise StageError(f"has {pixels / 1e6:.0f} megapixels, more than {MAX_PHOTO_PIXELS // 1_000_000}")


def photo_files(root: Path, classes: Sequence[str]) -> dict[str, list[Path]]:
    """The photos of each chosen class, sorted by name. Hidden files and other kinds of file are left out."""
    inside = root.resolve()
    folders = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(folders) < 2:
        what = f"one class folder, {folders[0]!r}" if folders else "no class folders"
        raise StageError(f"The input has {what}; a folder of photos needs two or more, as <class>/*.png|jpg|jpeg.")
    missing = [name for name in classes if name not in folders]
    if missing:
        raise StageError(f"The input has no folder {missing[0]!r}; it has {_some(folders)}. Choose with --classes.")
    found: dict[str, list[Path]] = {}
    for name in classes:
        entries = sorted(entry for entry in (root / name).iterdir() if not entry.name.startswith("."))
        found[name] = [
            entry for entry in entries if entry.suffix.lower() in (".png", ".jpg", ".jpeg") and entry.is_file()
        ]
        for entry in found[name]:
            if not entry.resolve().is_relative_to(inside):
                raise StageError(
                    f"{name}/{entry.name} is a link that leads out of the input folder; copy the photo instead."
                )
    if sum(map(len, found.values())) > MAX_PHOTOS:
        raise StageError(f"The input has more than {MAX_PHOTOS} photos.")
    return found


def split_by_content(hashes: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """Splits the distinct content hashes of one class 80/20 into train and test, by the seed and the content alone."""
    ranked = sorted(hashes, key=lambda content: _rank(seed, content))
    count = max(1, round(len(ranked) * TEST_SHARE))
    return ranked[count:], ranked[:count]


def folder_splits(root: Path, classes: Sequence[str], seed: int) -> Splits:
    """Labelled photos of a folder, split within each class by content, so that exact copies stay on one side."""
    broken: list[str] = []
    copies: dict[str, dict[str, list[Path]]] = {}
    owner: dict[str, Path] = {}
    for name, paths in photo_files(root, classes).items():
        by_hash: dict[str, list[Path]] = defaultdict(list)
        for path in paths:
            data = path.read_bytes() if path.stat().st_size <= MAX_PHOTO_BYTES else b"\0" * (MAX_PHOTO_BYTES + 1)
            try:
                check_photo(data)
            except StageError as error:
                broken.append(f"{name}/{path.name} {error}")
                continue
            content = hashlib.sha256(data).hexdigest()
            first = owner.setdefault(content, path)
            if first.parent.name != name:
                raise StageError(
                    f"{first.parent.name}/{first.name} and {name}/{path.name} are the same photo in two classes."
                )
            by_hash[content].append(path)
        copies[name] = by_hash
    if broken:
        more = f"; and {len(broken) - 10} more" if len(broken) > 10 else ""
        raise StageError(f"{len(broken)} of the photos cannot be used: {'; '.join(broken[:10])}{more}.")
    train: list[tuple[str, Row]] = []
    test: list[tuple[str, Row]] = []
    for label, name in enumerate(classes):
        if len(copies[name]) < MIN_PHOTOS_PER_CLASS:
            count = len(copies[name])
            raise StageError(f"{name!r} has {count} different photos; at least {MIN_PHOTOS_PER_CLASS} are needed.")
        for side, hashes in zip((train, test), split_by_content(list(copies[name]), seed), strict=True):
            side += [(content, Row(label, path.read_bytes)) for content in hashes for path in copies[name][content]]
    # Classes are mixed: records are read as a stream.
    ordered = [[row for _, row in sorted(side, key=lambda pair: _rank(seed, pair[0]))] for side in (train, test)]
    return Splits(ordered[0], ordered[1], root.name)


# --- out ---------------------------------------------------------------------------------------------------------


def _recordio() -> ModuleType:
    """MXNet's RecordIO module alone: importing all of mxnet takes 4 seconds, this part half of one."""
    if "mxnet" in sys.modules:
        return importlib.import_module("mxnet.recordio")
    spec = importlib.util.find_spec("mxnet")
    if spec is None:
        raise StageError("mxnet is not installed here; run this in the image's environment.")
    sys.modules["mxnet"] = importlib.util.module_from_spec(spec)  # the package, its __init__ not run
    try:
        return importlib.import_module("mxnet.recordio")
    finally:  # whoever imports mxnet later gets the whole of it
        for name in [name for name in sys.modules if name == "mxnet" or name.startswith("mxnet.")]:
            del sys.modules[name]


def write_records(folder: Path, rows: Sequence[Row], classes: Sequence[str], label: str, source: str) -> dict[str, Any]:
    """Writes `images.rec`, `images.idx` and `dataset.json`; returns what the latter holds.

    A record is IRHeader(0, class index, row number, 0) and the encoded photo. The bytes depend on the rows alone.
    """
    recordio = _recordio()
    folder.mkdir(parents=True, exist_ok=True)
    records = recordio.MXIndexedRecordIO(str(folder / "images.idx"), str(folder / "images.rec"), "w")
    try:
        for number, row in enumerate(rows):
            header = recordio.IRHeader(0, float(row.label), number, 0)
            records.write_idx(number, recordio.pack(header, row.load()))
    finally:
        records.close()
    with (folder / "images.rec").open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    per_class = {name: sum(row.label == index for row in rows) for index, name in enumerate(classes)}
    dataset = {"classes": list(classes), "count": len(rows), "per_class": per_class}
    dataset |= {"label": label, "sha256": sha256, "source": source}
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=2) + "\n")
    return dataset


def write_photos(folder: Path, rows: Sequence[Row], classes: Sequence[str], seed: int) -> dict[str, str]:
    """Writes a balanced sample of the test photos as files, and `labels.json` from file name to class."""
    folder.mkdir(parents=True, exist_ok=True)
    labels: dict[str, str] = {}
    for index, name in enumerate(classes):
        share = SAMPLE_PHOTOS // len(classes) + (index < SAMPLE_PHOTOS % len(classes))
        of_class = [row for row in rows if row.label == index]
        drawn = sorted(range(len(of_class)), key=lambda number: _rank(seed, f"photo {number}"))[:share]
        for number, chosen in enumerate(sorted(drawn), start=1):
            data = of_class[chosen].load()
            file = f"{name}-{number:02}." + ("png" if data.startswith(b"\x89PNG") else "jpg")
            (folder / file).write_bytes(data)
            labels[file] = name
    (folder / "labels.json").write_text(json.dumps(labels, indent=2) + "\n")
    return labels


def _rank(seed: int, content: str) -> str:
    return hashlib.sha256(f"{seed} {content}".encode()).hexdigest()


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


# --- the command -------------------------------------------------------------------------------------------------


def parse_classes(text: str) -> list[str]:
    """`bicycle,motorcycle` to its names: two or more, different, usable as file names."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) < 2 or len(set(names)) != len(names):
        raise StageError(f"--classes is {text!r:.120}; name two or more different classes, with commas between.")
    for name in names:
        if not CLASS_NAME.fullmatch(name):
            raise StageError(
                f"The class name {name!r:.120} has characters other than letters, digits, space, dot, - and _."
            )
    return names


def read_input(path: Path, classes: Sequence[str], seed: int) -> Splits:
    """An archive, a folder that holds one archive, or a folder of labelled photos."""
    if path.is_file():
        return archive_splits(path, classes)
    if not path.is_dir():
        raise StageError(f"The input {path} does not exist.")
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    archives = [entry for entry in entries if entry.is_file() and entry.name.endswith((".tar.gz", ".tgz"))]
    if not archives:
        return folder_splits(path, classes, seed)
    if len(archives) > 1 or any(entry.is_dir() for entry in entries):
        raise StageError(
            f"The input has {_some([entry.name for entry in entries])}; give one archive, or class folders."
        )
    return archive_splits(archives[0], classes)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Every path is an argument; the defaults are SageMaker's."""
    processing = Path("/opt/ml/processing")
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--input", type=Path, default=processing / "input/data")
    parser.add_argument("--train", type=Path, default=processing / "train")
    parser.add_argument("--test", type=Path, default=processing / "test")
    parser.add_argument("--photos", type=Path, default=processing / "photos")
    parser.add_argument("--classes", default="bicycle,motorcycle")
    parser.add_argument("--data-label", choices=DATA_LABELS, default="cifar-100")
    parser.add_argument("--seed", type=int, default=1)
    message = os.environ.get("PROCESSING_MESSAGE", "/opt/ml/output/message")
    parser.add_argument("--message", type=Path, default=message, help="where a failure's sentence goes")
    return parser.parse_args(arguments)


def stage(options: argparse.Namespace) -> Iterator[str]:
    """Does the work; yields what it did, a line at a time."""
    classes = parse_classes(options.classes)
    splits = read_input(options.input, classes, options.seed)
    label = "drawn samples" if splits.drawn else options.data_label
    for folder, rows in ((options.train, splits.train), (options.test, splits.test)):
        dataset = write_records(folder, rows, classes, label, splits.source)
        counts = ", ".join(f"{count} {name}" for name, count in dataset["per_class"].items())
        yield f"{folder.name}: {dataset['count']} photos ({counts}), sha256 {dataset['sha256'][:16]}"
    labels = write_photos(options.photos, splits.test, classes, options.seed)
    yield f"{options.photos.name}: {len(labels)} test photos as files, to show and to verify with"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 with the reason in --message and on stderr."""
    options = parse_arguments(arguments)
    try:
        for line in stage(options):
            print(line, flush=True)
    except (StageError, OSError) as error:
        reason = str(error) if isinstance(error, StageError) else f"Reading or writing failed: {error}."
        print(reason, file=sys.stderr)
        try:
            options.message.parent.mkdir(parents=True, exist_ok=True)
            options.message.write_text(reason[:1000] + "\n")
        except OSError:
            pass  # the sentence is on stderr; a full disk must not hide it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
