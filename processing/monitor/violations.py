"""Lists in which figures a stream differs from the evaluation by more than allowed: constraint_violations.json.

The form: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-interpreting-violations.html. Each check has a
p-value, and the level is divided by the number of checks (Bonferroni): when nothing has changed, the chance
that a report names any violation is at most the level.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from scipy.stats import fisher_exact

from processing.evaluation import Evaluation
from processing.monitor.figures import Monitoring
from processing.statistics import Difference

LEVEL = 0.002  # one false alarm in 500 reports
MIN_STABILITY = 0.1  # a smaller difference does not matter, however certain


class Violation(TypedDict):
    """One entry of constraint_violations.json."""

    feature_name: str
    constraint_check_type: str  # "baseline_drift_check" of an input's distribution, "LessThanThreshold" of a share
    description: str


def find(
    found: Monitoring, differences: Mapping[str, Difference], evaluation: Evaluation | None, level: float = LEVEL
) -> list[Violation]:
    """The violations, by the differences of the columns and by the shares that fell below those on the test photos."""
    shares = _shares(found, evaluation)
    limit = level / max(1, len(differences) + len(shares))
    drifted = [
        Violation(
            feature_name=name,
            constraint_check_type="baseline_drift_check",
            description=f"{name} is {one.mean:.3f} in the mean of {one.count} photos, and {one.baseline_mean:.3f} on "
            f"the test photos (population stability index {one.psi:.2f}, p {one.p_value:.5f})",
        )
        for name, one in differences.items()
        if one.psi >= MIN_STABILITY and one.p_value < limit
    ]
    fell = []
    for name, (right, count, tested_right, tested) in shares.items():
        table = [[right, count - right], [tested_right, tested - tested_right]]
        p_value = float(fisher_exact(table, alternative="less")[1])
        if p_value < limit:
            fell.append(
                Violation(
                    feature_name=name,
                    constraint_check_type="LessThanThreshold",
                    description=f"{name} fell to {right / count:.3f} of {count}, "
                    f"from {tested_right / tested:.3f} of {tested} test photos (p {p_value:.5f})",
                )
            )
    return drifted + fell


def _shares(found: Monitoring, evaluation: Evaluation | None) -> dict[str, tuple[int, int, int, int]]:
    """(part, of how many, part of the test photos, of how many) of each share that can be compared."""
    if evaluation is None or "test" not in evaluation:
        return {}
    tested, gate = evaluation["test"]["count"], evaluation["gate"]
    tested_taken = round(gate["coverage"] * tested)
    accepted = round(found["share_above"] * found["count"])
    shares = {"accepted_share": (accepted, found["count"], tested_taken, tested)}
    if found["labelled"]:
        right, tested_right = found["labelled"] - found["mistakes"], round(gate["accuracy"] * tested)
        shares["accuracy"] = (right, found["labelled"], tested_right, tested)
    if found["accepted_labelled"] and tested_taken:
        right = found["accepted_labelled"] - found["accepted_mistakes"]
        tested_right = round(gate["accepted_precision"] * tested_taken)
        shares["accepted_precision"] = (right, found["accepted_labelled"], tested_right, tested_taken)
    return shares
