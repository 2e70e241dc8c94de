"""Reads the model card of a version: what it is for, what it was made of, how good it is, who approved it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.errors import WorkError
from loadingbay.registry import versions as registry
from loadingbay.target import Target
from pipelines import aws


@dataclass(frozen=True)
class Card:
    """A model card as it is now; `revision` counts its changes from 1, `content` is in SageMaker's schema."""

    name: str
    status: str
    revision: int
    changed: datetime
    content: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """The card as a JSON object, which `card --json` prints."""
        return {
            "card": self.name,
            "status": self.status,
            "revision": self.revision,
            "changed": self.changed.isoformat(),
            "content": self.content,
        }

    def figures(self) -> Iterator[tuple[str, str, float, str]]:
        """(evaluation, name, value, note) of each number among the evaluations' metrics."""
        for evaluation in self.content.get("evaluation_details", []):
            for group in evaluation.get("metric_groups", []):
                for metric in group["metric_data"]:
                    if metric["type"] == "number":
                        yield evaluation["name"], metric["name"], metric["value"], metric.get("notes", "")


def card(target: Target, number: int) -> Card:
    """The card of a version. Raises UsageError when there is no such version, and WorkError when it has no card."""
    version = registry.numbered(target, number)
    name = aws.model_card(target.stage, version.number)
    try:
        found = target.client("sagemaker").describe_model_card(ModelCardName=name)
    except ClientError as error:
        if not aws.is_missing(error):
            raise
        raise WorkError(
            f"version {number} has no model card {name} yet: it is written moments after the registration; "
            "`loadingbay logs write_model_card` says what went wrong"
        ) from error
    return Card(
        name,
        found["ModelCardStatus"],
        found["ModelCardVersion"],
        found.get("LastModifiedTime") or found["CreationTime"],
        json.loads(found["Content"]),
    )
