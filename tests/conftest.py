"""The same tests wherever they run: nothing around them chooses a cloud, credentials, a stage or a commit for them.

A build has such variables: CodeBuild those of its project and its role, `loadingbay push` those of the local cloud.
"""

import functools
import gc
import os
from pathlib import Path

import pytest
from botocore.loaders import JSONFileLoader, Loader
from hypothesis import HealthCheck, settings

_CHOOSING = ("AWS_", "CODEBUILD_", "LOADINGBAY_")

# Only the end-to-end tests go to AWS, when they are told to: tests/e2e/real_account.py.
if (os.environ.get("LOADINGBAY_TEST_CLOUD") or "local") == "local":
    for _name in list(os.environ):
        if _name.startswith(_CHOOSING):
            del os.environ[_name]

# How long an example takes is the machine's matter; a busy one must not fail a test.
settings.register_profile("any-speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-speed")


def pytest_collection_finish() -> None:
    """Have the garbage collector look at what lives long a tenth as often: it took a tenth of the tests' time."""
    gc.freeze()
    gc.set_threshold(700, 10, 100)


@pytest.fixture(scope="session")
def tiny_channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel of 32 photos to train with, in the image environment."""
    from tests.training import channels

    return channels.write(tmp_path_factory.mktemp("channel"), 32)


@pytest.fixture(scope="session")
def tiny_job(tiny_channel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the log of a job that train.py ran on it in a process of its own."""
    from tests.training import tiny

    job = tmp_path_factory.mktemp("trained")
    return job, tiny.run(tiny_channel, job)


# Every session of boto3 would read the descriptions of AWS's services anew, which takes longer than most tests.
_reader = JSONFileLoader()
_reader.load_file = functools.cache(_reader.load_file)
Loader.FILE_LOADER_CLASS = staticmethod(lambda: _reader)
