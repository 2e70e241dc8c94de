"""Reproduces the model's figures with one command, and writes docs/model.md and docs/model.json.

    .venv-image/bin/python bench/model/run.py --archive cifar-100-python.tar.gz

Its parts, each of which `--only` picks:
    seeds       the training job and the evaluation as the pipeline runs them, with each of `--seeds`
    crossval    5-fold cross-validation on the training photos, with the same recipe and the first three seeds
    alone       the same as if the data had only the classes asked for
    timing      the training job again, for its seconds alone: leave the machine to it
    throughput  images a second of training, beside the bare forward and backward pass
    serving     photos a second through the handler, beside another artifact's (`--beside`), in turn, with and without
                the large network

Photos of classes of the archive that are not asked for are shared out anew with each seed: a third of these classes is
never learned from, and tells how many photos of other things are accepted.

Each result is kept under `--work` as soon as it is there, and is not worked out again while the code that decides it
stays the same; so a bench that was stopped goes on where it was, and the parts may run at different times. `--only`
without a part measures nothing, and writes both files from what is kept. The test photos are scored once a seed, by
Evaluate; where they had a part in a choice, docs/log.md says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from bench import forms  # noqa: E402
from bench.model import report  # noqa: E402

PARTS = ("seeds", "crossval", "alone", "timing", "throughput", "serving")
CROSSVAL_SEEDS = 3  # of `--seeds`, the first
# What decides weights, threshold and figures; the handler's speed, say, does not.
DECIDING = (
    "augmentation", "backbone", "calibration", "corrections", "costs", "decision", "fitting", "focus", "heads",
    "metrics", "network", "outliers", "phases", "preprocessing", "pretrained", "records", "second", "thresholds",
    "train", "upright",
)  # fmt: skip


def recipe_sha256() -> str:
    """Changes when a result kept from an earlier run is no longer one of this code."""
    digest = hashlib.sha256()
    for name in DECIDING:
        digest.update((ROOT / "training" / f"{name}.py").read_bytes())
    digest.update((ROOT / "processing/evaluate/drawn.py").read_bytes())
    digest.update((ROOT / "training/pretrained.params").read_bytes())
    return digest.hexdigest()


def timed(command: list[str], log: Path) -> dict[str, float]:
    """Run to the end.

    Wall and processor seconds, children included. Ends the bench when it fails, with its last line.
    """
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", *command],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},  # where `-m processing.stage` is found
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        sys.exit(f"{Path(command[command[0] == '-m']).name} failed: {' '.join(last)}")
    return {"wall_seconds": time.perf_counter() - began, "processor_seconds": usage.ru_utime + usage.ru_stime}


class Bench:
    """The staged photos, and results kept in files."""

    def __init__(self, flags: argparse.Namespace) -> None:
        self.flags, self.work = flags, flags.work
        self.scratch: Path | None = None
        inputs = [recipe_sha256(), flags.classes, flags.epochs, flags.folds]
        self.key = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:12]

    def kept(self, name: str) -> dict[str, Any] | None:
        """An earlier result of this very code, or None."""
        path = self.work / self.key / f"{name}.json"
        found: dict[str, Any] | None = json.loads(path.read_text("utf-8")) if path.is_file() else None
        return found

    def keep(self, name: str, measure: Callable[[], dict[str, Any]]) -> None:
        """Measure unless it is there already; written whole or not at all."""
        if self.kept(name) is not None:
            print(f"{name}: kept from an earlier run", flush=True)
            return
        path = self.work / self.key / f"{name}.json"
        result = measure()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".partial").write_text(json.dumps(result) + "\n", "utf-8")
        path.with_suffix(".partial").replace(path)
        print(f"{name}: {json.dumps(result)}", flush=True)

    def data(self, scratch: Path, seed: int = 1) -> Path:
        """The photos, staged as the pipeline stages them, once; other classes are left out with each seed, in turn."""
        rotation = (seed - 1) % 3
        place = scratch / f"data-{rotation}"
        if not place.exists():
            place.mkdir()
            stage = ["-m", "processing.stage", "--input", self.flags.archive, "--classes", self.flags.classes]
            stage += ["--data-label", "cifar-100", "--seed", "1", "--outlier-rotation", str(rotation)]
            stage += [part for name in ("train", "test", "photos") for part in (f"--{name}", str(place / name))]
            timed(stage, scratch / "stage.log")
        return place

    def train(self, seed: int, scratch: Path, folder: Path) -> dict[str, float]:
        """The training job, as the pipeline starts it but for the `--epochs` and `--folds` given; its seconds."""
        folder.mkdir(parents=True)
        command = [str(ROOT / "training/train.py"), "--train", str(self.data(scratch, seed) / "train")]
        command += ["--model-dir", str(folder / "model"), "--classes", self.flags.classes, "--seed", str(seed)]
        for name in ("epochs", "folds"):
            if (value := getattr(self.flags, name)) is not None:
                command += [f"--{name}", str(value)]
        return timed(command, folder / "train.log")

    def one_seed(self, seed: int, scratch: Path) -> dict[str, Any]:
        """Train and evaluate one artifact; its figures."""
        folder = scratch / f"seed-{seed}"
        self.train(seed, scratch, folder)
        evaluate = ["-m", "processing.evaluate", "--model", str(folder / "model")]
        evaluate += ["--test", str(self.data(scratch, seed) / "test"), "--output", str(folder / "evaluation")]
        timed(evaluate, folder / "evaluate.log")
        scored = json.loads((folder / "evaluation/evaluation.json").read_text("utf-8"))
        model = json.loads((folder / "model/model.json").read_text("utf-8"))
        by_class = scored["out_of_distribution"].get("photos", {}).get("accepted_by_kind", {})
        return {
            "seed": seed,
            "test_accuracy": scored["gate"]["accuracy"],
            "coverage": scored["gate"]["coverage"],
            "accepted_precision": scored["gate"]["accepted_precision"],
            "others_accepted": scored["gate"]["out_of_distribution_accepted"],
            "drawn_accepted": scored["out_of_distribution"]["drawn"]["accepted"],
            "auroc": scored["gate"]["out_of_distribution_auroc"],
            "accepted_by_class": by_class,
            **report.by_kind(by_class),
            "nll": scored["calibration"]["nll"],
            "ece": scored["calibration"]["ece"],
            "brier": scored["calibration"]["brier"],
            "aurc": scored["risk_coverage"]["aurc"],
            "threshold": model["threshold"],
            "in_distribution_threshold": model["in_distribution_threshold"],
            "temperature": model["temperature"],
            "asked": scored["second_opinion"].get("test", 0.0),
            "out_of_fold_accuracy": model["out_of_fold"]["accuracy"],
            "out_of_fold_nll": model["out_of_fold"]["nll"],
            "out_of_fold_coverage": model["out_of_fold"]["coverage"],
            "drawn_by_kind": scored["out_of_distribution"]["drawn"]["accepted_by_kind"],
            "hyperparameters": model["hyperparameters"],
            "photos": {"train": model["out_of_fold"]["count"], "test": scored["test"]["count"]},
            "weights_sha256": weights_sha256(folder),
        }

    def timing(self, scratch: Path) -> dict[str, Any]:
        """Seconds of the training job with the first seed, and whether its weights are the ones of the first time."""
        seed = self.flags.seeds[0]
        load = os.getloadavg()[0]
        seconds = self.train(seed, scratch, scratch / "timing")
        first = self.kept(f"seed-{seed}")
        same = None if first is None else first["weights_sha256"] == weights_sha256(scratch / "timing")
        return {**seconds, "seed": seed, "load_before": load, "same_weights": same, "machine": machine()}

    def cross_validate(self, seed: int, scratch: Path, *more: str) -> dict[str, Any]:
        """The figures of 5 folds with one seed, as crossval.py gives them with `more` flags."""
        out = scratch / f"crossval-{seed}.json"
        data = self.data(scratch, seed)
        command = [str(HERE / "crossval.py"), "--train", str(data / "train"), "--unseen", str(data / "test")]
        command += ["--output", str(out), "--seed", str(seed), *more]
        if self.flags.epochs is not None:
            command += ["--epochs", str(self.flags.epochs)]
        timed(command, scratch / "crossval.log")
        found: dict[str, Any] = json.loads(out.read_text("utf-8"))
        return found

    def serving(self, scratch: Path) -> dict[str, Any]:
        """Photos a second through the handler of a fresh artifact, of it without its large network, and of `--beside`.

        In turn, on the test photos.
        """
        if self.flags.beside is None:
            sys.exit("the part serving needs --beside, the folder of another artifact")
        whole, alone = scratch / "served/model", scratch / "alone"
        if not whole.exists():
            self.train(self.flags.seeds[0], scratch, scratch / "served")
        forms.without_second(whole, alone)
        log = scratch / "serving.log"
        artifacts = map(str, (whole, alone, self.flags.beside))
        timed([str(HERE / "serving.py"), str(self.data(scratch, self.flags.seeds[0]) / "test"), *artifacts], log)
        photos, small, beside = json.loads(log.read_text("utf-8").strip().splitlines()[-1])
        return {"photos": photos, "alone": small, "beside": beside, "times": photos / beside}

    def throughput(self, scratch: Path) -> dict[str, Any]:
        """The two rates."""
        log = scratch / "throughput.log"
        timed([str(HERE / "throughput.py")], log)
        found: dict[str, Any] = json.loads(log.read_text("utf-8").strip().splitlines()[-1])
        return found


def weights_sha256(folder: Path) -> str:
    """Of the exported parameters."""
    return hashlib.sha256((folder / "model/network-0000.params").read_bytes()).hexdigest()


def machine() -> str:
    """Cores and processor."""
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if "model name" in line
    ]
    return f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else platform.machine()}"


def parser() -> argparse.ArgumentParser:
    """What the command line takes; the archive may come from CIFAR100_ARCHIVE."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    archive = os.environ.get("CIFAR100_ARCHIVE")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "loadingbay/bench-model"
    flags.add_argument("--archive", default=archive, required=archive is None, help="or a folder of labelled photos")
    flags.add_argument("--classes", default="bicycle,motorcycle")
    flags.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    flags.add_argument("--epochs", type=int, help="else the training job's own default")
    flags.add_argument("--folds", type=int, help="of the training job; else its own default")
    flags.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS), help="parts to run")
    flags.add_argument("--beside", type=Path, help="unpacked artifact that serving is compared with")
    flags.add_argument("--work", type=Path, default=cache, help="where results are kept")
    flags.add_argument("--output", type=Path, default=ROOT / "docs", help="folder of model.md and model.json")
    return flags


def main() -> None:
    """Run the parts asked for, then write what is known."""
    flags = parser().parse_args()
    bench = Bench(flags)
    with tempfile.TemporaryDirectory(prefix="bench-model-") as name:
        scratch = Path(name)
        for part in PARTS:
            if part not in flags.only:
                continue
            if part == "seeds":
                for seed in flags.seeds:
                    bench.keep(f"seed-{seed}", partial(bench.one_seed, seed, scratch))
            elif part == "crossval":
                for seed in flags.seeds[:CROSSVAL_SEEDS]:
                    bench.keep(f"crossval-{seed}", partial(bench.cross_validate, seed, scratch))
            elif part == "alone":
                for seed in flags.seeds[:CROSSVAL_SEEDS]:
                    bench.keep(f"alone-{seed}", partial(bench.cross_validate, seed, scratch, "--without-others"))
            else:
                measure = {
                    "timing": bench.timing,
                    "throughput": bench.throughput,
                    "serving": bench.serving,
                }
                bench.keep(part, partial(measure[part], scratch))
    runs = [run for seed in flags.seeds if (run := bench.kept(f"seed-{seed}"))]
    folds = [run for seed in flags.seeds[:CROSSVAL_SEEDS] if (run := bench.kept(f"crossval-{seed}"))]
    alone = [run for seed in flags.seeds[:CROSSVAL_SEEDS] if (run := bench.kept(f"alone-{seed}")) and "auroc" in run]
    timing, throughput, serving = (bench.kept(name) for name in ("timing", "throughput", "serving"))
    result = report.summary(runs, report.crossval(folds), timing, throughput, serving, alone)
    flags.output.mkdir(parents=True, exist_ok=True)
    (flags.output / "model.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    (flags.output / "model.md").write_text(report.markdown(result), "utf-8")
    print(report.markdown(result))


if __name__ == "__main__":
    main()
