"""Asks the function Retrain to train a version with what people labelled, or what it would do and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from loadingbay.errors import WorkError
from loadingbay.target import Target


@dataclass(frozen=True)
class Retraining:
    """Retrain's answer: `outcome` in a few words, `because` in a sentence, and how many photos each part has.

    `execution` is the ARN of the pipeline's execution, "" when none was started. `alarm` names the alarm that it is
    about, "" without one.
    """

    outcome: str
    because: str
    alarm: str
    photos: dict[str, int]
    execution: str

    def document(self) -> dict[str, Any]:
        """The answer as a JSON object, which `retrain --json` prints."""
        return {
            "outcome": self.outcome,
            "because": self.because,
            "alarm": self.alarm,
            "photos": self.photos,
            "execution": self.execution,
        }


def retrain(target: Target, *, dry_run: bool, by_hand: bool) -> Retraining:
    """Asks Retrain. `by_hand`: as if somebody wanted it now, without an alarm. WorkError when the function fails."""
    event = {"dry_run": dry_run, "by_hand": by_hand}
    answer = target.client("lambda").invoke(FunctionName=f"{target.stage}-retrain", Payload=json.dumps(event).encode())
    said = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise WorkError(f"the retraining cannot be planned: {said.get('errorMessage', said)}")
    return Retraining(
        outcome=said["outcome"],
        because=said["because"],
        alarm=said["alarm"],
        photos=said.get("photos", {}),
        execution=said["execution"],
    )
