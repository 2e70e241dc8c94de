"""What the tests of enforced permissions act with."""

from typing import Any

import pytest

from tests.localcloud.ministack.iam_roles import Roles
from tests.localcloud.pipeline_kit import Kit


@pytest.fixture
def roles(guarded_cloud: Any) -> Roles:
    return Roles(guarded_cloud)


@pytest.fixture
def kit(guarded_cloud: Any) -> Kit:
    """Pipelines and jobs on the cloud that enforces permissions."""
    return Kit(guarded_cloud)
