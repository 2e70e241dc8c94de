"""Retry policies of pipeline steps: which failures are tried again, and after how many seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SERVICE_FAULT = "Step.SERVICE_FAULT"
THROTTLING = "Step.THROTTLING"
JOB_INTERNAL_ERROR = "SageMaker.JOB_INTERNAL_ERROR"
CAPACITY_ERROR = "SageMaker.CAPACITY_ERROR"
RESOURCE_LIMIT = "SageMaker.RESOURCE_LIMIT"
EXCEPTION_TYPES = (SERVICE_FAULT, THROTTLING, JOB_INTERNAL_ERROR, CAPACITY_ERROR, RESOURCE_LIMIT)
DEFAULT_MAX_ATTEMPTS = 5

# How a failed job's FailureReason, or the code of a refused Create call, begins.
_BY_PREFIX = {
    "InternalServerError": JOB_INTERNAL_ERROR,
    "InternalFailure": SERVICE_FAULT,
    "ServiceUnavailable": SERVICE_FAULT,
    "CapacityError": CAPACITY_ERROR,
    "ResourceLimitExceeded": RESOURCE_LIMIT,
    "ThrottlingException": THROTTLING,
}


@dataclass(frozen=True)
class RetryPolicy:
    """`max_attempts` counts the retries, not the first try; `expire_after` is in seconds since the first failure."""

    exception_types: tuple[str, ...]
    interval_seconds: float = 1.0
    backoff_rate: float = 2.0
    max_attempts: int | None = DEFAULT_MAX_ATTEMPTS
    expire_after: float | None = None


def parse_retry_policies(items: Any) -> tuple[RetryPolicy, ...]:
    """The RetryPolicies member of a step; ValueError when it is malformed."""
    if not isinstance(items, list):
        raise ValueError("RetryPolicies must be a list.")  # noqa: TRY004  one error type for a bad definition
    return tuple(_policy(item) for item in items)


def _policy(item: Any) -> RetryPolicy:
    """Parse one retry policy. ValueError, with a sentence, if it is malformed."""
    if not isinstance(item, dict):
        raise ValueError("each of RetryPolicies must be an object.")  # noqa: TRY004  as above
    types = item.get("ExceptionType")
    if not isinstance(types, list) or not types or any(t not in EXCEPTION_TYPES for t in types):
        raise ValueError(
            f"RetryPolicies: ExceptionType is {types!r}; it must list some of {', '.join(EXCEPTION_TYPES)}."
        )
    interval = _number(item, "IntervalSeconds", 1, 0, 86_400)
    backoff = _number(item, "BackoffRate", 2.0, 0, 100)
    expire = item.get("ExpireAfterMin")
    if expire is not None and item.get("MaxAttempts") is not None:
        raise ValueError("RetryPolicies: give MaxAttempts or ExpireAfterMin, not both.")
    if expire is not None:
        return RetryPolicy(tuple(types), interval, backoff, None, _number(item, "ExpireAfterMin", 0, 0, 14_400) * 60)
    attempts = _number(item, "MaxAttempts", DEFAULT_MAX_ATTEMPTS, 1, 20)
    return RetryPolicy(tuple(types), interval, backoff, int(attempts))


def _number(item: dict[str, Any], key: str, default: float, low: float, high: float) -> float:
    value = item.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"RetryPolicies: {key} is {value!r}; it must be a number from {low:g} to {high:g}.")
    return value


def classify(failure: str) -> str | None:
    """The exception type that a failure text (`Code: message`) stands for; None when it is never retried."""
    return _BY_PREFIX.get(failure.partition(":")[0].strip())


def delay_before_retry(
    policies: Sequence[RetryPolicy], exception_type: str | None, retries_so_far: int, seconds_since_first_failure: float
) -> float | None:
    """Seconds to wait before the next try; None: failed for good. The first policy that names the type decides."""
    policy = next((p for p in policies if exception_type in p.exception_types), None)
    if policy is None or (policy.max_attempts is not None and retries_so_far >= policy.max_attempts):
        return None
    delay: float = policy.interval_seconds * policy.backoff_rate**retries_so_far
    if policy.expire_after is not None and seconds_since_first_failure + delay > policy.expire_after:
        return None
    return delay
