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
# What a test waits for is there in a moment; on a machine that is busy with other things it is later, and still right.
PATIENCE = 60.0  # seconds; fewer than the server keeps an idle connection


class Server:
    """`serve` in a process of its own, on a free loopback port."""

    def __init__(self, log_file, model=FAKE, program=ROOT / "container/bin/serve", **environment):
        self.log_file = log_file
        self.environment = {"SERVE_WORKERS": "2", **{name: str(value) for name, value in environment.items()}}
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
                    **self.environment,
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

    def wait_for(self, condition, seconds=PATIENCE):
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
        """The server, once all its workers have loaded the model."""
        self.wait_for(lambda: len(self.workers()) >= int(self.environment["SERVE_WORKERS"]))
        return self

    def connect(self, timeout=PATIENCE):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None, timeout=PATIENCE):
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

    def raw(self, data, timeout=PATIENCE, shut=False):
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

    def in_the_model(self, count):
        """Return once the handler keeps so many requests, and none is queued."""
        self.wait_for(lambda: self.log.count("the handler waits for") == count)
        self.queued(0)  # the figure is a moment old: it counted what was taken since

    def queued(self, count):
        """Return once so many requests are queued for the model."""
        self.wait_for(lambda: self.metrics()["model_server_queued"] == count)

    def hold(self, pool, body, count):
        """Begin so many requests, which the handler keeps: futures of their answers.

        Then the first of each worker is in the model, and the others are queued.
        """
        first = [pool.submit(self.invoke, body) for _ in range(min(count, int(self.environment["SERVE_WORKERS"])))]
        self.in_the_model(len(first))
        others = [pool.submit(self.invoke, body) for _ in range(count - len(first))]
        self.queued(len(others))
        return first + others

    def ended(self):
        """The exit code, once the server has ended."""
        return self.process.wait(PATIENCE)

    def stop(self):
        """SIGTERM, as SageMaker does; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

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
