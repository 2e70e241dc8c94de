"""Settings and clients of DeployModel, from the environment variables that the template sets."""

# An exception is named for its condition.
# ruff: noqa: N818

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from .state import Settings


class SettingsMissing(ValueError):
    """The function's environment lacks a variable that the template sets."""


@dataclass(frozen=True)
class Clients:
    """The boto3 clients, and the places they are used on; tests hand in others."""

    sagemaker: Any
    functions: Any
    s3: Any
    cloudwatch: Any
    events: Any
    autoscaling: Any
    verify_function: str
    history_uri: str
    own_name: str = ""
    """This function's name: a version whose last change was made under it was not changed by a person."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in the environment. Raises SettingsMissing, naming the variable."""

    def listed(name: str) -> tuple[str, ...]:
        return tuple(filter(None, environment.get(name, "").split(",")))

    try:
        return Settings(
            endpoint_name=environment["ENDPOINT_NAME"],
            package_group=environment["MODEL_PACKAGE_GROUP_NAME"],
            execution_role_arn=environment["ENDPOINT_ROLE_ARN"],
            instance_type=environment["ENDPOINT_INSTANCE_TYPE"],
            instance_count=int(environment["ENDPOINT_INSTANCE_COUNT"]),
            capture_uri=environment["DATA_CAPTURE_URI"],
            serverless_memory_mb=int(environment.get("ENDPOINT_SERVERLESS_MEMORY_MB") or 0),
            serverless_concurrency=int(environment.get("ENDPOINT_SERVERLESS_CONCURRENCY") or 5),
            subnet_ids=listed("ENDPOINT_SUBNET_IDS"),
            security_group_ids=listed("ENDPOINT_SECURITY_GROUP_IDS"),
            kms_key_arn=environment.get("ENDPOINT_KMS_KEY_ARN", ""),
            bake_seconds=int(environment.get("BAKE_SECONDS") or 0),
            rollback_alarms=listed("ROLLBACK_ALARMS"),
            keep_versions=int(environment.get("KEEP_VERSIONS") or 0),
            max_instance_count=int(environment.get("ENDPOINT_MAX_INSTANCE_COUNT") or 0),
            invocations_per_instance=int(environment.get("ENDPOINT_INVOCATIONS_PER_INSTANCE") or 0),
        )
    except KeyError as error:
        raise _missing(error) from error


def read_clients(environment: Mapping[str, str]) -> Clients:
    """The clients and the places they are used on. Raises SettingsMissing, naming the variable."""
    try:
        return Clients(
            *_boto3_clients(),
            verify_function=environment["VERIFY_FUNCTION_NAME"],
            history_uri=environment["HISTORY_URI"],
            own_name=environment.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        )
    except KeyError as error:
        raise _missing(error) from error


def _missing(error: KeyError) -> SettingsMissing:
    return SettingsMissing(f"The environment variable {error} is not set: deploy workflow/template.yaml again.")


@cache
def _boto3_clients() -> tuple[Any, Any, Any, Any, Any, Any]:
    """Make the clients for SageMaker, Lambda, S3, CloudWatch, EventBridge and Application Auto Scaling."""
    config = Config(connect_timeout=2, read_timeout=20, retries={"mode": "standard", "max_attempts": 4})
    # VerifyEndpoint is called once, and waited for longer than it may run: a second call would verify twice.
    waiting = Config(connect_timeout=2, read_timeout=200, retries={"mode": "standard", "total_max_attempts": 1})
    return (
        boto3.client("sagemaker", config=config),
        boto3.client("lambda", config=waiting),
        boto3.client("s3", config=config),
        boto3.client("cloudwatch", config=config),
        boto3.client("events", config=config),
        boto3.client("application-autoscaling", config=config),
    )
