"""The baselines of check steps: their parts, where a model package keeps them, and who could never find one. Pure.

Source: "Baseline calculation, drift detection and lifecycle with ClarifyCheck and QualityCheck steps" in the SageMaker
developer guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.engine.references import is_reference

# By step type the parts of a baseline, and the file of each in the output of the step's job.
CALCULATED = {
    "QualityCheck": {"Constraints": "constraints.json", "Statistics": "statistics.json"},
    "ClarifyCheck": {"Constraints": "analysis.json"},
}
# By check type the member of DriftCheckBaselines, and in it the member of each part.
REGISTERED: dict[str, tuple[str, dict[str, str]]] = {
    "DATA_QUALITY": ("ModelDataQuality", {"Constraints": "Constraints", "Statistics": "Statistics"}),
    "MODEL_QUALITY": ("ModelQuality", {"Constraints": "Constraints", "Statistics": "Statistics"}),
    "DATA_BIAS": ("Bias", {"Constraints": "PreTrainingConstraints"}),
    "MODEL_BIAS": ("Bias", {"Constraints": "PostTrainingConstraints"}),
    "MODEL_EXPLAINABILITY": ("Explainability", {"Constraints": "Constraints"}),
}
CHECK_TYPES = {
    "QualityCheck": ("DATA_QUALITY", "MODEL_QUALITY"),
    "ClarifyCheck": ("DATA_BIAS", "MODEL_BIAS", "MODEL_EXPLAINABILITY"),
}
SWITCHES = {"SkipCheck": False, "FailOnViolation": True, "RegisterNewBaseline": False}
"""The members that are true or false, with their defaults."""


def problem(step: str, step_type: str, given: Mapping[str, Any]) -> str | None:
    """Say what is wrong with a check step's members, or that it needs a baseline and names none; None if it may run.

    Values of `given` may be references.
    """
    known, kind = CHECK_TYPES[step_type], given.get("CheckType")
    if kind not in known:
        return f"Step {step!r}: CheckType is {kind!r}; it must be one of {', '.join(known)}."
    for name in SWITCHES:
        value = given.get(name)
        if value is not None and not isinstance(value, bool) and not is_reference(value):
            return f"Step {step!r}: {name} is {value!r}; it must be true or false."
    named = given.get("ModelPackageGroupName") or given.get("SuppliedBaselineConstraints")
    first_run = given.get("SkipCheck") and given.get("RegisterNewBaseline")
    return None if named or first_run else missing(step, given)


def missing(step: str, settings: Mapping[str, Any]) -> str:
    """A sentence for a check step that needs a baseline where there is none."""
    group = settings.get("ModelPackageGroupName")
    where = f"The latest approved version in {group!r} has none" if group else "It names no ModelPackageGroupName"
    return (
        f"Step {step!r} needs a baseline of {settings['CheckType']}. {where}, and SuppliedBaselineConstraints is not "
        f"given. For a first run set SkipCheck and RegisterNewBaseline to true."
    )
