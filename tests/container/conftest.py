"""Starts real model servers for the tests, and talks to them."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAKE = Path(__file__).parent / "fake_artifact"
PNG = {"Content-Type": "image/png"}


class Server:
    """`serve` in a process of its own, on a free loopback port."""

    def __init__(self, log_file, model=FAKE, program=ROOT / "container/bin/serve", **environment):
        self.log_file = log_file
        with log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(program)],
                stderr=log,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "SM_MODEL_DIR": str(model),
                    "SERVE_HOST": "127.0.0.1",
                    "SAGEMAKER_BIND_TO_PORT": "0",
                    "SERVE_WORKERS": "2",
                    **{name: str(value) for name, value in environment.items()},
                },
            )

    @property
    def log(self):
        return self.log_file.read_text()

    @property
    def port(self):
        if not hasattr(self, "_port"):
            match = self.wait_for(lambda: re.search(r"listening on http://127\.0\.0\.1:(\d+)", self.log))
            self._port = int(match[1])
        return self._port

    def wait_for(self, condition, seconds=30.0):
        """The condition's first true value."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := condition():
                return value
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"waited {seconds} s in vain; exit code {self.process.poll()}; log:\n{self.log}")

    def ready(self):
        self.wait_for(lambda: self.log.count("is ready") >= 2)
        return self

    def connect(self, timeout=10.0):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=10.0):
        """Status, headers and body of one request on a connection of its own."""
        connection = self.connect(timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def invoke(self, body, **headers):
        return self.request("POST", "/invocations", body, {**PNG, **headers})

    def raw(self, data, timeout=10.0, shut=False):
        """Everything the server sends in answer to these bytes until it closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as connection:
            connection.sendall(data)
            if shut:
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(65_536):
                answer += part
            return answer

    def metrics(self):
        """{'name{labels}': value} as /metrics shows it."""
        text = self.request("GET", "/metrics")[2].decode()
        rows = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in rows}

    def workers(self):
        """Process ids of the live workers, by log."""
        return [int(number) for number in re.findall(r"worker \d+ \(process (\d+)\) is ready", self.log)]

    def stop(self, seconds=10.0):
        """SIGTERM, as SageMaker does; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self):
        """End the server: by SIGTERM, after 10 s by SIGKILL."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture(scope="session")
def server_type():
    """The class, for fixtures that live longer than a test."""
    return Server


@pytest.fixture
def start(tmp_path):
    """Start servers that end with the test: start(MODEL_VERSION="7", ...)."""
    servers = []

    def one(**options):
        servers.append(Server(tmp_path / f"serve-{len(servers)}.log", **options))
        return servers[-1]

    yield one
    for server in servers:
        server.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all tests of a file: none of them may harm it."""
    one = Server(tmp_path_factory.mktemp("serve") / "serve.log").ready()
    yield one
    one.kill()
