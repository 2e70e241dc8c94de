"""The SageMaker SDK: imported late, because that takes 5 to 10 seconds, and in an environment without credentials."""

from __future__ import annotations

import copy
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TELEMETRY_OFF = "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n"


def import_sdk() -> None:
    """Imports the SDK; slow the first time. Call it `as_nobody`: the SDK makes clients while it is imported."""
    logging.getLogger("sagemaker.config").setLevel(logging.ERROR)
    import sagemaker.core.processing
    import sagemaker.mlops.workflow.pipeline
    import sagemaker.serve.model_builder
    import sagemaker.train.model_trainer  # noqa: F401 - imported for the time it takes
    from sagemaker.core.config import config
    from sagemaker.core.config.config_manager import SageMakerConfig

    # The SDK validates its configuration, and the schema for it, each time it looks something up there. That is some 50
    # times and nine tenths of the time of a build.
    if not isinstance(config.validate_sagemaker_config, ValidatedOnce):
        once = ValidatedOnce(config.validate_sagemaker_config)
        config.validate_sagemaker_config = once
        SageMakerConfig.validate_sagemaker_config = staticmethod(once)


class ValidatedOnce:
    """A validation that is done once for each configuration, which is told from others by its content."""

    def __init__(self, validate: Callable[[Any], None]) -> None:
        self._validate = validate
        self._valid: list[Any] = []

    def __call__(self, config: Any = None) -> None:
        """Raise what the validation raises for a configuration that was not found valid before."""
        if config not in self._valid:
            self._validate(config)
            self._valid.append(copy.deepcopy(config))


@contextmanager
def as_nobody(region: str = "us-east-1") -> Iterator[None]:
    """An environment in which the SDK looks for no credentials, asks IAM nothing and sends no telemetry."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="loadingbay-sdk-") as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(_TELEMETRY_OFF)
        for name in [n for n in os.environ if n.startswith("AWS_")]:
            del os.environ[name]
        os.environ |= {
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(config),
            "SAGEMAKER_VALIDATE_ROLE": "false",
        }
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "no job being started" at each step, deprecations of its own
                yield
        finally:
            os.environ.clear()
            os.environ |= before
