"""How well the model does on real photos, trained with the defaults."""

import json
import os
from typing import Any

import pytest


@pytest.mark.apart
@pytest.mark.real_data
@pytest.mark.timeout(900)
@pytest.mark.skipif(not os.environ.get("CIFAR100_ARCHIVE"), reason="CIFAR100_ARCHIVE names no archive of real photos")
def test_the_defaults_reach_the_published_repeats_of_this_problem(bay: Any) -> None:
    summary = json.loads(bay.cli("run", "--data", bay.data, "--json", timeout=880).stdout)
    assert summary["data"] == "cifar-100"
    assert summary["accuracy"] >= 0.87
    assert summary["accepted_precision"] >= 0.93
