"""The SageMaker SDK: imported late, because that takes 5 to 10 seconds, and in an environment without credentials."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TELEMETRY_OFF = "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n"


def import_sdk() -> None:
    """Imports the SDK; slow the first time. Call it `as_nobody`: the SDK makes clients while it is imported."""
    logging.getLogger("sagemaker.config").setLevel(logging.ERROR)
    import sagemaker.core.processing
    import sagemaker.mlops.workflow.pipeline
    import sagemaker.serve.model_builder
    import sagemaker.train.model_trainer  # noqa: F401 - imported for the time it takes


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
