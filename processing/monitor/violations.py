"""Lists in which figures a stream differs from the evaluation by more than allowed: constraint_violations.json.

The form: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-interpreting-violations.html. Each check has a
p-value, and the level is divided by the number of checks (Bonferroni): when nothing has changed, the chance
that a report names any violation is at most the level.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any, NamedTuple, TypedDict

from scipy.stats import fisher_exact

from processing.evaluation import Evaluation, has_recent
from processing.monitor.estimates import Estimate
from processing.monitor.figures import Monitoring
from processing.statistics import Difference

LEVEL = 0.002  # one false alarm in 500 reports
NORMAL_95 = 1.959964  # of a normal number's 95 % that lie around its mean, in standard deviations
MIN_STABILITY = 0.1  # a smaller difference does not matter, however certain


class Violation(TypedDict):
    """One entry of constraint_violations.json."""

    feature_name: str
    constraint_check_type: str  # "baseline_drift_check" of an input's distribution, "LessThanThreshold" of a share
    description: str


class Share(NamedTuple):
    """A share of the stream and the same share of the test photos, with how many photos (or labels) each is made of."""

    value: float
    size: float  # a share of strata counts as many labels as a simple random sample with its interval would have
    said: str  # of what: "200 photos"
    tested: float
    tested_count: int

    def p_value(self) -> float:
        """The chance that the stream's share is as far below the other when they are alike: Fisher's exact test."""
        count, tested = round(self.size), round(self.tested * self.tested_count)
        right = round(self.value * count)
        table = [[right, count - right], [tested, self.tested_count - tested]]
        return float(fisher_exact(table, alternative="less")[1])


def find(
    found: Monitoring, differences: Mapping[str, Difference], evaluation: Evaluation | None, level: float = LEVEL
) -> list[Violation]:
    """The violations, by the differences of the columns and by the shares that fell below those on the test photos.

    A version with a recent test is compared with that. Its photos are those that people labelled, more often because
    the version of then was not sure of them: a stream that this version is surer of than of these has not changed.
    """
    recently = evaluation is not None and has_recent(evaluation)
    shares = _shares(found, evaluation)
    limit = level / max(1, len(differences) + len(shares))
    drifted = [
        Violation(
            feature_name=name,
            constraint_check_type="baseline_drift_check",
            description=f"{name} {_moved(one)} (population stability index {one.psi:.2f}, {_chance(one.p_value)})",
        )
        for name, one in differences.items()
        if one.psi >= MIN_STABILITY
        and one.p_value < limit
        and not (recently and name == "confidence" and one.mean > one.baseline_mean)
    ]
    fell = [
        Violation(
            feature_name=name,
            constraint_check_type="LessThanThreshold",
            description=f"{name.replace('_', ' ')} fell from {one.tested:.2f} of {one.tested_count} "
            f"{'recent ' if recently else ''}test photos to "
            f"{one.value:.2f} of {one.said} ({_chance(p_value)})",
        )
        for name, one in shares.items()
        if (p_value := one.p_value()) < limit
    ]
    return drifted + fell


def _moved(one: Difference) -> str:
    """From where to where a column's mean moved since the baseline, in words."""
    before, now = f"{one.baseline_mean:.3f}", f"{one.mean:.3f}"
    if before == now:
        return f"is spread otherwise, around the same mean of {now} in {one.count} photos"
    return (
        f"{'fell' if one.mean < one.baseline_mean else 'rose'} from {before} to {now} in the mean of {one.count} photos"
    )


def _chance(p_value: float) -> str:
    return "p below 0.0001" if p_value < 0.0001 else f"p {p_value:.4f}"


def _shares(found: Monitoring, evaluation: Evaluation | None) -> dict[str, Share]:
    """Each share that can be compared.

    Accuracy and precision are the estimates for the whole stream, never the shares of what is labelled: people label
    what the model was not sure of, which is wrong more often, and drivers report mistakes only.
    """
    if evaluation is None or "test" not in evaluation:
        return {}
    gate: Mapping[str, Any] = evaluation["recent"] if has_recent(evaluation) else evaluation["gate"]
    tested = int(gate.get("count", evaluation["test"]["count"]))
    accepted = round(gate["coverage"] * tested)
    count = found["count"]
    shares = {"accepted_share": Share(found["share_above"], count, f"{count} photos", gate["coverage"], tested)}
    for name, expected, of in (("accuracy", gate["accuracy"], tested),
                               ("accepted_precision", gate["accepted_precision"], accepted)):  # fmt: skip
        estimate = found["estimates"][name]
        if estimate and of:
            said = f"the stream by {estimate['labelled']} labels"
            shares[name] = Share(estimate["value"], effective(estimate), said, expected, of)
    return shares


def effective(estimate: Estimate) -> float:
    """How large a simple random sample would be whose interval (Wilson, 95 %) is as wide as the estimate's.

    Labels come by strata of unequal weight, and count for less than as many labels drawn from the whole stream (Kish,
    Survey Sampling, 1965, section 8.2). At most the number of labels.
    """
    value, width = estimate["value"], estimate["high"] - estimate["low"]
    low, high = 0.0, float(estimate["labelled"])
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _width(value, middle) > width else (low, middle)
    return high


def _width(share: float, count: float) -> float:
    """Width of Wilson's 95 % interval of a share of so many."""
    square = NORMAL_95**2
    return float(2 * NORMAL_95 * sqrt(share * (1 - share) * count + square / 4) / (count + square))
