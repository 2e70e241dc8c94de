"""Looks at what the endpoint was asked and answered: confidence against threshold, drift, mistakes once labels arrive.

    python3 processing/monitor.py --captures DIR [--labels DIR] [--evaluation DIR] --output DIR

Reads data captures (`*.jsonl` in SageMaker's format, one request a line), labels (`{"inferenceId": .., "label": ..}` a
line) and the evaluation of the version in service. Writes monitoring.json, stream.png and report.png. Lines that cannot
be read are counted and reported. Nothing captured: one sentence in --message and on stderr, exit status 1.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.lines import Line2D
from PIL import Image, ImageOps

MAX_LINE_BYTES = 32 << 20  # a 6 MB photo as base64, with room for a list of them
MAX_PIXELS = 50_000_000
SHOWN = 500  # points of the stream
PHOTOS, MISTAKES, COLUMNS = 60, 12, 12
WIDTH, LEFT, ROW_HEIGHT, STREAM_HEIGHT = 16.0, 0.8, 1.6, 3.4  # inches
MAX_PICTURE_BYTES = 4 << 20
PSI_NOTABLE, PSI_LARGE = 0.1, 0.25  # the usual reading of the population stability index
MIN_FOR_DRIFT = 30

ACCEPTED, REFUSED, WRONG, INK, GREY, PALE = "#2a7f9e", "#e09f3e", "#d1495b", "#3d405b", "#737f94", "#eef1f4"
TEXT = {REFUSED: "#a86a12"}  # amber is too pale for small letters
DRAWN = "drawn samples"


class MonitorError(Exception):
    """There is nothing to report on; the message is one sentence."""


@dataclass(frozen=True)
class Answer:
    """One photo's answer, as captured. `place` is where its line stands: (file, byte offset, number in the request)."""

    identity: str
    event: str
    time: str
    label: str
    confidence: float
    threshold: float
    data_label: str
    place: tuple[Path, int, int]
    truth: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the photo was routed; the others went to a person."""
        return self.confidence >= self.threshold

    @property
    def wrong(self) -> bool:
        """Whether the answer is known to be a mistake, accepted or not."""
        return self.truth is not None and self.truth != self.label


# --- reading -----------------------------------------------------------------------------------------------------


def _lines(folder: Path) -> Iterator[tuple[Path, int, bytes]]:
    """(file, offset, line) of all JSON lines below a folder, in order of path."""
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.jsonl"))
    for path in files:
        with path.open("rb") as file:
            offset = 0
            while line := file.readline(MAX_LINE_BYTES):
                if line.strip():
                    yield path, offset, line
                offset += len(line)


def _payload(part: Any) -> bytes:
    """The body of a captured request or answer."""
    if part["encoding"] == "BASE64":
        return base64.b64decode(part["data"], validate=True)
    text = part["data"]
    return (text if isinstance(text, str) else json.dumps(text)).encode()


def _predictions(part: Any, fallback: float | None) -> list[tuple[str, float, float, str]]:
    """(label, confidence, threshold, data label) of each photo in a captured answer; ValueError when it is not one."""
    body = _payload(part)
    if "csv" in str(part.get("observedContentType", "")):
        if fallback is None:
            raise ValueError("a CSV answer carries no threshold")
        rows = [line.split(",") for line in body.decode().splitlines() if line.strip()]
        found = [(row[0], float(row[1]), fallback, "") for row in rows]
    else:
        answer = json.loads(body)
        threshold = float(answer.get("threshold", fallback))
        data_label = str((answer.get("model") or {}).get("data_label", ""))
        found = [(str(one["label"]), float(one["confidence"]), threshold, data_label) for one in answer["predictions"]]
    if not found or not all(0 <= confidence <= 1 for _, confidence, _, _ in found):
        raise ValueError("no confidence between 0 and 1")
    return found


def read_captures(folder: Path, since: str = "", fallback: float | None = None) -> tuple[list[Answer], int]:
    """All answers captured after `since` (ISO time), oldest first, and how many lines were not to be read.

    `fallback` is the threshold of answers that carry none. A line that comes twice counts once.
    """
    answers: dict[tuple[str, int], Answer] = {}
    unread = 0
    for path, offset, line in _lines(folder):
        try:
            capture = json.loads(line)
            about = capture["eventMetadata"]
            predictions = _predictions(capture["captureData"]["endpointOutput"], fallback)
            event, time = str(about["eventId"]), str(about["inferenceTime"])
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, binascii.Error, RecursionError):
            unread += 1
            continue
        if time < since:
            continue
        identity = str(about.get("inferenceId") or event)
        for number, (label, confidence, threshold, data_label) in enumerate(predictions):
            place = (path, offset, number)
            answers[event, number] = Answer(identity, event, time, label, confidence, threshold, data_label, place)
    return sorted(answers.values(), key=lambda answer: answer.time), unread


def read_labels(folder: Path | None) -> tuple[dict[str, str], int]:
    """Truth by inference id (or event id), and how many lines were not to be read; the last of several counts."""
    labels: dict[str, str] = {}
    unread = 0
    for _, _, line in _lines(folder) if folder and folder.exists() else ():
        try:
            entry = json.loads(line)
            labels[str(entry.get("inferenceId") or entry["eventId"])] = str(entry["label"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            unread += 1
    return labels, unread


def with_labels(answers: Sequence[Answer], labels: Mapping[str, str]) -> list[Answer]:
    """The answers with what the photos really show, where that is known: by inference id, else by event id."""
    return [replace(answer, truth=labels.get(answer.identity, labels.get(answer.event))) for answer in answers]


def read_json(folder: Path | None, name: str) -> Any:
    """A JSON file of the evaluation; None when it is missing or spoiled."""
    try:
        return json.loads((folder / name).read_text()) if folder else None
    except (OSError, ValueError):
        return None


def read_photo(place: tuple[Path, int, int]) -> Image.Image | None:
    """The photo of a captured request, upright and small; None when it was not captured or cannot be shown."""
    path, offset, number = place
    try:
        with path.open("rb") as file:
            file.seek(offset)
            part = json.loads(file.readline(MAX_LINE_BYTES))["captureData"]["endpointInput"]
        body = _payload(part)
        if "json" in part["observedContentType"]:
            body = base64.b64decode(json.loads(body)["instances"][number]["image"])
        with Image.open(io.BytesIO(body), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.draft("RGB", (256, 256))
            photo = ImageOps.exif_transpose(image).convert("RGB")
    except Exception:  # whatever people send: the answer still counts, the grid says that there is no photo
        return None
    photo.thumbnail((128, 128))
    return photo


# --- figures -----------------------------------------------------------------------------------------------------


def stability(expected: npt.ArrayLike, observed: npt.ArrayLike) -> float:
    """Population stability index of two histograms over the same bins; an empty bin counts as half a photo."""
    before, now = (np.maximum(np.asarray(counts, float), 0.5) for counts in (expected, observed))
    before, now = before / before.sum(), now / now.sum()
    return float(((now - before) * np.log(now / before)).sum())


def drift(answers: Sequence[Answer], evaluation: Mapping[str, Any] | None) -> dict[str, Any]:
    """How the confidence of the stream differs from that on the test photos.

    `psi` over the evaluation's confidence bins, and, when it lists single confidences, the two-sample
    Kolmogorov-Smirnov test. `verdict` puts it in words.
    """
    bins = ((evaluation or {}).get("calibration") or {}).get("bins") or []
    if not bins:
        return {"verdict": "not known: no evaluation to compare with"}
    if len(answers) < MIN_FOR_DRIFT:
        return {"verdict": f"not known: {len(answers)} answers are fewer than {MIN_FOR_DRIFT}"}
    confidence = np.array([answer.confidence for answer in answers])
    expected = np.zeros(10)
    for entry in bins:
        expected[min(int(entry["confidence"] * 10), 9)] += entry["count"]
    observed = np.histogram(confidence, bins=np.linspace(0, 1, 11))[0]
    used = (expected > 0) | (observed > 0)
    psi = stability(expected[used], observed[used])
    found: dict[str, Any] = {"psi": round(psi, 4), "reference_count": int(expected.sum())}
    if reference := (evaluation or {}).get("confidences"):
        from scipy.stats import ks_2samp  # takes half a second to import

        test = ks_2samp(np.asarray(reference, float), confidence)
        found |= {"ks_statistic": round(float(test.statistic), 4), "ks_p_value": round(float(test.pvalue), 6)}
    size = "none" if psi < PSI_NOTABLE else "some" if psi < PSI_LARGE else "large"
    found["verdict"] = f"{size} (population stability index {psi:.2f} against {int(expected.sum())} test photos)"
    return found


def figures(answers: Sequence[Answer], unread: int, evaluation: Mapping[str, Any] | None) -> dict[str, Any]:
    """What monitoring.json says. Shares are of all answers; accuracies of those whose label is known."""
    above = sum(answer.accepted for answer in answers)
    known = [answer for answer in answers if answer.truth is not None]
    taken = [answer for answer in known if answer.accepted]
    labels = Counter(answer.data_label for answer in answers if answer.data_label)
    return {
        "data_label": labels.most_common(1)[0][0] if labels else None,
        "count": len(answers),
        "unreadable_lines": unread,
        "first": answers[0].time,
        "last": answers[-1].time,
        "threshold": answers[-1].threshold,
        "share_above": above / len(answers),
        "share_below": 1 - above / len(answers),
        "mean_confidence": float(np.mean([answer.confidence for answer in answers])),
        "answers": dict(sorted(Counter(answer.label for answer in answers).items())),
        "labelled": len(known),
        "accuracy": _share(sum(not answer.wrong for answer in known), len(known)),
        "accepted_precision": _share(sum(not answer.wrong for answer in taken), len(taken)),
        "mistakes": sum(answer.wrong for answer in known),
        "accepted_mistakes": sum(answer.wrong for answer in taken),
        "drift": drift(answers, evaluation),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


# --- pictures ----------------------------------------------------------------------------------------------------

STYLE = {
    "axes.spines.top": False, "axes.spines.right": False, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.titlesize": 12, "font.size": 10, "text.color": INK, "axes.titlecolor": INK, "axes.labelcolor": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": GREY, "legend.frameon": False,
}  # fmt: skip


def _percent(value: float) -> str:
    return f"{100 * value:.1f}".removesuffix(".0") + " %"


def _stream(ax: Any, side: Any, answers: Sequence[Answer]) -> None:
    """Confidence in order against the threshold of the time, and beside it how many there are of each."""
    order = np.arange(1, len(answers) + 1)
    confidence = np.array([answer.confidence for answer in answers])
    accepted = np.array([answer.accepted for answer in answers])
    wrong = np.array([answer.wrong for answer in answers])
    floor = min(0.5, float(confidence.min()) - 0.02)
    edges = np.append(order - 0.5, len(order) + 0.5)
    line = np.array([answer.threshold for answer in answers])
    ax.fill_between(edges, np.append(line, line[-1]), floor, step="post", color=REFUSED, alpha=0.10, linewidth=0)
    ax.stairs(line, edges, baseline=None, color=INK, linestyle="--", linewidth=1.3)
    size = 42 if len(order) <= 150 else 16
    ax.scatter(order[accepted], confidence[accepted], s=size, color=ACCEPTED, alpha=0.85, linewidth=0)
    ax.scatter(order[~accepted], confidence[~accepted], s=size, color=REFUSED, marker="D", linewidth=0)
    ax.scatter(order[wrong], confidence[wrong], s=size * 3.2, facecolor="none", edgecolor=WRONG, linewidth=1.6)
    share = accepted.mean()
    ax.set_title(
        f"How sure was the model of each photo?  {_percent(share)} at or above the threshold, "
        f"{_percent(1 - share)} below", pad=30,
    )  # fmt: skip
    handles = [
        Line2D([], [], color=ACCEPTED, marker="o", linestyle="", label=f"accepted, and routed: {accepted.sum()}"),
        Line2D(
            [], [], color=REFUSED, marker="D", linestyle="", label=f"refused, for a person to see: {(~accepted).sum()}"
        ),
        Line2D([], [], color=INK, linestyle="--", label=f"threshold{_thresholds(answers)}"),
    ]
    if any(answer.truth is not None for answer in answers):
        ring = Line2D([], [], color=WRONG, marker="o", markerfacecolor="none", markersize=9, linestyle="")
        ring.set_label(f"a wrong answer: {wrong.sum()}")
        handles.append(ring)
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(-0.008, 1.0), ncols=4, borderpad=0, handletextpad=0.4)
    ax.set(xlabel="photos in the order they came", ylabel="confidence of the answer", ylim=(floor, 1.015))
    ax.set_xlim(0.5, len(order) + 0.5)
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    bins = np.linspace(floor, 1, 26)
    side.hist(
        [confidence[accepted], confidence[~accepted]], bins=bins, stacked=True, orientation="horizontal",
        color=[ACCEPTED, REFUSED],
    )  # fmt: skip
    side.axhline(line[-1], color=INK, linestyle="--", linewidth=1.3)
    side.set(xlabel="photos", ylim=(floor, 1.015))
    side.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    side.tick_params(labelleft=False)


def _thresholds(answers: Sequence[Answer]) -> str:
    seen = list(dict.fromkeys(answer.threshold for answer in answers))
    if len(seen) == 1:
        return f" {seen[0]:.3f}"
    return f" {seen[0]:.3f}, now {seen[-1]:.3f}"


def _headline(fig: Any, found: Mapping[str, Any], evaluation: Mapping[str, Any] | None, title: str) -> float:
    """Title, facts, and the plain word about drawn samples; returns where they end, in inches below the upper edge."""
    width, height = fig.get_size_inches()

    def write(inches: float, words: str, **style: Any) -> None:
        fig.text(LEFT / width, 1 - inches / height, words, **style)

    last = found["last"] if found["last"][:10] != found["first"][:10] else found["last"][10:]
    facts = [
        f"{found['count']:,} photo" + "s" * (found["count"] > 1),
        f"{found['first']} to {last}".replace("T", " ").replace("Z", "") + " UTC",
    ]
    if found["labelled"]:
        facts.append(f"{_percent(found['accuracy'])} right of the {found['labelled']} whose label is known")
    if found["accepted_precision"] is not None:
        facts.append(f"{_percent(found['accepted_precision'])} right of those accepted")
    if evaluation and "gate" in evaluation:
        facts.append(f"test accuracy {_percent(evaluation['gate']['accuracy'])}")
    write(0.55, title, fontsize=19, fontweight="bold")
    write(0.92, "   ·   ".join(" ".join(fact.split()) for fact in facts), fontsize=11)
    write(1.2, f"Drift since the evaluation: {found['drift']['verdict']}", fontsize=11, color=GREY)
    if found["data_label"] != DRAWN:
        return 1.25
    words = "DRAWN SAMPLES: pictures made by a program. No figure here says anything about photographs."
    box = {"facecolor": WRONG, "edgecolor": "none", "boxstyle": "square,pad=0.35"}
    write(1.62, words, fontsize=12, fontweight="bold", color="white", bbox=box)
    return 1.72


def _learning(upper: Any, lower: Any, history: Any) -> None:
    """Accuracy on held-out photos of each fold and their mean; training loss of each network."""
    phases: dict[str, list[tuple[int, Any, Any]]] = {}
    for entry in history or []:
        epoch = int(str(entry["epoch"]).split("/")[0])
        phases.setdefault(str(entry["phase"]), []).append(
            (epoch, entry.get("validation_accuracy"), entry.get("train_loss"))
        )
    upper.set_title("How it learned: training, epoch by epoch")
    if not phases:
        _nothing(upper, "no training history")
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


def _confusion(ax: Any, evaluation: Mapping[str, Any] | None) -> None:
    matrix = ((evaluation or {}).get("multiclass_classification_metrics") or {}).get("confusion_matrix")
    ax.set_title("Test photos: what they show, what it said")
    if not matrix:
        _nothing(ax, "no evaluation of this version")
        return
    names = list(matrix)
    counts = np.array([[float(matrix[true].get(said, 0)) for said in names] for true in names])
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(rates, cmap=mpl.colors.LinearSegmentedColormap.from_list("", ["white", ACCEPTED]), vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        ink = "white" if rates[row, column] > 0.55 else INK
        ax.text(
            column, row, f"{counts[row, column]:.0f}", ha="center", va="center", color=ink, fontsize=15 - len(names)
        )
    shown = [name.replace("_", " ") for name in names]
    ax.set_xticks(range(len(names)), shown, rotation=0 if len(names) < 4 else 30)
    ax.set_yticks(range(len(names)), shown, rotation=90 if len(names) < 4 else 0, va="center")
    ax.set(xlabel="the answer", ylabel="the truth")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _reliability(ax: Any, answers: Sequence[Answer], evaluation: Mapping[str, Any] | None) -> None:
    """Share right by confidence, on the test photos and, once labels are known, in the stream."""
    calibration = (evaluation or {}).get("calibration") or {}
    ax.set_title("Is it right as often as it is sure?")
    known = [answer for answer in answers if answer.truth is not None]
    bins, lowest = calibration.get("bins"), 0.5
    if not bins and len(known) < MIN_FOR_DRIFT:
        _nothing(ax, "no evaluation, and too few labels")
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
    if len(known) >= MIN_FOR_DRIFT:
        confidence = np.array([answer.confidence for answer in known])
        truth = np.array([not answer.wrong for answer in known], float)
        bin_of = np.minimum((confidence * 10).astype(int), 9)
        rows = [
            (confidence[bin_of == b].mean(), truth[bin_of == b].mean(), (bin_of == b).sum()) for b in np.unique(bin_of)
        ]
        place, right, counts = np.array(rows).T
        lowest = min(lowest, place.min() - 0.02)
        ax.scatter(
            place, right, s=18 + 400 * counts / counts.sum(), facecolor="none", edgecolor=INK, linewidth=1.4,
            label=f"{len(known)} photos of the stream",
        )  # fmt: skip
    ax.set(xlabel="confidence of the answer", ylabel="share of answers that are right")
    ax.set(xlim=(lowest, 1.02), ylim=(min(lowest, 0.3), 1.06))
    ax.legend(loc="lower right", fontsize=9, markerscale=0.6, borderpad=0)


def _nothing(ax: Any, words: str) -> None:
    ax.text(0.5, 0.5, words, ha="center", va="center", color=GREY, transform=ax.transAxes)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_facecolor(PALE)


def _thumbnail(fig: Any, box: tuple[float, float, float, float], answer: Answer) -> None:
    """One photo in a frame of its outcome's colour, its answer above, and the truth below a wrong one."""
    ax = fig.add_axes(box)
    photo = read_photo(answer.place)
    colour = REFUSED if not answer.accepted else WRONG if answer.wrong else ACCEPTED
    if photo is None:
        _nothing(ax, "no photo\ncaptured")
    else:
        side = max(photo.size)
        square = Image.new("RGB", (side, side), PALE)
        square.paste(photo, ((side - photo.width) // 2, (side - photo.height) // 2))
        ax.imshow(square, interpolation="nearest" if side <= 64 else "antialiased")
        ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color=colour, linewidth=2.2)
    mark = "?" if not answer.accepted else "✗" if answer.wrong else "✓"
    words = f"{mark} {_short(answer.label)} {answer.confidence:.2f}"
    ax.set_title(words, fontsize=8, fontweight="normal", color=TEXT.get(colour, colour), pad=3, loc="center")
    if answer.wrong:
        ax.set_xlabel(f"is {_short(str(answer.truth))}", fontsize=8, color=WRONG, labelpad=2)


def _short(name: str) -> str:
    return name if len(name) < 13 else name[:11] + "…"


def _grid(fig: Any, top: float, answers: Sequence[Answer], title: str, note: str) -> None:
    """Rows of thumbnails below `top` (inches from the upper edge)."""
    width, height = fig.get_size_inches()
    fig.text(LEFT / width, 1 - top / height, title, fontsize=12, fontweight="bold", va="top")
    fig.text(LEFT / width, 1 - (top + 0.26) / height, note, fontsize=10, color=GREY, va="top")
    cell = (0.97 * width - LEFT + 0.1) / COLUMNS
    for number, answer in enumerate(answers):
        row, column = divmod(number, COLUMNS)
        left, lower = LEFT + column * cell, top + 0.7 + row * ROW_HEIGHT + (cell - 0.2)
        _thumbnail(fig, (left / width, 1 - lower / height, (cell - 0.2) / width, (cell - 0.2) / height), answer)


def draw_stream(
    path: Path, answers: Sequence[Answer], found: Mapping[str, Any], evaluation: Mapping[str, Any] | None
) -> None:
    """stream.png: the recent stream of confidence against the threshold, and its distribution."""
    with mpl.rc_context(STYLE):
        fig = plt.figure(figsize=(WIDTH, 6.6 if found["data_label"] == DRAWN else 6.1))
        top = _headline(fig, found, evaluation, "What the endpoint answered")
        _stream(*_stream_axes(fig, top + 0.9), answers[-SHOWN:])
        _save(fig, path)


def _axes(fig: Any, left: float, wide: float, top: float, tall: float) -> Any:
    """Axes at shares of the width and inches from the upper edge."""
    height = fig.get_size_inches()[1]
    return fig.add_axes((left, 1 - (top + tall) / height, wide, tall / height))


def _stream_axes(fig: Any, top: float) -> tuple[Any, Any]:
    return _axes(fig, 0.05, 0.76, top, STREAM_HEIGHT), _axes(fig, 0.83, 0.14, top, STREAM_HEIGHT)


def draw_report(
    path: Path, answers: Sequence[Answer], found: Mapping[str, Any], evaluation: Mapping[str, Any] | None, history: Any
) -> None:
    """report.png: stream, learning curves, confusion, reliability, the photos just classified, the worst mistakes."""
    recent = answers[-PHOTOS:]
    wrong = sorted((answer for answer in recent if answer.wrong), key=lambda answer: -answer.confidence)[:MISTAKES]
    stream_top = 2.6 if found["data_label"] == DRAWN else 2.1
    model_top = stream_top + STREAM_HEIGHT + 1.15
    photos_top = model_top + 4.4
    mistakes_top = photos_top + 0.7 + -(-len(recent) // COLUMNS) * ROW_HEIGHT + 0.15
    height = mistakes_top + (0.7 + ROW_HEIGHT + 0.15 if wrong else 0.8)
    with mpl.rc_context(STYLE):
        fig = plt.figure(figsize=(WIDTH, height))
        _headline(fig, found, evaluation, "Loading Bay: the photos just classified, and the model that did it")
        _stream(*_stream_axes(fig, stream_top), answers[-SHOWN:])
        upper, lower = _axes(fig, 0.05, 0.27, model_top, 1.9), _axes(fig, 0.05, 0.27, model_top + 2.1, 1.4)
        _learning(upper, lower, history)
        _confusion(_axes(fig, 0.40, 0.22, model_top, 3.5), evaluation)
        _reliability(_axes(fig, 0.71, 0.26, model_top, 3.5), answers, evaluation)
        which = f"latest {len(recent)} of {len(answers):,} photos" if len(recent) < len(answers) else "photos"
        title = f"The {which} just classified, each with its answer and confidence"
        legend = "✓ accepted, and routed     ? refused, for a person to see     ✗ routed by mistake"
        if any(answer.wrong for answer in recent):
            legend += "     in red below: what it really shows"
        _grid(fig, photos_top, recent, title, legend)
        known = sum(answer.truth is not None for answer in recent)
        routed = sum(answer.accepted for answer in wrong)
        if wrong:
            note = f"{routed} of these {len(wrong)} reached the threshold and were routed; the others went to a person"
        elif known:
            note = f"none: all {known} answers whose label is known are right"
        else:
            note = "not known: no labels have arrived"
        _grid(fig, mistakes_top, wrong, "The most confident mistakes among them", note)
        _save(fig, path)


def _save(fig: Any, path: Path) -> None:
    """Writes the picture; a large one again, coarser."""
    for dpi in (110, 70, 45):
        fig.savefig(path, dpi=dpi, metadata={"Software": None})
        if path.stat().st_size <= MAX_PICTURE_BYTES:
            break
    plt.close(fig)


# --- the command -------------------------------------------------------------------------------------------------


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Every path is an argument; the defaults are SageMaker's."""
    processing = Path("/opt/ml/processing")
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--captures", type=Path, default=processing / "captures", help="a folder of *.jsonl")
    parser.add_argument("--labels", type=Path, help="a folder of *.jsonl; may be missing")
    parser.add_argument("--evaluation", type=Path, help="holds evaluation.json and history.json; may be missing")
    parser.add_argument("--output", type=Path, default=processing / "monitoring")
    parser.add_argument("--hours", type=float, help="look back this far from now; all that is there by default")
    message = os.environ.get("PROCESSING_MESSAGE", "/opt/ml/output/message")
    parser.add_argument("--message", type=Path, default=message, help="where a failure's sentence goes")
    return parser.parse_args(arguments)


def monitor(options: argparse.Namespace) -> dict[str, Any]:
    """Reads, writes the three files, and returns the figures. Raises MonitorError when nothing was captured."""
    evaluation = read_json(options.evaluation, "evaluation.json")
    evaluation = evaluation if isinstance(evaluation, dict) else None
    try:
        fallback = float((evaluation or {})["metadata"]["threshold"])
    except (KeyError, TypeError, ValueError):
        fallback = None
    since = datetime.now(UTC) - timedelta(hours=options.hours) if options.hours else None
    answers, unread = read_captures(options.captures, since.strftime("%Y-%m-%dT%H:%M:%SZ") if since else "", fallback)
    if not answers:
        span = f"in the last {options.hours:g} hours" if options.hours else f"in {options.captures}"
        rest = f"; {unread} lines could not be read" if unread else ""
        raise MonitorError(
            f"No answers were captured {span}{rest}: classify a photo, and wait until its capture is written."
        )
    labels, unread_labels = read_labels(options.labels)
    answers = with_labels(answers, labels)
    found = figures(answers, unread, evaluation) | {"unreadable_labels": unread_labels}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "monitoring.json").write_text(json.dumps(found, indent=2, allow_nan=False) + "\n")
    draw_stream(options.output / "stream.png", answers, found, evaluation)
    draw_report(
        options.output / "report.png", answers, found, evaluation, read_json(options.evaluation, "history.json")
    )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 with the reason in --message and on stderr."""
    options = parse_arguments(arguments)
    try:
        found = monitor(options)
    except (MonitorError, OSError) as error:
        reason = str(error) if isinstance(error, MonitorError) else f"Reading or writing failed: {error}."
        print(reason, file=sys.stderr)
        try:
            options.message.parent.mkdir(parents=True, exist_ok=True)
            options.message.write_text(reason[:1000] + "\n")
        except OSError:
            pass  # the sentence is on stderr; a full disk must not hide it
        return 1
    above, below = _percent(found["share_above"]), _percent(found["share_below"])
    print(f"{found['count']} answers: {above} at or above the threshold {found['threshold']:.4f}, {below} below")
    print(f"{found['unreadable_lines']} lines could not be read; drift: {found['drift']['verdict']}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
