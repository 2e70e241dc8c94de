"""How well a model tells photos of its classes from photos of other things, and how many of those it accepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
from sklearn.metrics import roc_auc_score

from processing.evaluate.answers import Answers


class Refusal(TypedDict):
    """Figures on photos of other things."""

    count: int
    auroc: float  # that a photo of the classes scores higher than one of other things; 0.5 is chance
    fpr_at_95_tpr: float  # share of other things that score as high as the best 95 % of the classes' photos do
    accepted: float  # share that would be acted upon
    accepted_by_kind: dict[str, float]


def measure(inside: Answers, outside: Mapping[str, Answers]) -> Refusal:
    """Figures from the answers to photos of the classes, and to photos of other things by kind, none of them empty.

    `accepted` is the mean over the kinds, so that a kind with many photos does not decide alone.
    """
    scores = np.concatenate([answers.score for answers in outside.values()])
    labels = np.repeat([1, 0], [len(inside.predictions), len(scores)])
    # The highest threshold that at least 95 % of the classes' photos reach.
    reached = np.sort(inside.score)[len(inside.score) * 5 // 100]
    by_kind = {kind: float(answers.accepted.mean()) for kind, answers in outside.items()}
    return Refusal(
        count=len(scores),
        auroc=float(roc_auc_score(labels, np.concatenate([inside.score, scores]))),
        fpr_at_95_tpr=float((scores >= reached).mean()),
        accepted=float(np.mean(list(by_kind.values()))),
        accepted_by_kind=by_kind,
    )
