"""A local cloud, started and given to the programs as its users do it: `localcloud up`, `localcloud env`."""

import subprocess
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.sdk_pipelines.sdk_kit import LOCALCLOUD, Cloud, Execution, environment

# An image of the user's own, for functions: it holds the SDK that has written them.
_IMAGES = """
[[image]]
name = "functions-{sdk}"
pattern = '.*/functions:{sdk}'
environment = "{environment}"
"""


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The cloud that all programs share."""
    cloud = Cloud(tmp_path_factory.mktemp("sdk"))
    images = cloud.home.with_name("images.toml")
    images.write_text("".join(_IMAGES.format(sdk=sdk, environment=environment(sdk)) for sdk in ("v2", "v3")))
    words = ["--port", "0", "--images", str(images), "--strict"]
    subprocess.run([LOCALCLOUD, "up", "--home", cloud.home, *words], check=True, capture_output=True)
    yield cloud
    subprocess.run([LOCALCLOUD, "down", "--home", cloud.home], check=True, capture_output=True)


@pytest.fixture(scope="session")
def execution_of(cloud: Cloud) -> Callable[[str, str], Execution]:
    """`execution_of("v2", "repack")`: the execution of that program's pipeline, which it says in its last line."""

    def run(sdk: str, shape: str) -> Execution:
        name = f"{shape.replace('_', '-')}-{uuid.uuid4().hex[:6]}"
        return Execution(cloud, name, cloud.run(sdk, shape, name))

    return run
