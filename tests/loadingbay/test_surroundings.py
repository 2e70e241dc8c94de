"""Tests do not see the cloud that a build runs against."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "around",
    [
        {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            "LOADINGBAY_STAGE": "other",
            "CODEBUILD_RESOLVED_SOURCE_VERSION": "x",
        },
        {
            "LOADINGBAY_CLOUD": "aws",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x",
        },
    ],
)
def test_the_variables_of_a_build_do_not_reach_the_tests(tmp_path, around):
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (folder / "test_it.py").write_text(f"import os\ndef test_it(): assert not set(os.environ) & {set(around)!r}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder],
        cwd=tmp_path, env={**os.environ, **around}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
