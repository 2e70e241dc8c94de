"""A console in front of a local cloud of its own, and a real browser: Debian's Chromium, driven by Playwright.

`make browser` installs Chromium where apt can. Where there is none, the tests are skipped, but never in CI.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect, sync_playwright

from loadingbay.data.samples import write_archive
from loadingbay.stack.local_cloud import health
from loadingbay.target import Target, choose
from tests.browser.screenshots import VISITED
from tests.free_ports import free_port

FLAGS = (
    "--no-sandbox",  # CI is root, for whom Chromium has no sandbox; it sees our own pages alone
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 60_000  # milliseconds for what a job or an endpoint has to do on a busy machine
expect.set_options(timeout=PATIENCE)


def _chromium() -> str:
    """Return the path of Chromium; without one, skip the test, or fail it in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return found
    why = "there is no Chromium: `make browser` installs it"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


@dataclass
class Console:
    """A console and the folder with the local cloud that it is in front of."""

    folder: Path
    port: int
    data: Path
    process: subprocess.Popen[str] | None = None
    page_port: int = 0
    address: str = ""
    credentials: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LOADINGBAY_"))}
        ours = {"LOADINGBAY_FOLDER": str(self.folder), "LOADINGBAY_PORT": str(self.port), "PYTHONFAULTHANDLER": "1"}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"  # commands are shown by their bare names
        return {**kept, **ours, "PATH": path, **self.credentials}

    @property
    def target(self) -> Target:
        return choose({"LOADINGBAY_PORT": str(self.port)}, self.folder)

    @property
    def base(self) -> str:
        return self.address.split("/enter")[0]

    def cli(self, *arguments: str) -> None:
        """Run a command of `loadingbay` on the console's cloud; the test fails if it does."""
        done = subprocess.run(
            [sys.executable, "-m", "loadingbay.cli", *arguments], env=self.environment, cwd=self.folder, text=True,
            capture_output=True, timeout=600, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.fail(f"loadingbay {arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")

    def start(self) -> None:
        """Starts the console; reads the address that it prints."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "loadingbay.cli", "console", "--no-open", "--port", str(self.page_port)],
            env=self.environment, cwd=self.folder, text=True, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + self.process.stderr.read()
        self.address = found.group()
        self.page_port = int(self.base.rsplit(":", 1)[1])

    def kill_cloud(self) -> None:
        """kill -9 of the local cloud: it stores nothing any more, and says nothing."""
        found = health(self.target)
        assert found
        os.kill(int(found["pid"]), signal.SIGKILL)

    def stop(self) -> None:
        """Ends the console as a terminal that closes does. Fails with the stacks of its threads if it does not end."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # the fault handler prints where each thread is
            pytest.fail(f"the console did not end:\n{self.process.communicate(timeout=60)[1]}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, started once for all tests."""
    path = _chromium()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def console(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console in front of a local cloud that has the application, and no version yet; IAM is enforced."""
    folder = tmp_path_factory.mktemp("console")
    data = folder / "cifar-100-python.tar.gz"
    write_archive(data, train=240, test=80)  # seconds of training; how good the model is does not matter here
    made = Console(folder, free_port(), data)
    made.cli("up", "--enforce-iam")
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.cli("down")


@pytest.fixture
def somebody(console: Console, tmp_path: Path) -> Iterator[Console]:
    """A second console on the same cloud, of the user `somebody`, who has no rights, from a folder of their own."""
    iam = console.target.client("iam")
    iam.create_user(UserName="somebody")
    key = iam.create_access_key(UserName="somebody")["AccessKey"]
    credentials = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{console.port}",
        "AWS_DEFAULT_REGION": console.target.resolved_region,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }
    made = Console(tmp_path, console.port, console.data, credentials=credentials)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def new_page(console: Console, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Makes a page in a browser of its own that has come in; what its script complains of fails the test."""
    contexts: list[Any] = []
    complaints: list[str] = []
    entered: list[Page] = []

    def dismiss(dialog: Dialog) -> None:
        complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def new(**options: Any) -> Page:
        context = browser.new_context(viewport=options.pop("viewport", {"width": 1100, "height": 800}), **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", dismiss)
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.on("framenavigated", lambda frame: VISITED.add(frame.url.removeprefix(console.base).partition("#")[0]))
        page.goto(_address(console, browser))
        entered.append(page)
        return page

    yield new
    for context in contexts:
        context.close()
    assert not complaints


_door: list[Any] = []


def _address(console: Console, browser: Browser) -> str:
    """An address that works once: the printed one for the first page, then what `Another browser` shows there."""
    if not _door or _door[0] != console.address:
        context = browser.new_context()
        page = context.new_page()
        page.goto(console.address)
        _door[:] = [console.address, page]
    page = _door[1]
    page.goto(f"{console.base}/history")
    page.click("text=Another browser")
    return str(page.inner_text("#another-address:has-text('http')").split()[-1])
