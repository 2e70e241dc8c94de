"""Pipelines for the tests of the engine."""

from typing import Any

import pytest

from tests.localcloud.pipeline_kit import Kit


@pytest.fixture
def kit(cloud: Any) -> Kit:
    return Kit(cloud)
