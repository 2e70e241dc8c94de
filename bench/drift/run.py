"""Measures drift and retraining with one command, and writes docs/drift.md and docs/drift.json.

    .venv-image/bin/python -m bench.drift.run --archive cifar-100-python.tar.gz [--seeds 1 2 3 4 5]

With each seed the photos are divided anew: two thirds to train and test with, the others are the stream, which each of
three cameras changes. Version 1 is trained, and asked once about the whole stream as each camera takes it. From these
answers periods are drawn at random and judged by the functions of Monitor and WatchStream; no cloud runs. Of the first
half of the changed stream people label what they would see, and version 2 is trained with that, with as many labels at
most as `--labels` says, and measured on the other half. With `--ceiling` one more version for each camera says how
much there is to win: it learned from all older photos as the changed camera takes them, which only a bench can do.

Versions and figures are kept under `--work`, and not worked out again while the code that decides them stays the same.
A training takes about a minute on two cores; one with each seed, one more for each seed, camera and number of labels,
and with `--ceiling` one more for each seed and camera.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.drift import measures, report, watching
from bench.drift import versions as making
from bench.drift.versions import ROOT, Version
from bench.model.run import machine, recipe_sha256
from lambdas.retrain.dataset import Photo, build
from loadingbay.story.drift import cameras
from processing import datasets

RECENT_PERCENT, MOST_LABELLED = 30, 5_000  # the template's
ALL = 10_000  # labels: as many as there are


class Bench:
    """The versions of one seed, what they answer, and figures kept in files."""

    def __init__(self, flags: argparse.Namespace, seed: int) -> None:
        self.flags, self.seed = flags, seed
        key = hashlib.sha256(json.dumps([recipe_sha256(), _code_sha256(), flags.epochs]).encode()).hexdigest()[:12]
        self.folder: Path = flags.work / key / f"seed-{seed}"

    def stream(self) -> list[tuple[str, bytes]]:
        """(label, PNG) of the stream's photos as the camera of before takes them; the others are in `base`."""
        shutil.rmtree(self.folder / "base", ignore_errors=True)
        return cameras.divide(self.flags.archive, self.folder / "base", self.seed)

    def first(self) -> Version:
        """Version 1."""
        return self._made("version-1")

    def ceiling(self, camera: str) -> Version:
        """A version of the older photos alone, all of them, to train and to test with, as the camera takes them now."""
        base = self.folder / f"base-{camera}"
        for path in (self.folder / "base").rglob("*.png"):
            changed = base / path.relative_to(self.folder / "base")
            changed.parent.mkdir(parents=True, exist_ok=True)
            changed.write_bytes(cameras.taken(path.read_bytes(), camera))
        return self._made(f"ceiling-{camera}", base)

    def _made(self, name: str, base: Path | None = None, **more: Any) -> Version:
        """A version of the photos of `base`, else of the seed's own, made unless it was before."""
        folder, done = self.folder / name, self.folder / name / "seconds.json"
        if not done.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            made = making.make(base or self.folder / "base", folder, self.seed, epochs=self.flags.epochs or 0, **more)
            done.write_text(json.dumps(made.seconds))
            print(f"seed {self.seed}: {name}, {made.seconds:.0f} s", flush=True)
        return Version(folder, json.loads(done.read_text()))

    def retrained(self, camera: str, most: int, photos: Sequence[tuple[str, bytes]], seen: pd.DataFrame) -> Version:
        """Version 2, trained with at most so many labels of (label, PNG) photos, to which version 1 answered `seen`.

        Its folder has the number of labels in `labels.json`.
        """
        name = f"version-2-{camera}-{'all' if most == ALL else most}"
        answers = watching.labelled(seen, f"{self.seed} {camera}")
        rows = np.flatnonzero(answers["truth"].notna())[:most]
        place = self.folder / f"labelled-{name}"
        put(place, [photos[row] for row in rows])
        version = self._made(name, labelled=place, champion=self.first().folder)
        (version.folder / "labels.json").write_text(json.dumps(len(rows)))
        return version

    def answers(self, version: Version, name: str, photos: Sequence[tuple[str, bytes]]) -> pd.DataFrame:
        """What the version answers to photos, asked once."""
        path = version.folder / f"answers-{name}.csv"
        if not path.is_file():
            making.answers(version, photos).to_csv(path, index=False)
        return pd.read_csv(path)

    def versions(self) -> None:
        """Makes all versions, and asks them."""
        stream = self.stream()
        half, version = len(stream) // 2, self.first()
        self.answers(version, "test", _test_photos(version))
        self.answers(version, "calm", stream)
        for camera in cameras.CAMERAS:
            changed = [(label, cameras.taken(photo, camera)) for label, photo in stream]
            drifted = self.answers(version, camera, changed)
            if self.flags.ceiling:
                self.answers(self.ceiling(camera), camera, changed[half:])
            for most in self.flags.labels:
                later = self.retrained(camera, most, changed[:half], drifted[:half])
                self.answers(later, camera, changed[half:])
                self.answers(later, "calm", stream[half:])

    def figures(self) -> dict[str, Any]:
        """All figures of this seed, once `versions` has run."""
        stream, version = self.stream(), self.first()
        half = len(stream) // 2
        test = self.answers(version, "test", _test_photos(version))
        calm = self.answers(version, "calm", stream)
        began = time.process_time()
        each = -(-self.flags.periods // len(self.flags.seeds))
        found: dict[str, Any] = {
            "seed": self.seed,
            "photos": {"test": len(test), "stream": len(stream)},
            "calm": measures.shares(calm[half:]),
            "false_alarms": {
                str(size): measures.false_alarms(test, calm, each, size, self.seed)
                for size in (measures.PERIOD, measures.HOURS * measures.AN_HOUR)
            },
            "seconds": time.process_time() - began,
            "cameras": {},
        }
        for camera in cameras.CAMERAS:
            changed = [(label, cameras.taken(photo, camera)) for label, photo in stream]
            drifted = self.answers(version, camera, changed)
            of_camera: dict[str, Any] = {
                "drifted": measures.shares(drifted[half:]),
                "until_alarm": measures.until_alarm(version, calm, drifted, self.seed),
                "hours": measures.hours_until_alarm(version, calm, drifted, self.seed),
                "after": {},
            }
            if self.flags.ceiling:
                of_camera["ceiling"] = measures.shares(self.answers(self.ceiling(camera), camera, changed[half:]))
            for most in self.flags.labels:
                later = self.retrained(camera, most, changed[:half], drifted[:half])
                evaluated = later.evaluated
                again = self.answers(later, camera, changed[half:])
                before = self.answers(later, "calm", stream[half:])
                of_camera["after"][str(most)] = {
                    "labels": json.loads((later.folder / "labels.json").read_text()),
                    "seconds": later.seconds,
                    "drifted": measures.shares(again),
                    "calm": measures.shares(before),
                    "gate": evaluated["gate"],
                    "approval": measures.after_approval(later, again, self.seed),
                }
            found["cameras"][camera] = of_camera
        return found


def _code_sha256() -> str:
    """Changes when a version kept from an earlier run would be another now; training's code is in recipe_sha256."""
    digest = hashlib.sha256(Path(cameras.__file__).read_bytes())
    for folder in ("stage", "evaluate"):
        for module in sorted((ROOT / "processing" / folder).glob("*.py")):
            digest.update(module.read_bytes())
    return digest.hexdigest()


def _test_photos(version: Version) -> list[tuple[str, bytes]]:
    photos = datasets.read(version.folder / "test")
    return [(photos.classes[label], body) for label, body in zip(photos.labels, photos.bodies, strict=True)]


def put(place: Path, photos: Sequence[tuple[str, bytes]]) -> None:
    """Writes (label, PNG) photos into `place` as the data set of labelled photos that the function Retrain makes."""
    shutil.rmtree(place, ignore_errors=True)
    (place / "photos").mkdir(parents=True)
    (place / "sets").mkdir()
    named = []
    for number, (label, body) in enumerate(photos):
        photo = Photo(f"{hashlib.sha256(body).hexdigest()}.png", label, f"{number:06}")
        (place / "photos" / photo.name).write_bytes(body)
        named.append(photo)
    dataset = build(named, cameras.CLASSES, RECENT_PERCENT, MOST_LABELLED)
    (place / "sets" / f"{dataset.sha256}.json").write_bytes(dataset.index)


def parser() -> argparse.ArgumentParser:
    """What the command line takes; the archive may come from CIFAR100_ARCHIVE."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    archive = os.environ.get("CIFAR100_ARCHIVE")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "loadingbay/bench-drift"
    flags.add_argument("--archive", type=Path, default=archive, required=archive is None)
    flags.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    flags.add_argument("--labels", type=int, nargs="*", default=[50, ALL], help="most labels of a retraining")
    flags.add_argument("--ceiling", action="store_true", help="measure how much there is to win back, too")
    flags.add_argument("--periods", type=int, default=1000, help="without drift, over all seeds, of each size")
    flags.add_argument("--epochs", type=int, help="else the training job's own default")
    flags.add_argument("--work", type=Path, default=cache, help="where versions and figures are kept")
    flags.add_argument("--output", type=Path, default=ROOT / "docs", help="folder of drift.md and drift.json")
    return flags


def main() -> None:
    """Measure each seed, and write both files."""
    flags = parser().parse_args()
    # One after the other, for each has both cores; then the figures side by side.
    for seed in flags.seeds:
        Bench(flags, seed).versions()
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        found = list(pool.map(Bench.figures, [Bench(flags, seed) for seed in flags.seeds]))
    numbers = {"--seeds": flags.seeds, "--labels": flags.labels}
    chosen = [" ".join([name, *map(str, given)]) for name, given in numbers.items()] + ["--ceiling"] * flags.ceiling
    result = {"machine": machine(), "options": " ".join(chosen), "seeds": found}
    flags.output.mkdir(parents=True, exist_ok=True)
    (flags.output / "drift.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    text = report.markdown(result)
    (flags.output / "drift.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
