"""Puts training/ on the module path, flat, as it lies in sourcedir.tar.gz, and imports MXNet as training does."""

import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("MXNET_ENGINE_TYPE", "NaiveEngine")
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MXNet 1.9.1 warns of its own use of numpy.bool when it is imported
    import mxnet  # noqa: F401

import pytest

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """MXNet looks at a name in SciPy that SciPy is about to move; that is not ours to mend."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore:Please import `csr_matrix`:DeprecationWarning"))
