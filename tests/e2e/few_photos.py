"""A smaller archive of photos that another one holds, for tests that do not ask how well the model does."""

from collections import Counter
from pathlib import Path

from loadingbay.data.samples.archive import pack
from processing.stage.archives import read_archive


def take(source: Path, place: Path, each: int) -> None:
    """Write the archive at `source` to `place` with the first `each` training photos of each of its classes."""
    content = read_archive(source)
    train, met, kept = content["train"], Counter[int](), []
    for row, label in enumerate(train[b"fine_labels"]):
        met[label] += 1
        if met[label] <= each:
            kept.append(row)
    few = {name: [values[row] for row in kept] for name, values in train.items() if type(values) is list}
    pixels = {split: content[split][b"data"].value for split in ("train", "test")}
    content["train"] = train | few | {b"data": pixels["train"][kept]}
    content["test"] |= {b"data": pixels["test"]}
    pack(place, content)
