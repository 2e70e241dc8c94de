"""Sums up what the bench measured, and writes it as a table. Pure: no file is read or written here."""

from __future__ import annotations

import statistics
import textwrap
from typing import Any

from scipy.stats import binomtest, t

# Figures of a seed, their names, and their digits.
FIGURES = {
    "test_accuracy": ("test accuracy", 3),
    "coverage": ("test photos accepted (coverage)", 3),
    "accepted_precision": ("accepted answers that are right", 3),
    "others_accepted": ("photos of classes never learned from accepted", 3),
    "vehicles_accepted": ("photos of vehicles never learned from accepted", 3),
    "animals_accepted": ("photos of animals and all else never learned from accepted", 3),
    "auroc": ("AUROC of in_distribution, these against the test photos", 3),
    "drawn_accepted": ("drawn pictures accepted", 3),
    "nll": ("test NLL, nats", 3),
    "ece": ("test ECE", 3),
    "brier": ("test Brier score", 3),
    "aurc": ("test AURC", 4),
    "asked": ("share of the test photos about which the large network is asked too", 3),
    "out_of_fold_accuracy": ("out-of-fold accuracy of the job's own folds", 3),
    "out_of_fold_nll": ("the same, NLL", 3),
    "out_of_fold_coverage": ("the same, coverage", 3),
    "threshold": ("threshold", 4),
    "in_distribution_threshold": ("in_distribution threshold", 4),
    "temperature": ("temperature", 2),
}
# (part, figure, at least or at most, bar): what the model was asked to reach.
GOALS = (
    ("crossval", "accuracy", ">=", 0.945),
    ("crossval", "nll", "<=", 0.150),
    ("crossval", "coverage", ">=", 0.88),
    ("mean", "test_accuracy", ">=", 0.95),
    ("mean", "accepted_precision", ">=", 0.97),
    ("mean", "vehicles_accepted", "<=", 0.12),
    ("mean", "animals_accepted", "<=", 0.04),
    ("mean", "auroc", ">=", 0.97),
    ("timing", "wall_seconds", "<=", 60.0),
    ("serving", "times", ">=", 2.0),
)

# Classes of CIFAR-10 and CIFAR-100 that ride, sail or fly: the ones that are mistaken for bicycles and motorcycles.
VEHICLES = frozenset(
    [
        "airplane",
        "automobile",
        "bus",
        "lawn_mower",
        "pickup_truck",
        "rocket",
        "ship",
        "streetcar",
        "tank",
        "tractor",
        "train",
        "truck",
    ]
)
COLUMNS = 118  # of prose on the page
_WHOLE: Any = {"break_long_words": False, "break_on_hyphens": False}


def by_kind(accepted: dict[str, float]) -> dict[str, float | None]:
    """`vehicles_accepted` and `animals_accepted`: means over classes of the shares accepted; None without a class."""
    kinds = {
        "vehicles_accepted": [share for name, share in accepted.items() if name in VEHICLES],
        "animals_accepted": [share for name, share in accepted.items() if name not in VEHICLES],
    }
    return {kind: statistics.fmean(shares) if shares else None for kind, shares in kinds.items()}


def mean_and_interval(values: list[float]) -> tuple[float, float | None]:
    """Mean over seeds, and half the width of its 95 % interval (Student's t); None for that of a single seed."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None
    return mean, float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5


def crossval(runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Means over seeds of what crossval.py found with each; None without any."""
    if not runs:
        return None
    figures = ["accuracy", "nll", "ece", "aurc", "coverage", "accepted_precision"]
    figures += ["accuracy_as_jpeg", "coverage_as_jpeg", "coverage_as_jpeg_at_best"]
    if all("auroc" in run for run in runs):  # the archive has other classes
        figures += ["auroc", "fpr_at_95_tpr"]
    means = {name: statistics.fmean(run[name] for run in runs) for name in figures}
    return {"folds": runs[0]["folds"], "count": runs[0]["count"], "seeds": runs, **means}


def crossval_without_others(runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The same as `crossval`, and what is accepted of the classes left out, where no other class is learned from."""
    found = crossval(runs)
    return found and {**found, **by_kind(_mean_by_class([run["accepted_by_class"] for run in runs]))}


def over_photos(share: float, count: int) -> tuple[float, float]:
    """95 % interval (Wilson) for the luck of which photos were drawn, which more seeds do not narrow."""
    interval = binomtest(round(share * count), count).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def summary(
    runs: list[dict[str, Any]],
    crossval: dict[str, Any] | None,
    timing: dict[str, Any] | None,
    throughput: dict[str, Any] | None,
    serving: dict[str, Any] | None = None,
    without_others: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Everything model.json says; a part that was not measured is None."""
    found = {key: [float(run[key]) for run in runs if run[key] is not None] for key in FIGURES}
    means = {key: mean_and_interval(values) for key, values in found.items() if values}
    photos = runs[0]["photos"] if runs else {}
    result = {
        "photos": photos,
        "hyperparameters": runs[0]["hyperparameters"] if runs else None,
        "seeds": runs,
        "means": means,
        "test_accuracy_over_photos": over_photos(means["test_accuracy"][0], photos["test"]) if runs else None,
        "crossval": crossval
        and {**crossval, "accuracy_over_photos": over_photos(crossval["accuracy"], crossval["count"])},
        "timing": timing,
        "throughput": throughput,
        "serving": serving,
        "without_others": crossval_without_others(without_others or []),
    }
    return {**result, "goals": goals(result)}


def goals(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What was asked for, what came, and whether it is enough; what was not measured is neither."""
    judged = []
    for part, figure, sense, bar in GOALS:
        if part == "mean":
            value = result["means"][figure][0] if figure in result["means"] else None
        else:
            value = result[part][figure] if result[part] else None
        reached = None if value is None else value >= bar - 1e-9 if sense == ">=" else value <= bar + 1e-9
        judged.append({"part": part, "figure": figure, "sense": sense, "bar": bar, "value": value, "reached": reached})
    return judged


def _seed_count(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"mean of {seeds} seeds"


def _goal_name(goal: dict[str, Any], seeds: int) -> str:
    """Return a goal's figure in words, with the number of seeds that it is a mean of."""
    if goal["part"] == "mean":
        return f"{FIGURES[goal['figure']][0]}, {_seed_count(seeds)}"
    return {
        "accuracy": "out-of-fold accuracy of the cross-validation",
        "nll": "out-of-fold NLL, the same",
        "coverage": "out-of-fold coverage at the target precision, the same",
        "times": "photos a second through the handler, times those of the network before",
        "wall_seconds": "seconds of the training job",
    }[str(goal["figure"])]


def markdown(result: dict[str, Any]) -> str:
    """docs/model.md from what `summary` gave: goals first, then what was measured, part by part."""
    lines = ["# What the model reaches", "", "Written by `.venv-image/bin/python bench/model/run.py`; do not edit.", ""]
    lines += ["| figure | goal | measured | |", "|---|---|---|---|"]
    for goal in result["goals"]:
        digits = 0 if goal["figure"] == "wall_seconds" else 3
        sense = {">=": "at least", "<=": "at most"}[goal["sense"]]
        value = "not measured" if goal["value"] is None else f"**{goal['value']:.{digits}f}**"
        verdict = {True: "reached", False: "missed", None: ""}[goal["reached"]]
        name = _goal_name(goal, len(result["seeds"]))
        lines.append(f"| {name} | {sense} {goal['bar']:.{digits}f} | {value} | {verdict} |")
    if result["seeds"]:
        lines += _seeds(result)
    if cv := result["crossval"]:
        low, high = cv["accuracy_over_photos"]
        seeds = ", ".join(f"{run['accuracy']:.3f}" for run in cv["seeds"])
        lines += [
            "",
            f"{cv['folds']}-fold cross-validation on {cv['count']} training photos, {_seed_count(len(cv['seeds']))}: "
            f"accuracy {cv['accuracy']:.3f} (95 % over photos {low:.3f} to {high:.3f}; by seed {seeds}), "
            f"NLL {cv['nll']:.3f}, ECE {cv['ece']:.3f}, AURC {cv['aurc']:.4f}, "
            f"coverage {cv['coverage']:.3f} at accepted precision {cv['accepted_precision']:.3f}.",
            "",
            f"The same photos saved as JPEG of qualities 60 to 95: accuracy {cv['accuracy_as_jpeg']:.3f}, coverage "
            f"{cv['coverage_as_jpeg']:.3f}." + _at_best(cv.get("coverage_as_jpeg_at_best")),
        ]
        if "auroc" in cv:
            lines += [
                "",
                f"These networks on photos of classes never learned from, another third of the classes with each seed: "
                f"AUROC {cv['auroc']:.3f}, FPR at 95 % TPR {cv['fpr_at_95_tpr']:.3f}, accepted "
                f"{_shares(_mean_by_class([run['accepted_by_class'] for run in cv['seeds']]))}.",
            ]
    if alone := result.get("without_others"):
        lines += [
            "",
            f"Where the data hold no other classes ({_seed_count(len(alone['seeds']))}; only the examples that come "
            "with the weights to start from, those of the classes tested on left out, and crops of photographs say "
            f"what other things look like): accuracy {alone['accuracy']:.3f}, NLL {alone['nll']:.3f}, coverage "
            f"{alone['coverage']:.3f}, AUROC {alone['auroc']:.3f}; accepted "
            f"{_shares(_mean_by_class([run['accepted_by_class'] for run in alone['seeds']]))}.",
        ]
    if timing := result["timing"]:
        words = {True: " Its weights are the seed's to the bit.", False: " ITS WEIGHTS ARE NOT THE SEED'S.", None: ""}
        lines += [
            "",
            f"The training job takes {timing['wall_seconds']:.0f} s ({timing['processor_seconds']:.0f} processor "
            f"seconds) on {timing['machine']}, load average {timing['load_before']:.1f} before it."
            + words[timing["same_weights"]],
        ]
    if rate := result["throughput"]:
        lines += [
            "",
            f"One thread trains {rate['training']:.0f} images a second, {rate['share']:.2f} of the bare forward and "
            f"backward pass on ready batches ({rate['bare']:.0f}).",
        ]
    if served := result["serving"]:
        alone = served["alone"] / served["beside"]
        lines += [
            "",
            f"Decode, forward and answer, batches of 8: {served['photos']:.0f} photos a second on one core, "
            f"{served['alone']:.0f} where the large network is never asked, {served['beside']:.0f} with the network "
            f"before; in turn on one machine ({served['times']:.2f} and {alone:.2f} times).",
        ]
    return "\n".join(line if line.startswith("|") else textwrap.fill(line, COLUMNS, **_WHOLE) for line in lines) + "\n"


def _at_best(coverage: float | None) -> str:
    """What compression takes by itself, where it was measured."""
    if coverage is None:
        return ""
    return (
        f" With a threshold of their own, and in_distribution unasked, {coverage:.3f} of them could be accepted: what "
        "is missing to that is taken for other things, or held to a threshold that photos as they are need."
    )


def _seeds(result: dict[str, Any]) -> list[str]:
    """Lines of the table with a column for each seed, the mean and its interval, and of what is accepted by kind."""
    runs, recipe, photos = result["seeds"], result["hyperparameters"], result["photos"]
    low, high = result["test_accuracy_over_photos"]
    lines = [
        "",
        f"{photos['train']} training and {photos['test']} test photos; {recipe['epochs']} epochs, {recipe['folds']} "
        f"folds, batch {recipe['batch_size']}, learning rate {recipe['learning_rate']:g}. Every seed is a training "
        "job and an evaluation of its own, through the handler that serves.",
        "",
    ]
    heads = " | ".join(f"seed {run['seed']}" for run in runs)
    lines += [f"| figure | mean | 95 % over seeds | {heads} |"]
    lines += ["|---|---|---|" + "---|" * len(runs)]
    for key, (name, digits) in FIGURES.items():
        if key not in result["means"]:
            continue
        mean, half = result["means"][key]
        interval = "one seed" if half is None else f"± {half:.{digits}f}"
        values = " | ".join("" if run[key] is None else f"{run[key]:.{digits}f}" for run in runs)
        lines.append(f"| {name} | **{mean:.{digits}f}** | {interval} | {values} |")
    lines += ["", f"Other test photos of this kind would give an accuracy of {low:.3f} to {high:.3f} (95 %, Wilson)."]
    drawn = {kind: statistics.fmean(run["drawn_by_kind"][kind] for run in runs) for kind in runs[0]["drawn_by_kind"]}
    lines += ["", f"Drawn pictures accepted by kind, {_seed_count(len(runs))}: {_shares(drawn)}."]
    if others := _mean_by_class([run["accepted_by_class"] for run in runs]):
        lines += [
            "",
            "Photos accepted of classes that the training of that seed did not learn from (the "
            f"[weights to start from](pretraining.md) may have seen them): {_shares(others)}.",
        ]
    return lines


def _mean_by_class(shares: list[dict[str, float]]) -> dict[str, float]:
    """The mean share of each class, over the runs that know it."""
    names = sorted({name for run in shares for name in run})
    return {name: statistics.fmean(run[name] for run in shares if name in run) for name in names}


def _shares(by_name: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.2f}" for name, share in by_name.items())
