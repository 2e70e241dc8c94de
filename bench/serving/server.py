"""One server under test: started, watched until it is healthy and until it answers, its memory summed, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.serving.contenders import Contender, Start


class StartError(RuntimeError):
    """A server gave no answer in time; the message ends with the tail of its log."""


@dataclass
class Running:
    """A started server. Times are seconds from its start."""

    contender: Contender
    process: subprocess.Popen[bytes]
    port: int
    log: Path
    healthy_after: float = 0.0
    answers_after: float = 0.0

    def ask(self, photo: bytes) -> httpx.Response:
        """One request on a connection of its own."""
        kind = {"Content-Type": self.contender.content_type}
        url = f"http://127.0.0.1:{self.port}/invocations"
        return httpx.post(url, content=self.contender.body(photo), headers=kind, timeout=30)

    def label(self, photo: bytes) -> str:
        """What the photo shows, according to this server."""
        answer: Any = self.ask(photo).raise_for_status().json()
        while isinstance(answer, list) or "label" not in answer:
            answer = answer[0] if isinstance(answer, list) else answer["predictions"]
        return str(answer["label"])

    def memory(self) -> int:
        """Bytes of the whole process tree, each shared page counted once (PSS)."""
        parent = psutil.Process(self.process.pid)
        total = 0
        for process in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total


def free_port() -> int:
    """A port of the loopback address that nobody listens on; below 32768, because multi-model-server insists."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - not a secret
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextlib.contextmanager
def running(contender: Contender, start: Start, port: int, folder: Path, photo: bytes) -> Iterator[Running]:
    """Start, wait until a photo is answered, and stop the whole process group at the end."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            start.command, cwd=folder, env=start.environment, stdout=output, stderr=output, start_new_session=True
        )
    one = Running(contender, process, port, log)
    try:
        _wait(one, photo)
        yield one
    finally:
        _stop(process)


def _wait(one: Running, photo: bytes, seconds: float = 120.0) -> None:
    """Wait until the server is healthy and answers a photo, noting when; StartError with its log's end if not."""
    began = time.monotonic()
    while time.monotonic() < began + seconds and one.process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if not one.healthy_after:
                if httpx.get(f"http://127.0.0.1:{one.port}{one.contender.health}", timeout=5).status_code == 200:
                    one.healthy_after = time.monotonic() - began
            elif one.ask(photo).status_code == 200:
                one.answers_after = time.monotonic() - began
                return
        time.sleep(0.02)
    tail = one.log.read_text(errors="replace")[-2_000:]
    raise StartError(f"{one.contender.name} did not answer within {seconds:g} s; its log ends:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and all processes that it started: SIGTERM, and after 15 s SIGKILL."""
    tree = [psutil.Process(process.pid)] if process.poll() is None else []
    tree += [child for parent in tree for child in parent.children(recursive=True)]
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(tree, timeout=15)
    for one in alive:
        with contextlib.suppress(psutil.Error):
            one.kill()
    process.wait()


def same_answers(one: Running, photos: list[bytes], expected: list[str]) -> bool:
    """Whether every photo gets the label that the handler itself gives."""
    return [one.label(photo) for photo in photos] == expected


def labels(python: Path, artifact: Path, files: list[Path]) -> list[str]:
    """The handler's own answers, without any server."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1] + '/code'); import inference\n"
        "model = inference.model_fn(sys.argv[1])\n"
        "photos = [inference.input_fn(open(name, 'rb').read(), 'image/png') for name in sys.argv[2:]]\n"
        "rows = [inference.predict_fn(photo, model)[0] for photo in photos]\n"
        "classes = model.classes\n"
        "print(json.dumps([classes[int(row[: len(classes)].argmax())] for row in rows]))"
    )
    command = [str(python), "-W", "ignore", "-c", code, str(artifact), *map(str, files)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: list[str] = json.loads(result.stdout)
    return found
