"""Writes drawn photos in the very format of the CIFAR-100 python archive: a gzipped tar of Python 2 pickles."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from loadingbay.data.samples.scene import draw

NAME = "drawn-samples.tar.gz"  # gzip keeps it in the file, so that a renamed copy still says what it is
DRAWN = ("bicycle", "motorcycle")
TRAIN_PHOTOS = 1000
TEST_PHOTOS = 200

# The hundred classes of the archive, in the order of its `meta`: the numbers of the fine labels.
FINE = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
    castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
    elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
    lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
    pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal
    shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
    telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
COARSE = """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices
    household_furniture insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes
    large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles small_mammals trees
    vehicles_1 vehicles_2
"""
FINE_NAMES = [name.encode() for name in FINE.split()]
COARSE_NAMES = [name.encode() for name in COARSE.split()]
VEHICLES_1 = COARSE_NAMES.index(b"vehicles_1")


class _Python2Pickler(pickle._Pickler):
    """Protocol 2 as Python 2 wrote it: bytes are its strings, so every reader of CIFAR-100 can read the file."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def _save_bytes(self, value: bytes) -> None:
        size = len(value)
        head = pickle.SHORT_BINSTRING + bytes([size]) if size < 256 else pickle.BINSTRING + size.to_bytes(4, "little")
        self.write(head + value)  # type: ignore[attr-defined]  # typeshed leaves it out
        self.memoize(value)  # type: ignore[attr-defined]  # and this

    dispatch[bytes] = _save_bytes


def python2_pickle(value: Any) -> bytes:
    """Pickles plain data and arrays so that Python 2, numpy 1 and numpy 2 read them."""
    out = io.BytesIO()
    _Python2Pickler(out, protocol=2).dump(value)
    # numpy 2 names a module that numpy 1 does not have. The name comes before any pixel.
    return out.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n", 1)


def rows(
    count: int, seed: int, name: str, progress: Callable[[], None] = lambda: None, kinds: Sequence[str] = DRAWN
) -> dict[bytes, Any]:
    """`count` drawn photos, the kinds in turn, as the dictionary that a split's pickle holds."""
    pixels = np.empty((count, 3072), np.uint8)
    for row in range(count):
        photo = draw(kinds[row % len(kinds)], seed + row)
        pixels[row] = np.asarray(photo).transpose(2, 0, 1).reshape(-1)
        progress()
    of_rows = [kinds[row % len(kinds)].encode() for row in range(count)]
    return {
        b"data": pixels,
        b"batch_label": name.encode() + b" batch of drawn samples",
        b"fine_labels": [FINE_NAMES.index(kind) for kind in of_rows],
        b"coarse_labels": [VEHICLES_1] * count,
        b"filenames": [b"drawn_%s_%06d.png" % (kind, row) for row, kind in enumerate(of_rows)],
    }


def write_archive(
    path: Path,
    seed: int = 1,
    train: int = TRAIN_PHOTOS,
    test: int = TEST_PHOTOS,
    progress: Callable[[], None] = lambda: None,
    kinds: Sequence[str] = DRAWN,
) -> None:
    """Draws the sample set of these kinds and writes it as an archive; the same seed gives the same bytes.

    `progress` is called after each photo. The file appears whole or not at all. Raises OSError if it cannot be written.
    """
    base = seed * 1_000_000
    content = {
        "meta": {b"fine_label_names": FINE_NAMES, b"coarse_label_names": COARSE_NAMES},
        "test": rows(test, base + 500_000, "testing", progress, kinds),
        "train": rows(train, base, "training", progress, kinds),
    }
    pack(path, content)


def pack(path: Path, content: dict[str, dict[bytes, Any]]) -> None:
    """Writes the dictionaries of `meta`, `test` and `train` as an archive; the same content gives the same bytes.

    The file appears whole or not at all. Raises OSError if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with (
            part.open("wb") as file,
            gzip.GzipFile(NAME, "wb", 6, file, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for name, value in content.items():
                data = python2_pickle(value)
                member = tarfile.TarInfo(f"cifar-100-python/{name}")
                member.size, member.mode = len(data), 0o644
                tar.addfile(member, io.BytesIO(data))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
