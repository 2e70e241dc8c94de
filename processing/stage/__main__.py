"""Turns photos into the records that training and evaluation read: one image format, two splits, checked throughout.

    python3 -m processing.stage --input PATH --train DIR --test DIR --photos DIR --classes bicycle,motorcycle --seed 1
        [--labelled DIR --recent DIR]
    python3 -m processing.stage --input PATH --others DIR --classes bicycle,motorcycle --seed 1

PATH is an archive in CIFAR-100's python format (`*.tar.gz`), a folder that holds one, or a folder of labelled photos
`<class>/*.png|jpg|jpeg`. Photos of classes that were not asked for are written beside the others, as examples of what
the model is not made for; with --others, these classes are all that is written, for pretrain.py. Nothing it reads is
trusted: the tar is read member by member and never unpacked, the pickles can build plain data only, sizes are bounded.
What is wrong becomes one sentence in --message and on stderr, with exit status 1.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from processing import datasets, job
from processing.datasets import Side
from processing.job import JobError
from processing.stage import camera, labelled, outliers, samples
from processing.stage.archives import archive_classes, archive_splits
from processing.stage.photo_folders import class_folders, folder_splits
from processing.stage.rows import Row, Splits, some

DATA_LABELS = ("cifar-100", "drawn samples", "photos")
CLASS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}")


def parse_classes(text: str) -> list[str]:
    """`bicycle,motorcycle` to its names. JobError unless they are two or more, different, and usable as file names."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) < 2 or len(set(names)) != len(names):
        raise JobError(f"--classes is {text!r:.120}; name two or more different classes, with commas between.")
    for name in names:
        if not CLASS_NAME.fullmatch(name):
            raise JobError(
                f"The class name {name!r:.120} has characters other than letters, digits, space, dot, - and _."
            )
    return names


def find_archive(path: Path) -> Path | None:
    """The archive that the input is or holds; None for a folder of labelled photos. JobError for anything else."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise JobError(f"The input {path} does not exist.")
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    archives = [entry for entry in entries if entry.is_file() and entry.name.endswith((".tar.gz", ".tgz"))]
    if not archives:
        return None
    if len(archives) > 1 or any(entry.is_dir() for entry in entries):
        raise JobError(f"The input has {some([entry.name for entry in entries])}; give one archive, or class folders.")
    return archives[0]


def class_names(path: Path) -> set[str]:
    """The classes that the input has photos of."""
    archive = find_archive(path)
    return archive_classes(archive) if archive else set(class_folders(path, []))


def read_input(path: Path, classes: Sequence[str], seed: int, rotation: int) -> Splits:
    """Photos of an archive, a folder that holds one archive, or a folder of labelled photos; else JobError."""
    archive = find_archive(path)
    if archive is None:
        return folder_splits(path, classes, seed, rotation)
    return archive_splits(archive, classes, rotation)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Every path is an argument; the defaults are SageMaker's."""
    processing = Path("/opt/ml/processing")
    parser = argparse.ArgumentParser(prog="processing.stage", description=__doc__)
    parser.add_argument("--input", type=Path, default=processing / "input/data")
    parser.add_argument("--train", type=Path, default=processing / "train")
    parser.add_argument("--test", type=Path, default=processing / "test")
    parser.add_argument(
        "--photos", type=Path, default=processing / "photos", help="for a sample of test photos as files"
    )
    parser.add_argument("--labelled", type=Path, help="photos that people labelled; may be missing")
    parser.add_argument("--recent", type=Path, help="for those of them that are only tested on; nowhere by default")
    parser.add_argument(
        "--others", type=Path, help="write photos of all classes but --classes here, to learn from, and nothing else"
    )
    parser.add_argument("--classes", default="bicycle,motorcycle")
    parser.add_argument("--data-label", choices=DATA_LABELS, default="cifar-100")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--outlier-rotation",
        type=int,
        choices=range(outliers.ROTATIONS),
        default=0,
        help="which third of the classes that were not asked for is tested on; the others are learned from",
    )
    job.add_message_flag(parser)
    return parser.parse_args(arguments)


def stage_others(options: argparse.Namespace, classes: Sequence[str]) -> str:
    """Writes all photos of the classes that are not asked for into `options.others`; says what it did.

    JobError when the data have fewer than two such classes.
    """
    names = class_names(options.input) - set(classes)
    if len(names) < 2:
        found = f"only the class {names.pop()!r}" if names else "no class"
        raise JobError(f"The input has {found} beside {', '.join(classes)}; two or more other classes are needed.")
    others = sorted(names)
    splits = read_input(options.input, others, options.seed, options.outlier_rotation)
    label = "drawn samples" if splits.drawn else options.data_label
    rows = [*splits.train, *splits.test]
    dataset = datasets.write(
        options.others, ((row.label, row.load()) for row in rows), others, label=label, source=splits.source
    )
    return f"{options.others.name}: {dataset['count']} photos of {len(others)} other classes ({some(others)})"


def stage(options: argparse.Namespace) -> Iterator[str]:
    """Does the work; yields what it did, a line at a time."""
    classes = parse_classes(options.classes)
    if options.others:
        yield stage_others(options, classes)
        return
    splits = read_input(options.input, classes, options.seed, options.outlier_rotation)
    people = labelled.read(options.labelled, classes, splits.test)
    splits = labelled.added(camera.carried_over(splits, people.train, options.seed), people)
    yield from splits.notes
    label = "drawn samples" if splits.drawn else options.data_label
    sides: tuple[tuple[Side, Path, Sequence[Row]], ...] = (
        ("train", options.train, splits.train),
        ("test", options.test, splits.test),
    )
    if options.recent:
        datasets.write(
            options.recent, ((row.label, row.load()) for row in people.recent), classes, label=label, source="labels"
        )
    for side, folder, rows in sides:
        dataset = datasets.write(
            folder,
            ((row.label, row.load()) for row in rows),
            classes,
            label=label,
            source=splits.source,
            side=side,
            labelled=len(people.train) if side == "train" else 0,
            blurred=splits.blurred if side == "train" else 0.0,
            turned=splits.turned if side == "train" else 0,
            outliers=splits.outliers,
        )
        counts = ", ".join(f"{count} {name}" for name, count in dataset["per_class"].items())
        yield f"{folder.name}: {dataset['count']} photos ({counts}), sha256 {dataset['sha256'][:16]}"
        if "outliers" in dataset:
            named = dataset["outliers"][side]
            yield f"{folder.name}: {sum(named.values())} photos of {len(named)} other classes ({some(list(named))})"
    count = samples.write(options.photos, splits.test, classes, options.seed)
    yield f"{options.photos.name}: {count} test photos as files, to show and to verify with"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 with the reason in --message and on stderr."""
    options = parse_arguments(arguments)

    def work() -> None:
        for line in stage(options):
            print(line, flush=True)

    return job.run(work, options.message)


if __name__ == "__main__":
    sys.exit(main())
