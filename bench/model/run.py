"""Reproduces the model's figures with one command: trains and evaluates with several seeds, writes Markdown and JSON.

    .venv-image/bin/python bench/model/run.py --archive cifar-100-python.tar.gz --seeds 1 2 3 4 5

Each seed is a training job and an evaluation exactly as the pipeline runs them (Stage, Train, Evaluate as processes).
The cross-validated accuracy is of the k folds that training needs for its threshold anyway; the test photos are
scored once a seed, by Evaluate, and nothing was chosen by them. Leave the machine alone meanwhile: seconds are
compared with a budget.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scipy.stats import binomtest, t

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


def timed(command: list[str], log: Path) -> dict[str, float]:
    """Run to the end.

    Wall and processor seconds, children included. Ends the bench when it fails, with its last line.
    """
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command[:3])} failed: {log.read_text(errors='replace').strip().splitlines()[-1:]}")
    return {"wall": time.perf_counter() - began, "processor": usage.ru_utime + usage.ru_stime}


def one_seed(seed: int, flags: argparse.Namespace, data: Path, folder: Path) -> dict[str, object]:
    """Train and evaluate one artifact; its figures."""
    folder.mkdir(parents=True)
    train = [sys.executable, "-W", "ignore", str(ROOT / "training/train.py"), "--train", str(data / "train")]
    train += ["--model-dir", str(folder / "model"), "--classes", flags.classes, "--seed", str(seed)]
    train += ["--epochs", str(flags.epochs), "--folds", str(flags.folds), "--learning-rate", str(flags.learning_rate)]
    seconds = timed(train, folder / "train.log")
    evaluate = [sys.executable, "-W", "ignore", str(ROOT / "processing/evaluate.py"), "--model", str(folder / "model")]
    timed([*evaluate, "--test", str(data / "test"), "--output", str(folder / "evaluation")], folder / "evaluate.log")
    report = json.loads((folder / "evaluation/evaluation.json").read_text())
    model = json.loads((folder / "model/model.json").read_text())
    return {
        "seed": seed,
        "cross_validated_accuracy": model["out_of_fold"]["accuracy"],
        "test_accuracy": report["gate"]["accuracy"],
        "threshold": model["threshold"],
        "temperature": model["temperature"],
        "coverage": report["gate"]["coverage"],
        "accepted_precision": report["gate"]["accepted_precision"],
        "strangers_accepted": report["gate"]["strangers_accepted"],
        "nll": report["calibration"]["nll"],
        "ece": report["calibration"]["ece"],
        "aurc": report["risk_coverage"]["aurc"],
        "wall_seconds": seconds["wall"],
        "processor_seconds": seconds["processor"],
        "photos": {"train": model["out_of_fold"]["count"], "test": report["test"]["count"]},
    }


def mean_and_interval(values: list[float]) -> tuple[float, float]:
    """Mean over seeds, and half the width of its 95 % interval (Student's t); nought for a single seed."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, 0.0
    return mean, float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5


def over_photos(accuracy: float, count: int) -> tuple[float, float]:
    """95 % interval (Wilson) for the luck of which photos were drawn, which more seeds do not narrow."""
    interval = binomtest(round(accuracy * count), count).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


FIGURES = {
    "cross_validated_accuracy": "cross-validated accuracy",
    "test_accuracy": "test accuracy",
    "coverage": "test coverage",
    "accepted_precision": "accepted precision on test",
    "strangers_accepted": "strangers accepted",
    "nll": "test NLL",
    "ece": "test ECE",
    "aurc": "test AURC",
    "threshold": "threshold",
    "wall_seconds": "training seconds",
    "processor_seconds": "training processor seconds",
}


def markdown(result: dict) -> str:
    """The result as a table."""
    rows, setup = result["runs"], result["setup"]
    seeds = [run["seed"] for run in rows]
    photos = f"{setup['photos']['train']} training and {setup['photos']['test']} test photos of {setup['classes']}"
    how = f"{setup['epochs']} epochs, {setup['folds']} folds, learning rate {setup['learning_rate']:g}"
    head = f"{photos}, {how}, {setup['machine']}."
    names = " | ".join(f"seed {seed}" for seed in seeds)
    lines = [head, "", f"| figure | mean of seeds | 95 % over seeds | {names} |"]
    lines.append("|---|---|---|" + "---|" * len(seeds))
    for key, name in FIGURES.items():
        mean, half = result["means"][key]
        digits = 0 if "seconds" in key else 4 if key in ("aurc", "threshold") else 3
        values = " | ".join(f"{run[key]:.{digits}f}" for run in rows)
        lines.append(f"| {name} | **{mean:.{digits}f}** | ± {half:.{digits}f} | {values} |")
    for key, (low, high) in result["over_photos"].items():
        lines += ["", f"The {FIGURES[key]} over other photos of this kind: {low:.3f} to {high:.3f} (95 %)."]
    rate = result["throughput"]
    share = f"{rate['share']:.2f} of the bare forward and backward pass on ready batches ({rate['bare']:.0f})"
    lines += ["", f"One thread trains {rate['training']:.0f} images a second, {share}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parse the flags, run all seeds, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    archive = os.environ.get("CIFAR100_ARCHIVE")
    parser.add_argument("--archive", default=archive, required=archive is None, help="or a folder of labelled photos")
    parser.add_argument("--classes", default="bicycle,motorcycle")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--output", type=Path, default=HERE, help="folder of results.md and results.json")
    parser.add_argument("--keep", type=Path, help="a new folder for artifacts and logs; else they are thrown away")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-model-") as scratch:
        folder = flags.keep or Path(scratch)
        data = folder / "data"
        data.mkdir(parents=True)
        stage = [
            sys.executable,
            str(ROOT / "processing/stage.py"),
            "--input",
            flags.archive,
            "--classes",
            flags.classes,
        ]
        places = [part for name in ("train", "test", "photos") for part in (f"--{name}", str(data / name))]
        timed([*stage, *places, "--data-label", "cifar-100", "--seed", "1"], folder / "stage.log")
        runs = []
        for seed in flags.seeds:
            runs.append(one_seed(seed, flags, data, folder / f"seed-{seed}"))
            print(json.dumps(runs[-1]), flush=True)
        command = [sys.executable, "-W", "ignore", str(HERE / "throughput.py")]
        throughput = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    setup = {
        "classes": flags.classes,
        "epochs": flags.epochs,
        "folds": flags.folds,
        "learning_rate": flags.learning_rate,
        "photos": runs[0]["photos"],
        "machine": f"{os.cpu_count()} cores {platform.machine()}",
    }
    means = {key: mean_and_interval([float(run[key]) for run in runs]) for key in FIGURES}
    count = {"cross_validated_accuracy": setup["photos"]["train"], "test_accuracy": setup["photos"]["test"]}
    intervals = {key: over_photos(means[key][0], many) for key, many in count.items()}
    result = {"setup": setup, "runs": runs, "means": means, "over_photos": intervals, "throughput": throughput}
    flags.output.mkdir(parents=True, exist_ok=True)
    (flags.output / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    (flags.output / "results.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
