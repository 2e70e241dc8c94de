"""One real local cloud for all tests of this folder: a process, driven over HTTP with boto3."""

import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
import pytest
from botocore.config import Config

from localcloud.state.credentials import owner_secret
from tests.fakes.signing import signed
from tests.localcloud.restarts import Restarted
from tests.waiting import PATIENCE, soon

ROOT = Path(__file__).parents[2]


@dataclass
class RunningCloud:
    """A local cloud process and clients for it."""

    process: subprocess.Popen[bytes]
    port: int
    home: Path
    _clients: dict[tuple[str, float], Any] = field(default_factory=dict)
    _making: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def secret(self) -> str:
        """The owner's secret access key."""
        return owner_secret(self.home, "000000000000")

    def client(self, service: str, patience: float = PATIENCE) -> Any:
        """A boto3 client for this cloud; it does not retry, so each answer is seen, and waits so many seconds."""
        with self._making:
            if (service, patience) not in self._clients:
                self._clients[service, patience] = boto3.client(
                    service,
                    endpoint_url=self.url,
                    region_name="us-east-1",
                    aws_access_key_id="000000000000",
                    aws_secret_access_key=self.secret,
                    config=Config(
                        retries={"max_attempts": 0},
                        inject_host_prefix=False,
                        s3={"addressing_style": "path"},
                        read_timeout=patience,
                        max_pool_connections=32,
                    ),
                )
            return self._clients[service, patience]

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> httpx.Response:
        """A request that is signed by the owner, without boto3."""
        url = f"{self.url}{path}"
        return httpx.request(
            method, url, content=body, headers=signed(self.secret, method, url, body, headers), trust_env=False
        )

    def log(self) -> str:
        return (self.home / "stderr").read_text()

    def kill(self) -> None:
        """kill -9: nothing is saved by way of goodbye."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def start_cloud(home: Path, image_env: Path | None, image_root: Path | None, *options: str) -> RunningCloud:
    """A local cloud on a free port, once it says it is ready; without an `image_env`, only by its image rules."""
    given = {"--image-env": image_env, "--image-root": image_root}
    images = [str(word) for option, value in given.items() if value is not None for word in (option, value)]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "stderr").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "localcloud", "serve", "--home", str(home), "--port", "0", "--strict"),
                *(*images, *options),
            ],
            cwd=ROOT,
            stderr=log,
            stdin=subprocess.DEVNULL,
            # As from a terminal that is not UTF-8.
            env={
                **os.environ,
                "SECRET_OF_THE_SHELL": "must not leak",
                "LC_ALL": "C",
                "PYTHONUTF8": "0",
                "PYTHONCOERCECLOCALE": "0",
            },
        )

    def serving() -> re.Match[str] | None:
        return re.search(r"serves http://127\.0\.0\.1:(\d+)", (home / "stderr").read_text())

    soon(lambda: serving() or process.poll() is not None)
    if found := serving():
        return RunningCloud(process, int(found[1]), home)
    process.kill()
    raise RuntimeError(f"the local cloud did not start:\n{(home / 'stderr').read_text()}")


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An image environment and an image root for tests: `serve` is a tiny model server that needs no packages."""
    root = tmp_path_factory.mktemp("image-root")
    (root / "bin").mkdir()
    serve = root / "bin" / "serve"
    # Beside it: a process finds nothing of a checkout that lies in /tmp.
    shutil.copy(Path(__file__).parent / "model_server.py", root)
    serve.write_text(f"#!/bin/sh\nexec python3 {root}/model_server.py\n")
    serve.chmod(0o755)
    return ROOT / ".venv-image", root


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, image: tuple[Path, Path]) -> Iterator[RunningCloud]:
    """The cloud that most tests share, in a folder beyond ASCII; each test uses names of its own."""
    running = start_cloud(tmp_path_factory.mktemp("cloud-é"), *image)
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="session")
def guarded_cloud(tmp_path_factory: pytest.TempPathFactory, image: tuple[Path, Path]) -> Iterator[RunningCloud]:
    """A cloud that enforces IAM."""
    running = start_cloud(tmp_path_factory.mktemp("guarded"), *image, "--enforce-iam")
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture
def own_cloud(tmp_path: Path, image: tuple[Path, Path]) -> Iterator[Callable[[], RunningCloud]]:
    """Start (again) a cloud on this test's own home; one that still runs at the end is stopped."""
    started: list[RunningCloud] = []

    def start() -> RunningCloud:
        started.append(start_cloud(tmp_path / "home", *image))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture(scope="session")
def restarts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, image: tuple[Path, Path]
) -> Iterator[Callable[[str], Restarted]]:
    """`restarts("kill")`: a cloud that was killed after all chosen tests had prepared for it, and started again."""
    clouds: list[RunningCloud] = []

    @functools.cache
    def restarted(end: str) -> Restarted:
        home = tmp_path_factory.mktemp(f"after-{end}") / "home"
        marks = [mark for item in request.session.items for mark in item.iter_markers("restarted")]

        def start() -> RunningCloud:
            clouds.append(start_cloud(home, *image, "--max-jobs", "16"))
            return clouds[-1]

        return Restarted(start, end, [mark.args[0] for mark in marks if mark.args[1] == end])

    yield restarted
    for running in clouds:
        running.stop()


@pytest.fixture
def restarted(request: pytest.FixtureRequest, restarts: Callable[[str], Restarted]) -> tuple[RunningCloud, Any]:
    """The cloud after its restart, and what the preparation of this test's mark returned before.

    `@pytest.mark.restarted(prepare, "kill")`, or "stop"; see restarts.py.
    """
    mark = request.node.get_closest_marker("restarted")
    assert mark is not None
    after = restarts(mark.args[1])
    return after.cloud, after.kept(mark.args[0])


def has_ended(pid: int) -> bool:
    """Whether a process has ended (a dead one that nobody has collected yet counts)."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def gone(pid: int) -> bool:
    """Whether a process ends."""
    return soon(lambda: has_ended(pid))


def outside(server: str) -> int:
    """The process, as this machine counts, of a model server that says that it is `server` (see model_server.py)."""
    namespace, number, _ = server.split()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str((entry / "ns" / "pid").readlink()) == namespace:
                numbers = re.search(r"^NSpid:(.*)$", (entry / "status").read_text(), re.MULTILINE)
                if numbers and numbers[1].split()[-1] == number:
                    return int(entry.name)
    raise LookupError(server)


@pytest.fixture(name="outside")
def outside_fixture() -> Callable[[str], int]:
    """`outside(server)`: the process of a model server by what it says in the member `server` of its answers."""
    return outside


@pytest.fixture(name="gone")
def gone_fixture() -> Callable[[int], bool]:
    """`gone(pid)`: whether a process ends."""
    return gone
