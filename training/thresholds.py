"""What out-of-fold predictions decide: the temperature, the thresholds, and the figures of a version.

Also how the large network is asked beside the small one, and how both are combined.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import calibration
import costs
import decision
import fitting
import heads
import metrics
import numpy as np
import phases
import pretrained

# Share of the training photos that are taken for one of the classes, out of fold: of the photos as they are and of what
# heads.saved makes of them, together.
IN_DISTRIBUTION_KEPT = 0.93


@dataclass(frozen=True)
class OutOfFold:
    """(n, classes + 1) logits of networks that did not learn from the photo: as it is, and as heads.saved gives it."""

    logits: Any
    saved: Any

    @classmethod
    def gather(cls, plan: Sequence[fitting.Phase], outcomes: Sequence[phases.Outcome], classes: int) -> OutOfFold:
        """In the order of the photos, from what the phases of a plan hand back."""
        count = sum(len(phase.held_out) for phase in plan)
        found = cls(*(np.empty((count, classes + 1), np.float32) for _ in range(2)))
        for phase, outcome in zip(plan, outcomes, strict=True):
            found.logits[phase.held_out], found.saved[phase.held_out] = outcome.logits, outcome.saved
        return found


def with_examples(features: heads.Features, recipe: fitting.Recipe, leave_out: Collection[str]) -> heads.Features:
    """`features` with those that come with the weights to start from, unless the recipe does without; see heads.py."""
    return heads.with_examples(features, pretrained.examples(), leave_out) if recipe.pretrained else features


def consult(
    small: OutOfFold, labels: Any, features: heads.Features, plan: Sequence[fitting.Phase], flags: argparse.Namespace
) -> tuple[decision.SecondOpinion, heads.Head, OutOfFold, dict[str, float]]:
    """How the large network is asked, its head, the logits of both networks combined, and figures.

    `small` are the small network's logits; `plan` is phases.plan's. The figures are the share of the photos that the
    large network is asked about, and what the small network has by itself.
    """
    logits = small.logits
    temperature = calibration.fit_temperature(logits[:, :-1], labels)
    classes, folds = len(flags.classes), [(phase.rows, phase.held_out) for phase in plan[:-1]]
    outputs, views = heads.out_of_fold(features, labels, folds, classes)
    second = heads.weigh(logits, outputs, labels, temperature, flags.second_opinion_below)
    asked = second.asked(logits, temperature)
    alone = decision.softmax(logits[:, :-1], temperature)
    figures = {
        "asked": float(asked.mean()),
        "accuracy_alone": float((alone.argmax(axis=1) == labels).mean()),
        "nll_alone": metrics.nll(alone, labels),
    }
    head = heads.fit(features, labels, plan[-1].rows, classes)
    both = OutOfFold(second.apply(logits, outputs, temperature), second.apply(small.saved, views, temperature))
    return second, head, both, figures


def calibrate(
    found: OutOfFold, labels: Any, flags: argparse.Namespace, temperature: float | None = None
) -> tuple[float, dict[str, Any]]:
    """Temperature, fitted unless given, and model.json's `out_of_fold`: thresholds and figures out of fold.

    The threshold of `in_distribution` is the one that IN_DISTRIBUTION_KEPT of the photos reach, half of them saved as
    JPEG, so that coarse compression is not taken for another thing. The threshold of the confidence is fitted on the
    photos as they are that reach it: for the target precision, or for the least cost where the flags say what mistakes
    cost. The coverage is the share of all photos as they are that reach both.
    """
    temperature = temperature or calibration.fit_temperature(found.logits[:, :-1], labels)
    answers, saved = (decision.answers(logits, temperature) for logits in (found.logits, found.saved))
    probabilities, inside = answers[:, :-1], answers[:, -1]
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    right, wanted = predicted == labels, (flags.target_precision, flags.confidence_level)
    least = calibration.keeping(np.concatenate([inside, saved[:, -1]]), IN_DISTRIBUTION_KEPT)
    kept = inside >= least
    threshold = calibration.fit_threshold(confidence[kept], right[kept], *wanted)
    per_class = {
        name: calibration.fit_threshold(confidence[mine], right[mine], *wanted).value
        for at, name in enumerate(flags.classes)
        if (mine := kept & (predicted == at)).any()
    }
    figures = {
        "accuracy": float(right.mean()),
        "nll": metrics.nll(probabilities, labels),
        "ece": metrics.ece(probabilities, labels),
        "aurc": metrics.aurc(confidence, right),
        "count": len(labels),
        "in_distribution_threshold": least,
        "per_class_thresholds": per_class,
        **dataclasses.asdict(threshold),
        "coverage": threshold.coverage * float(kept.mean()),
    }
    mistakes = costs.parse(flags.cost_of_wrong_bay, flags.cost_of_review, flags.classes)
    if mistakes is not None:
        figures |= by_cost(np.where(kept, confidence, -1.0), predicted, right, mistakes, flags)
    return temperature, figures


def by_cost(
    confidence: Any, predicted: Any, right: Any, mistakes: costs.Costs, flags: argparse.Namespace
) -> dict[str, Any]:
    """What of `out_of_fold` is another where the costs set the threshold: one for all classes, or one for each.

    `confidence` is (n,), negative for photos that are taken for none of the classes. `value` is the highest threshold,
    and `costs` says what a thousand photos cost with these thresholds and with the one for the target precision.
    """
    losses = np.array([mistakes.wrong_bay[name] for name in flags.classes])[predicted] * ~right
    groups = {"": np.ones(len(right), bool)}
    if not mistakes.equal:
        groups = {name: predicted == at for at, name in enumerate(flags.classes)}
    fitted = {
        name: calibration.fit_cost_threshold(confidence[mine], losses[mine], mistakes.review, flags.seed)
        for name, mine in groups.items()
        if (confidence[mine] >= 0).any()
    }
    by_class = {
        name: fitted[of].value
        if (of := "" if mistakes.equal else name) in fitted
        else calibration.cheapest_unseen(mistakes.wrong_bay[name], mistakes.review)
        for name in flags.classes
    }
    limits = np.array([by_class[name] for name in flags.classes])[predicted]
    taken = confidence >= limits
    accepted, hits = int(taken.sum()), int((taken & right).sum())
    bound = calibration.precision_lower_bounds(np.array([hits]), np.array([accepted]), flags.confidence_level)
    return {
        "value": max(by_class.values()),
        "coverage": float(taken.mean()),
        "accepted_precision": hits / accepted if accepted else 0.0,
        "lower_bound": float(bound[0]),
        "target_met": bool(bound[0] >= flags.target_precision),
        "class_thresholds": {} if mistakes.equal else by_class,
        "costs": {
            **dataclasses.asdict(mistakes),
            "of_a_thousand": float(1000 * np.where(taken, losses, mistakes.review).mean()),
            "intervals": {name or "all": list(found.interval) for name, found in fitted.items()},
        },
    }
