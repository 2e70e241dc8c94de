"""Builds the definition of the SageMaker pipeline: Stage, Train, Evaluate, Gate, Register. Calls no service.

The SDK is imported inside `build`, because that takes 5 to 10 seconds. It is used in the subset that gives the same
bytes each time: code and data are named by S3 addresses that contain their hash, so the step cache hits when, and only
when, something that matters changed.
"""

from __future__ import annotations

import json

from pipelines.sdk import as_nobody, import_sdk
from pipelines.settings import Settings


def build(settings: Settings) -> str:
    """The pipeline definition as JSON text with sorted keys: the same settings give the same bytes."""
    with as_nobody(settings.region):
        import_sdk()
        from pipelines.steps import Steps

        definition = json.loads(Steps(settings).pipeline().definition())
    # The SDK's Compute takes a number of GB only, no parameter.
    train = next(step for step in definition["Steps"] if step["Name"] == "Train")
    train["Arguments"]["ResourceConfig"]["VolumeSizeInGB"] = {"Get": "Parameters.VolumeSizeInGB"}
    return json.dumps(definition, sort_keys=True, separators=(",", ":"))
