"""A local cloud of its own for a benchmark: started on a home, asked by boto3, stopped at the end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from localcloud.state.credentials import owner_secret

ROOT = Path(__file__).resolve().parents[1]


class Cloud:
    """A running local cloud and clients of it."""

    def __init__(self, url: str, home: Path, started: float, process: int) -> None:
        self._url, self._home = url, home
        self.started = started
        """Seconds from the command to the first answer."""
        self.process = process
        """The id of the server's process."""

    def client(self, service: str) -> Any:
        """A boto3 client."""
        return boto3.client(
            service, endpoint_url=self._url, region_name="us-east-1", aws_access_key_id="000000000000",
            aws_secret_access_key=owner_secret(self._home, "000000000000"),
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}, read_timeout=120),
        )  # fmt: skip


@contextmanager
def running(home: Path, checkout: Path = ROOT, image_root: Path | None = None) -> Iterator[Cloud]:
    """A local cloud on a home, stopped at the end.

    `checkout` is the folder of the project that serves it, with its environments set up; `image_root` holds the
    programs of its image, by default those of the checkout.
    """
    home.mkdir(exist_ok=True, mode=0o700)
    log = home.with_suffix(".log")
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(checkout / ".venv" / "bin" / "python", "-m", "localcloud", "serve", "--home", home, "--port", "0"),
                *("--image-env", checkout / ".venv-image", "--image-root", image_root or checkout / "container"),
            ],
            cwd=checkout, stderr=output, env={"PATH": os.environ["PATH"], "HOME": str(home)},
        )  # fmt: skip
    try:
        while not (found := re.search(r"serves (http://\S+)", log.read_text())):
            if process.poll() is not None:
                raise RuntimeError(f"the local cloud did not start: {log.read_text()}")
            time.sleep(0.01)
        yield Cloud(found.group(1), home, time.perf_counter() - began, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
