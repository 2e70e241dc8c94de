"""Step caching as SageMaker documents it: which arguments make the key, and how long a result stays good.

Source: "Caching pipeline steps" in the SageMaker developer guide. Instance types, outputs and the role are not part of
the key.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

_PROCESSING = ("AppSpecification", "Environment", "ProcessingInputs")
_CHECKS = ("CheckType", "SkipCheck", "FailOnViolation", "RegisterNewBaseline", "Baseline")
KEY_ARGUMENTS = {
    "Processing": _PROCESSING,
    "QualityCheck": (*_PROCESSING, *_CHECKS),
    "ClarifyCheck": (*_PROCESSING, *_CHECKS, "ModelName"),
    "Training": (
        "AlgorithmSpecification",
        "CheckpointConfig",
        "DebugHookConfig",
        "DebugRuleConfigurations",
        "Environment",
        "HyperParameters",
        "InputDataConfig",
    ),
    "Tuning": (
        "HyperParameterTuningJobConfig",
        "TrainingJobDefinition",
        "TrainingJobDefinitions",
        "WarmStartConfig",
    ),
    "Transform": (
        "BatchStrategy",
        "DataProcessing",
        "Environment",
        "MaxPayloadInMB",
        "ModelName",
        "TransformInput",
    ),
    # Not on that page; the SDK documents that these steps can be cached.
    "Lambda": ("target", "arguments"),
    "Callback": ("target", "arguments"),
}
# ISO 8601; AWS also takes lower case and a missing P: its own examples write "P30d", "30d" and "T12H".
_DURATION = re.compile(
    r"P?(?=.)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE
)
_DAY = 86_400
_UNITS = (365 * _DAY, 30 * _DAY, 7 * _DAY, _DAY, 3_600, 60, 1)


@dataclass(frozen=True)
class CacheConfig:
    """`expire_after` in seconds; None means that a result never expires."""

    enabled: bool
    expire_after: int | None = None


def parse_cache_config(value: Any) -> CacheConfig | None:
    """The CacheConfig member of a step; ValueError when it is malformed."""
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("Enabled"), bool):
        raise ValueError("CacheConfig needs Enabled: true or false.")  # noqa: TRY004  one error type for a bad definition
    expire = value.get("ExpireAfter")
    return CacheConfig(value["Enabled"], None if expire is None else parse_duration(expire))


def parse_duration(text: Any) -> int:
    """Seconds in an ISO 8601 duration such as P30d, PT1H30M or T12H; a month counts 30 days, a year 365."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) and len(text) <= 50 else None
    if match is None:
        raise ValueError(f"{text!r} is not an ISO 8601 duration such as 'P30d' or 'PT1H'.")
    return sum(int(number) * unit for number, unit in zip(match.groups(), _UNITS, strict=True) if number)


def cache_key(step_type: str, arguments: dict[str, Any]) -> str | None:
    """A digest of the resolved arguments that decide a step's result; None for step types that are never cached."""
    names = KEY_ARGUMENTS.get(step_type)
    if names is None:
        return None
    relevant = {name: arguments[name] for name in names if arguments.get(name) is not None}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
