"""Small archives in CIFAR-100's format, whole or spoiled, for the tests of Stage."""

import gzip
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np

NAMES = [b"apple", b"bicycle", b"motorcycle", b"bus"]


def split(rows=12, seed=0, **changes):
    """A split of a CIFAR archive with random pixels, as its pickle holds it, with these changes."""
    generator = np.random.RandomState(seed)
    content = {
        b"batch_label": b"testing batch",
        b"fine_labels": [row % len(NAMES) for row in range(rows)],
        b"coarse_labels": [0] * rows,
        b"filenames": [b"%d.png" % row for row in range(rows)],
        b"data": generator.randint(0, 256, (rows, 3072)).astype(np.uint8),
    }
    content.update({name.encode(): value for name, value in changes.items()})
    return content


def members(**changes):
    content = {"meta": {b"fine_label_names": NAMES}, "test": split(8, 1), "train": split(12, 2)}
    content.update(changes)
    return {name: value if isinstance(value, bytes) else pickle.dumps(value, 2) for name, value in content.items()}


def tar_bytes(content, folder="cifar-100-python/", extra=()):
    """A tar with these files below `folder`, and further members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(folder + name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for member in extra:
            tar.addfile(member, io.BytesIO(b"\0" * member.size))
    return out.getvalue()


def write_archive(folder: Path, extra=(), **changes) -> Path:
    path = folder / "small.tar.gz"
    path.write_bytes(gzip.compress(tar_bytes(members(**changes), extra=extra), mtime=0))
    return path
