"""How well the model does on real photos, trained for three of the twenty epochs (docs/model.md has the whole)."""

import json
import os
from typing import Any

import pytest

ARCHIVE = os.environ.get("CIFAR100_ARCHIVE")


@pytest.mark.apart
@pytest.mark.real_data
@pytest.mark.skipif(not ARCHIVE, reason="CIFAR100_ARCHIVE names no archive of real photos")
def test_three_epochs_reach_the_published_repeats_of_this_problem(bay: Any) -> None:
    summary = json.loads(bay.cli("run", "--data", ARCHIVE, "--json", "--epochs", "3").stdout)
    assert summary["data"] == "cifar-100"
    assert summary["accuracy"] >= 0.87
    assert summary["accepted_precision"] >= 0.93
