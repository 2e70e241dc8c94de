"""Turns photos into the records that training and evaluation read: one image format, two splits, checked throughout.

    python3 -m processing.stage --input PATH --train DIR --test DIR --photos DIR --classes bicycle,motorcycle --seed 1

PATH is an archive in CIFAR-100's python format (`*.tar.gz`), a folder that holds one, or a folder of labelled photos
`<class>/*.png|jpg|jpeg`. Nothing it reads is trusted: the tar is read member by member and never unpacked, the pickles
can build plain data only, sizes are bounded. What is wrong becomes one sentence in --message and on stderr, with exit
status 1.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from processing import job
from processing.job import JobError
from processing.stage.archives import archive_splits
from processing.stage.photo_folders import folder_splits
from processing.stage.rows import Row, Splits, rank, some

SAMPLE_PHOTOS = 60
DATA_LABELS = ("cifar-100", "drawn samples", "photos")
CLASS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")


def _recordio() -> ModuleType:
    """MXNet's RecordIO module alone: importing all of mxnet takes 4 seconds, this part half of one."""
    if "mxnet" in sys.modules:
        return importlib.import_module("mxnet.recordio")
    spec = importlib.util.find_spec("mxnet")
    if spec is None:
        raise JobError("mxnet is not installed here; run this in the image's environment.")
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
        drawn = sorted(range(len(of_class)), key=lambda number: rank(seed, f"photo {number}"))[:share]
        for number, chosen in enumerate(sorted(drawn), start=1):
            data = of_class[chosen].load()
            file = f"{name}-{number:02}." + ("png" if data.startswith(b"\x89PNG") else "jpg")
            (folder / file).write_bytes(data)
            labels[file] = name
    (folder / "labels.json").write_text(json.dumps(labels, indent=2) + "\n")
    return labels


def parse_classes(text: str) -> list[str]:
    """`bicycle,motorcycle` to its names: two or more, different, usable as file names."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) < 2 or len(set(names)) != len(names):
        raise JobError(f"--classes is {text!r:.120}; name two or more different classes, with commas between.")
    for name in names:
        if not CLASS_NAME.fullmatch(name):
            raise JobError(
                f"The class name {name!r:.120} has characters other than letters, digits, space, dot, - and _."
            )
    return names


def read_input(path: Path, classes: Sequence[str], seed: int) -> Splits:
    """An archive, a folder that holds one archive, or a folder of labelled photos."""
    if path.is_file():
        return archive_splits(path, classes)
    if not path.is_dir():
        raise JobError(f"The input {path} does not exist.")
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    archives = [entry for entry in entries if entry.is_file() and entry.name.endswith((".tar.gz", ".tgz"))]
    if not archives:
        return folder_splits(path, classes, seed)
    if len(archives) > 1 or any(entry.is_dir() for entry in entries):
        raise JobError(f"The input has {some([entry.name for entry in entries])}; give one archive, or class folders.")
    return archive_splits(archives[0], classes)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Every path is an argument; the defaults are SageMaker's."""
    processing = Path("/opt/ml/processing")
    parser = argparse.ArgumentParser(prog="processing.stage", description=__doc__)
    parser.add_argument("--input", type=Path, default=processing / "input/data")
    parser.add_argument("--train", type=Path, default=processing / "train")
    parser.add_argument("--test", type=Path, default=processing / "test")
    parser.add_argument("--photos", type=Path, default=processing / "photos")
    parser.add_argument("--classes", default="bicycle,motorcycle")
    parser.add_argument("--data-label", choices=DATA_LABELS, default="cifar-100")
    parser.add_argument("--seed", type=int, default=1)
    job.add_message_flag(parser)
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

    def work() -> None:
        for line in stage(options):
            print(line, flush=True)

    return job.run(work, options.message)


if __name__ == "__main__":
    sys.exit(main())
