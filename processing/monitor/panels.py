"""The parts of the pictures that monitoring draws: the stream, learning curves, confusion and reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from processing.captions import caption
from processing.evaluation import Evaluation
from processing.monitor.drift import MIN_COUNT
from processing.monitor.figures import Monitoring

ACCEPTED, REFUSED, UNKNOWN, WRONG = "#2a7f9e", "#e09f3e", "#7b5ea7", "#d1495b"
INK, GREY, PALE = "#3d405b", "#737f94", "#eef1f4"
TEXT = {REFUSED: "#a86a12"}  # amber is too pale for small letters
DRAWN = "drawn samples"
LEFT = 0.8  # inches

STYLE = {
    "axes.spines.top": False, "axes.spines.right": False, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.titlesize": 12, "font.size": 10, "text.color": INK, "axes.titlecolor": INK, "axes.labelcolor": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": GREY, "legend.frameon": False,
}  # fmt: skip


def percent(value: float) -> str:
    """A share from 0 to 1 as text, such as `97.5 %`."""
    return f"{100 * value:.1f}".removesuffix(".0") + " %"


def stream(ax: Any, side: Any, answers: pd.DataFrame) -> None:
    """Draw confidence in order against the threshold of the time, and beside it how many there are of each."""
    order = np.arange(1, len(answers) + 1)
    confidence, line = answers["confidence"].to_numpy(), answers["threshold"].to_numpy()
    accepted, unsure, unknown, wrong = (answers[name].to_numpy() for name in ("accepted", "unsure", "unknown", "wrong"))
    floor = min(0.5, float(confidence.min()) - 0.02)
    edges = np.append(order - 0.5, len(order) + 0.5)
    ax.fill_between(edges, np.append(line, line[-1]), floor, step="post", color=REFUSED, alpha=0.10, linewidth=0)
    ax.stairs(line, edges, baseline=None, color=INK, linestyle="--", linewidth=1.3)
    size = 42 if len(order) <= 150 else 16
    ax.scatter(order[accepted], confidence[accepted], s=size, color=ACCEPTED, alpha=0.85, linewidth=0)
    ax.scatter(order[unsure], confidence[unsure], s=size, color=REFUSED, marker="D", linewidth=0)
    ax.scatter(order[unknown], confidence[unknown], s=size, color=UNKNOWN, marker="X", linewidth=0)
    ax.scatter(order[wrong], confidence[wrong], s=size * 3.2, facecolor="none", edgecolor=WRONG, linewidth=1.6)
    share = accepted.mean()
    ax.set_title(
        f"How sure was the model of each photo?  {percent(share)} accepted, {percent(1 - share)} for a person to see",
        pad=30,
    )  # fmt: skip
    handles = [
        Line2D([], [], color=ACCEPTED, marker="o", linestyle="", label=f"accepted, and routed: {accepted.sum()}"),
        Line2D([], [], color=REFUSED, marker="D", linestyle="", label=f"not sure enough: {unsure.sum()}"),
        Line2D([], [], color=INK, linestyle="--", label=f"threshold{_thresholds(answers)}"),
    ]
    if unknown.any():
        cross = Line2D([], [], color=UNKNOWN, marker="X", linestyle="", label=f"nothing it knows: {unknown.sum()}")
        handles.insert(2, cross)
    if answers["truth"].notna().any():
        ring = Line2D([], [], color=WRONG, marker="o", markerfacecolor="none", markersize=9, linestyle="")
        ring.set_label(f"a wrong answer: {wrong.sum()}")
        handles.append(ring)
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(-0.008, 1.0), ncols=5, borderpad=0, handletextpad=0.4)
    ax.set(xlabel="photos in the order they came", ylabel="confidence of the answer", ylim=(floor, 1.015))
    ax.set_xlim(0.5, len(order) + 0.5)
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    bins = np.linspace(floor, 1, 26)
    side.hist(
        [confidence[accepted], confidence[unsure], confidence[unknown]], bins=bins, stacked=True,
        orientation="horizontal", color=[ACCEPTED, REFUSED, UNKNOWN],
    )  # fmt: skip
    side.axhline(line[-1], color=INK, linestyle="--", linewidth=1.3)
    side.set(xlabel="photos", ylim=(floor, 1.015))
    side.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    side.tick_params(labelleft=False)


def _thresholds(answers: pd.DataFrame) -> str:
    seen = answers["threshold"].unique()
    if len(seen) == 1:
        return f" {seen[0]:.3f}"
    return f" {seen[0]:.3f}, now {seen[-1]:.3f}"


def headline_height(found: Monitoring) -> float:
    """Where `headline` ends, in inches below the upper edge: the line of drawn samples, below what changed."""
    if found["data_label"] != DRAWN:
        return 1.25
    return 1.97 if found["violations"] else 1.72


def headline(fig: Any, found: Monitoring, evaluation: Evaluation | None, title: str) -> None:
    """Write title, facts, and whether samples are drawn, above `headline_height`."""
    width, height = fig.get_size_inches()

    def write(inches: float, words: str, **style: Any) -> None:
        fig.text(LEFT / width, 1 - inches / height, words, **style)

    last = found["last"] if found["last"][:10] != found["first"][:10] else found["last"][10:]
    facts = [
        f"{found['count']:,} photo" + "s" * (found["count"] > 1),
        f"{found['first']} to {last}".replace("T", " ").replace("Z", "") + " UTC",
    ]
    if found["accuracy"] is not None:
        facts.append(f"{percent(found['accuracy'])} right of the {found['labelled']} whose label is known")
    if found["accepted_precision"] is not None:
        facts.append(f"{percent(found['accepted_precision'])} right of those accepted")
    if evaluation:
        facts.append(f"test accuracy {percent(evaluation['gate']['accuracy'])}")
    write(0.55, title, fontsize=19, fontweight="bold")
    write(0.92, "   ·   ".join(" ".join(fact.split()) for fact in facts), fontsize=11)
    write(1.2, f"Drift since the evaluation: {found['drift']['verdict']}", fontsize=11, color=GREY)
    if found["violations"]:
        changed = ", ".join(found["violations"]).replace("_", " ")
        write(1.45, f"Changed since the evaluation: {changed}", fontsize=11, color=WRONG)
    if found["data_label"] != DRAWN:
        return
    words = "DRAWN SAMPLES: pictures made by a program. No figure here says anything about photographs."
    box = {"facecolor": WRONG, "edgecolor": "none", "boxstyle": "square,pad=0.35"}
    write(headline_height(found) - 0.1, words, fontsize=12, fontweight="bold", color="white", bbox=box)


def learning(upper: Any, lower: Any, history: Sequence[Mapping[str, Any]]) -> None:
    """Draw accuracy on held-out photos of each fold and their mean; training loss of each network."""
    phases: dict[str, list[tuple[int, Any, Any]]] = {}
    for entry in history:
        epoch = int(str(entry["epoch"]).split("/")[0])
        phases.setdefault(str(entry["phase"]), []).append(
            (epoch, entry.get("validation_accuracy"), entry.get("train_loss"))
        )
    upper.set_title("How the small network learned, by epoch")
    if not phases:
        nothing(upper, "no training history")
        lower.axis("off")
        return
    by_epoch: dict[int, list[float]] = {}
    for name, rows in phases.items():
        final = name == "final"
        style = (
            {"color": INK, "linewidth": 2.0, "zorder": 3}
            if final
            else {"color": ACCEPTED, "linewidth": 1.0, "alpha": 0.55}
        )
        if len(rows) < 3:
            style["marker"] = "o"
        seen = [(epoch, accuracy) for epoch, accuracy, _ in rows if accuracy is not None]
        losses = [(epoch, loss) for epoch, _, loss in rows if loss is not None]
        if seen:
            upper.plot(*zip(*seen, strict=True), **style)
        if losses:
            lower.plot(*zip(*losses, strict=True), **style)
        for epoch, accuracy in seen:
            by_epoch.setdefault(epoch, []).append(accuracy)
    folds = len([name for name in phases if name != "final"])
    mean = [(epoch, float(np.mean(values))) for epoch, values in sorted(by_epoch.items()) if len(values) >= folds > 1]
    if mean:
        upper.plot(*zip(*mean, strict=True), color=ACCEPTED, linewidth=2.2)
        words = f"{folds} folds, and their mean: {100 * mean[-1][1]:.1f} %"
        upper.text(0.98, 0.06, words, transform=upper.transAxes, ha="right", color=ACCEPTED, fontsize=9)
    upper.set_ylabel("held-out accuracy")
    upper.tick_params(labelbottom=False)
    lower.set(xlabel="epoch", ylabel="training loss")
    if "final" in phases:
        lower.legend(
            handles=[Line2D([], [], color=INK, linewidth=2, label="the network in service")],
            loc="upper right",
            fontsize=9,
        )


def confusion(ax: Any, evaluation: Evaluation | None) -> None:
    """Draw how many test photos of each class got which answer."""
    ax.set_title("Test photos: what they show, what it said")
    if evaluation is None:
        nothing(ax, "no evaluation of this version")
        return
    matrix = evaluation["multiclass_classification_metrics"]["confusion_matrix"]
    names = list(matrix)
    counts = np.array([[float(matrix[true].get(said, 0)) for said in names] for true in names])
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(rates, cmap=mpl.colors.LinearSegmentedColormap.from_list("", ["white", ACCEPTED]), vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        ink = "white" if rates[row, column] > 0.55 else INK
        ax.text(
            column, row, f"{counts[row, column]:.0f}", ha="center", va="center", color=ink, fontsize=15 - len(names)
        )
    shown = [caption(name.replace("_", " ")) for name in names]
    ax.set_xticks(range(len(names)), shown, rotation=0 if len(names) < 4 else 30)
    ax.set_yticks(range(len(names)), shown, rotation=90 if len(names) < 4 else 0, va="center")
    ax.set(xlabel="the answer", ylabel="the truth")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def reliability(ax: Any, answers: pd.DataFrame, evaluation: Evaluation | None) -> None:
    """Draw the share right by confidence, on the test photos and, once labels are known, in the stream."""
    ax.set_title("Is it right as often as it is sure?")
    known = answers[answers["truth"].notna()]
    bins, lowest = evaluation["calibration"]["bins"] if evaluation else [], 0.5
    if not bins and len(known) < MIN_COUNT:
        nothing(ax, "no evaluation, and too few labels")
        return
    ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfectly honest")
    if bins:
        place, right, counts = (np.array([entry[key] for entry in bins]) for key in ("confidence", "accuracy", "count"))
        lowest = min(lowest, place.min() - 0.02)
        ax.plot(place, right, color=ACCEPTED, linewidth=1.5)
        ax.scatter(
            place,
            right,
            s=18 + 400 * counts / counts.sum(),
            color=ACCEPTED,
            alpha=0.8,
            label=f"{counts.sum():.0f} test photos",
        )
    if len(known) >= MIN_COUNT:
        right_of = known.assign(right=known["label"] == known["truth"])
        interval = np.minimum((known["confidence"] * 10).astype(int), 9)
        rows = right_of.groupby(interval).agg(
            place=("confidence", "mean"), right=("right", "mean"), count=("right", "size")
        )
        place, right, counts = (rows[name].to_numpy() for name in ("place", "right", "count"))
        lowest = min(lowest, place.min() - 0.02)
        ax.scatter(
            place, right, s=18 + 400 * counts / counts.sum(), facecolor="none", edgecolor=INK, linewidth=1.4,
            label=f"{len(known)} photos of the stream",
        )  # fmt: skip
    ax.set(xlabel="confidence of the answer", ylabel="share of answers that are right")
    ax.set(xlim=(lowest, 1.02), ylim=(min(lowest, 0.3), 1.06))
    ax.legend(loc="lower right", fontsize=9, markerscale=0.6, borderpad=0)


def nothing(ax: Any, words: str) -> None:
    """Write into the axes why there is nothing to draw."""
    ax.text(0.5, 0.5, words, ha="center", va="center", color=GREY, transform=ax.transAxes)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_facecolor(PALE)
