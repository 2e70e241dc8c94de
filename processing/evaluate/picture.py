"""Draws evaluation.png: one picture that says how good a model is, from evaluation.json and the answers behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from processing.captions import caption
from processing.datasets import Photos
from processing.evaluate.answers import Answers, Bools, Floats
from processing.evaluate.artifact import About, Artifact
from processing.evaluate.report import Ints
from processing.evaluation import Calibration, Evaluation
from processing.photos import opened

RIGHT, WRONG, LINE, GREY = "#2a7f9e", "#d1495b", "#3d405b", "#8d99ae"
STYLE = {
    "axes.spines.top": False, "axes.spines.right": False, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.titlesize": 11, "axes.titlecolor": LINE, "font.size": 9.5, "text.color": LINE,
}  # fmt: skip


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _confusion(ax: Any, labels: Ints, predicted: Ints, classes: list[str]) -> None:
    """Draw how many photos of each class got which answer."""
    ConfusionMatrixDisplay.from_predictions(
        labels, predicted, labels=range(len(classes)), display_labels=classes, cmap="Blues", colorbar=False, ax=ax
    )
    ax.set(title="What was answered", xlabel="answer", ylabel="truth")
    ax.tick_params(axis="x", labelrotation=15 if len(classes) > 2 else 0)
    ax.tick_params(axis="y", labelrotation=90 if len(classes) < 4 else 0)


def _confidence(ax: Any, confidence: Floats, right: Bools, thresholds: Mapping[str, float], floor: float) -> None:
    """Draw a histogram of the confidence of right and wrong answers, with the thresholds; `floor` is its left edge."""
    bins = np.linspace(floor, 1, 21)
    ax.hist(
        [confidence[right], confidence[~right]], bins=bins, stacked=True, color=[RIGHT, WRONG], label=["right", "wrong"]
    )
    for number, (name, threshold) in enumerate(_different(thresholds).items()):
        ax.axvline(threshold, color=LINE, linestyle=("--", ":")[number % 2], label=f"threshold {threshold:.3f} {name}")
    ax.set(title="Confidence of the answers", xlabel="confidence", ylabel="test photos", xlim=(floor, 1))
    ax.legend(loc="upper left", frameon=False)


def _different(thresholds: Mapping[str, float]) -> dict[str, float]:
    """The thresholds by class, or where they are all the same, the one without a name."""
    values = set(thresholds.values())
    return {"": values.pop()} if len(values) == 1 else dict(thresholds)


def _costs(ax: Any, found: Mapping[str, Any], floor: float) -> None:
    """Draw the cost of a thousand photos against the threshold, a line for each group of answers with its own."""
    colours = (RIGHT, LINE, GREY, WRONG)
    most, rival = 0.0, found["champion"]
    for number, curve in enumerate(found["curves"]):
        colour, name = colours[number % len(colours)], "" if curve["answers"] == "all" else f", {curve['answers']}"
        x, y = np.array(curve["points"]["threshold"]), np.array(curve["points"]["cost"])
        ax.plot(x, y, color=colour, drawstyle="steps-pre", label=f"cost{name}")
        low, high = curve["interval"] or (0, 0)
        if high > low:
            ax.axvspan(low, high, color=colour, alpha=0.12, label=f"95 % interval of the fitted threshold{name}")
        ax.scatter([curve["threshold"]], [curve["cost"]], color=colour, s=60, zorder=3,
                   label=f"this version{name}: {curve['threshold']:.3f}, {curve['cost']:,.0f}")  # fmt: skip
        best = curve["best"]
        ax.scatter([best["threshold"]], [best["cost"]], facecolors="none", edgecolors=WRONG, s=110, zorder=4,
                   label=f"cheapest on these photos{name}: {best['threshold']:.3f}, {best['cost']:,.0f}")  # fmt: skip
        # What accepts nearly everything may cost so much that nothing else would be seen.
        most = max(most, 3 * curve["cost"], 1.6 * float(y[-1]), 3 * best["cost"])
    for name, threshold in _different(rival["thresholds"]).items() if rival else ():
        ax.axvline(threshold, color=WRONG, linestyle=":", label=f"approved today: {threshold:.3f} {name}".rstrip())
    ax.set(title="What a thousand photos cost", xlabel="confidence threshold (above 1: a person looks at every photo)",
           ylabel="cost of 1,000 test photos", xlim=(floor, 1.03), ylim=(0, most or 1))  # fmt: skip
    ax.legend(loc="upper center", framealpha=0.9, edgecolor="none", fontsize=8.5)


def _cost_words(ax: Any, found: Mapping[str, Any]) -> None:
    """Write what mistakes cost, and what a thousand photos cost with each rule."""
    prices = _different(found["wrong_bay"])
    rival = found["champion"]
    lines = [
        ("a wrong bay costs", "   ".join(f"{name} {price:g}".strip() for name, price in prices.items())),
        ("a person's look costs", f"{found['review']:g}"),
        ("units", "any one: only the ratio decides"),
        ("1,000 photos with this version", f"{found['of_a_thousand']:,.0f}"),
        ("with the version approved today", f"{rival['of_a_thousand']:,.0f}" if rival else "none is approved"),
        ("cheapest on these photos", f"{sum(curve['best']['cost'] for curve in found['curves']):,.0f}"),
        ("a person looks at every photo", f"{1000 * found['review']:,.0f}"),
    ]
    if found["assumed"]:
        lines.append(("no costs were given", "these are assumed; the threshold is for the precision"))
    _table(ax, "Costs", lines)


def _table(ax: Any, title: str, lines: Sequence[tuple[str, str]]) -> None:
    """Write names and values, one below the other, without axes."""
    ax.axis("off")
    ax.set_title(title, loc="left")
    for row, (name, value) in enumerate(lines):
        ax.text(0, 0.93 - 0.125 * row, name, color=GREY, fontsize=9, transform=ax.transAxes, va="top")
        ax.text(0, 0.875 - 0.125 * row, value, color=LINE, fontsize=10.5, transform=ax.transAxes, va="top")


def _reliability(ax: Any, calibration: Calibration, floor: float) -> None:
    """Draw accuracy over mean confidence in bins, with the number of photos of each, the ECE and the Brier score."""
    bins = calibration["bins"]
    ax.plot([floor, 1], [floor, 1], color=GREY, linestyle=":", label="perfect")
    ax.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], color=RIGHT)
    sizes = [20 + 6 * b["count"] for b in bins]
    ax.scatter([b["confidence"] for b in bins], [b["accuracy"] for b in bins], s=sizes, color=RIGHT, alpha=0.7)
    for b in bins:
        ax.annotate(
            f"{b['count']}", (b["confidence"], b["accuracy"]), textcoords="offset points", xytext=(6, -12), fontsize=8
        )
    ax.set(
        title="Is the confidence honest?",
        xlabel="mean confidence (beside: photos)",
        ylabel="share right",
        ylim=(-0.03, 1.05),
    )
    ax.legend(
        loc="lower right", frameon=False, title=f"ECE {calibration['ece']:.3f}   Brier {calibration['brier']:.3f}"
    )


def _risk(ax: Any, report: Evaluation, target: float) -> None:
    """Draw the share of right answers against the share of photos answered, with the target and the threshold."""
    curve, gate = report["risk_coverage"], report["gate"]
    precision = 1 - np.array(curve["risk"])
    ax.plot(curve["coverage"], precision, color=RIGHT)
    ax.axhline(target, color=GREY, linestyle=":", label=f"target precision {target:g}")
    if gate["coverage"] > 0:
        point = f"threshold: {_share(gate['coverage'])} accepted,\n{_share(gate['accepted_precision'])} of them right"
        ax.scatter([gate["coverage"]], [gate["accepted_precision"]], color=WRONG, zorder=3, label=point)
    ax.set(title="Fewer answers, better answers", xlabel="share of photos answered", ylabel="share of answers right")
    ax.set_ylim(min(0.85, float(precision.min()) - 0.02), 1.005)
    ax.legend(loc="lower left", frameon=False, title=f"AURC {curve['aurc']:.4f}")


def _learning(ax: Any, history: list[dict[str, Any]]) -> None:
    """Draw training loss and held-out accuracy over the epochs, a line for each network of the training."""
    twin = ax.twinx()
    for phase in dict.fromkeys(entry["phase"] for entry in history):
        rows = [entry for entry in history if entry["phase"] == phase]
        epochs = [int(str(entry["epoch"]).split("/")[0]) for entry in rows]
        ax.plot(epochs, [entry["train_loss"] for entry in rows], color=GREY, linewidth=1)
        seen = [
            (epoch, e["validation_accuracy"])
            for epoch, e in zip(epochs, rows, strict=True)
            if e.get("validation_accuracy")
        ]
        if seen:
            twin.plot(*zip(*seen, strict=True), color=RIGHT, linewidth=1, marker=".", markersize=4)
    ax.set(title="Learning (one line a network)", xlabel="epoch")
    ax.set_ylabel("training loss", color=GREY)
    twin.set_ylabel("accuracy on held-out photos", color=RIGHT)


def _words(ax: Any, report: Evaluation, about: About) -> None:
    """Write the main metrics of the evaluation into the axes `ax` as text."""
    gate, quality, calibration = report["gate"], report["multiclass_classification_metrics"], report["calibration"]
    rival, fold = report["champion"], about["out_of_fold"]
    against = "no champion to compare with"
    if rival["present"] and rival.get("comparable"):
        verdict = "not worse" if rival["not_worse"] else "WORSE"
        against = f"champion {_share(rival['accuracy'])}: {verdict} (p {rival['p_worse']:.2f})"
    elif rival["present"]:
        against = "champion knows other classes: not compared"
    accuracy = quality["accuracy"]
    limits = "  ".join(f"{name} {one:.3f}".strip() for name, one in _different(report["thresholds"]).items())
    aim = "for the least cost" if about.get("costs") else f"for precision {about['target_precision']:g}"
    aim = "from recent labels" if about.get("new_threshold") else aim
    lines = [
        ("test accuracy", f"{_share(accuracy['value'])} ± {_share(accuracy['standard_deviation'])}"),
        ("out-of-fold accuracy", f"{_share(fold['accuracy'])} of {fold['count']} training photos"),
        ("precision, recall, F1", " ".join(f"{quality[name]['value']:.3f}" for name in ("precision", "recall", "f1"))),
        ("NLL, ECE, Brier", f"{calibration['nll']:.3f} {calibration['ece']:.3f} {calibration['brier']:.3f}"),
        ("threshold", f"{limits} {aim}"),
        ("accepted", f"{_share(gate['coverage'])}, of which right {_share(gate['accepted_precision'])}"),
        ("accepted of other things", f"{_share(gate['out_of_distribution_accepted'])} of {_others(report)}"),
        ("against the champion", against),
    ]
    if asked := report["second_opinion"]:
        lines.append(("a large network was asked about", f"{_share(asked['test'])} of the test photos"))
    _table(ax, "In figures", lines)


def _others(report: Evaluation) -> str:
    """Which photos of other things the figures under `gate` are about."""
    if seen := report["out_of_distribution"].get("photos"):
        return f"{seen['count']} photos of {len(seen['accepted_by_kind'])} other classes"
    return "drawn pictures: the data have no other classes"


def _refusal(ax: Any, report: Evaluation) -> None:
    """Share accepted of each other class, and of each kind of drawn picture; the most accepted of many."""
    found = report["out_of_distribution"]
    rows: list[tuple[str, float, str]] = []
    for name, colour in (("photos", WRONG), ("drawn", GREY)):
        kinds = found.get(name, {}).get("accepted_by_kind", {})
        worst = sorted(kinds.items(), key=lambda kind: -kind[1])[: 14 if name == "photos" else 7]
        rows += [(kind, share, colour) for kind, share in worst]
    places = np.arange(len(rows))[::-1]
    ax.barh(places, [share for _, share, _ in rows], color=[colour for *_, colour in rows], height=0.7)
    ax.set_yticks(places, [caption(kind, 18) for kind, *_ in rows], fontsize=8.5 if len(rows) < 15 else 7)
    ax.tick_params(axis="y", length=0)
    for place, (_, share, _) in zip(places, rows, strict=True):
        ax.text(share + 0.01, place, f"{100 * share:.0f} %", va="center", fontsize=8)
    ax.set(title="Accepted of other things", xlim=(0, 1), xlabel="share accepted (red photos, grey drawn)")
    measured = found.get("photos", found["drawn"])
    words = f"AUROC {measured['auroc']:.3f}\nFPR at 95 % TPR {measured['fpr_at_95_tpr']:.3f}\nby {found['score']}"
    ax.text(0.98, 0.03, words, transform=ax.transAxes, ha="right", va="bottom", color=GREY)


def _mistakes(fig: Any, place: Any, report: Evaluation, bodies: list[bytes]) -> None:
    """Draw up to twelve wrongly classified test photos with answer, confidence and label, the most confident first."""
    wrong = report["worst_mistakes"][:12]
    grid = place.subgridspec(2, 6, hspace=0.55, wspace=0.2)
    title = fig.add_subplot(place)
    title.axis("off")
    count = f"{len(wrong)} mistake{'s' * (len(wrong) != 1)}" if wrong else "No mistake"
    title.set_title(f"{count} on the test photos, the most confident first", loc="left", pad=24)
    for at, mistake in enumerate(wrong):
        ax = fig.add_subplot(grid[at // 6, at % 6])
        with opened(bodies[mistake["record"]]) as photo:
            ax.imshow(photo.convert("RGB"), interpolation="nearest")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_title(
            f"{mistake['answer']} {mistake['confidence']:.2f}", fontsize=8.5, fontweight="normal", color=WRONG, pad=3
        )
        ax.set_xlabel(f"is {mistake['label']}", fontsize=8.5, labelpad=2)


def draw(path: Path, report: Evaluation, answers: Answers, photos: Photos, model: Artifact) -> None:
    """Write the picture to `path`.

    Confusion, confidence, reliability, risk, learning curves, what is accepted of other things, costs against the
    threshold, the worst mistakes, and the figures in words. `answers` are the model's answers to the test photos.
    """
    about = model.about
    classes, labels = about["classes"], np.array(photos.labels, np.int64)
    predicted, confidence = answers.probabilities.argmax(axis=1), answers.confidence
    floor = 1 / len(classes)
    with mpl.rc_context(STYLE):
        priced = bool(report["costs"])
        fig = plt.figure(figsize=(14, 17.3 if priced else 13))
        rows = fig.add_gridspec(
            3 + priced, 3, hspace=0.42, wspace=0.36, left=0.06, right=0.93, top=0.925 if priced else 0.9, bottom=0.035
        )
        _confusion(fig.add_subplot(rows[0, 0]), labels, predicted, classes)
        _confidence(fig.add_subplot(rows[0, 1]), confidence, predicted == labels, report["thresholds"], floor)
        _reliability(fig.add_subplot(rows[0, 2]), report["calibration"], floor)
        _risk(fig.add_subplot(rows[1, 0]), report, float(about["target_precision"]))
        _refusal(fig.add_subplot(rows[1, 1]), report)
        _learning(fig.add_subplot(rows[1, 2]), model.history)
        if priced:
            _costs(fig.add_subplot(rows[2, :2]), report["costs"], floor)
            _cost_words(fig.add_subplot(rows[2, 2]), report["costs"])
        _mistakes(fig, rows[-1, :2], report, photos.bodies)
        _words(fig.add_subplot(rows[-1, 2]), report, about)
        label = about.get("data_label", "")
        source = {"drawn samples": "DRAWN SAMPLES, not real photos", "cifar-100": "CIFAR-100"}.get(label, label)
        title = f"{' or '.join(classes)}: {len(labels)} test photos, {source}"
        fig.suptitle(title, x=0.06, y=0.974 if priced else 0.965, ha="left", fontsize=17, weight="bold")
        named = f"seed {about.get('seed')}   data {_short(about, 'data_sha256')}   code {_short(about, 'code_sha256')}"
        fig.text(0.06, 0.953 if priced else 0.937, f"{named}   scored through the handler that serves", color=GREY)
        fig.savefig(path, dpi=100, metadata={"Software": None})
        plt.close(fig)


def _short(about: About, name: Literal["data_sha256", "code_sha256"]) -> str:
    return about.get(name, "unknown")[:12]
