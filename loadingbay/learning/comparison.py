"""How a version compares with the one that was approved when it was trained, on the old test and on recent photos."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loadingbay.errors import WorkError
from loadingbay.registry.comparison import mcnemar
from loadingbay.registry.versions import Version
from loadingbay.target import Target
from pipelines import aws


@dataclass(frozen=True)
class Paired:
    """Both versions on the same photos: accuracies, and paired tests (McNemar's exact ones).

    `won` photos the version answered right and the approved one wrong, `lost` the other way round; `p_worse`, which the
    gate asks for, is one-sided: how likely so many were lost if both were equally good.
    """

    name: str
    count: int
    accuracy: float
    approved: float
    won: int
    lost: int
    p_worse: float

    @property
    def p(self) -> float:
        """McNemar's exact two-sided p-value: how likely a difference as large as this one is if both are as good."""
        return mcnemar(self.won, self.lost)


@dataclass(frozen=True)
class Comparison:
    """Why the version exists, and the tests in which it was compared; none when nothing was approved before."""

    number: int
    reason: str
    tests: tuple[Paired, ...]


def compare(target: Target, version: Version) -> Comparison:
    """Read from its evaluation how the version compares with the one approved before. WorkError if it has none."""
    if not version.evaluation:
        raise WorkError(f"version {version.number} was registered without an evaluation: nothing compares it")
    bucket, key = aws.split_s3(version.evaluation)
    evaluation = json.loads(target.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    described = target.client("sagemaker").describe_model_package(ModelPackageName=version.arn)
    return Comparison(version.number, described.get("ModelPackageDescription", ""), paired_tests(evaluation))


def paired_tests(evaluation: Mapping[str, Any]) -> tuple[Paired, ...]:
    """The tests in an evaluation.json in which there was an approved version to compare with."""
    old, recent = evaluation.get("champion", {}), evaluation.get("recent", {})
    found = []
    if old.get("comparable"):
        found.append(_test("test photos", evaluation["test"]["count"], evaluation["gate"]["accuracy"], old))
    if recent.get("champion"):
        found.append(_test("recent photos", recent["count"], recent["accuracy"], recent["champion"]))
    return tuple(found)


def _test(name: str, count: int, accuracy: float, rival: Mapping[str, Any]) -> Paired:
    won, lost, p_worse = (rival[member] for member in ("photos_won", "photos_lost", "p_worse"))
    return Paired(name, count, accuracy, rival["accuracy"], won, lost, p_worse)
