"""The image without Docker: the Dockerfile's steps in an empty folder, which then serves what the pipeline trained."""

import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcloud.sandbox.artifacts import unpack
from tests.free_ports import free_port

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "container" / "Dockerfile"
SECONDS = 300.0


def _instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) of the Dockerfile, continuation lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


@dataclass
class Image:
    """A folder that stands for the image's /, and its variables."""

    root: Path
    environment: dict[str, str]

    def path(self, inside: str) -> Path:
        return self.root / inside.lstrip("/")

    def inside(self, text: str) -> str:
        """The text with the image's own folders as they are here."""
        return re.sub(r"(?<![\w.])/(opt|usr/local/bin|tmp)(?=/|\b)", f"{self.root}/\\1", text)


def _run(image: Image, arguments: str) -> None:
    """A RUN instruction, but for what installs Debian's packages and users, which need the image's own root."""
    for command in (part.strip() for part in arguments.split("&&")):
        if re.match(r"(apt-get|rm -rf /var/lib/apt|useradd)\b", command):
            continue
        if found := re.fullmatch(r"python -m venv (\S+)", command):
            _uv("venv", "--quiet", "--python", _python(), image.inside(found[1]))
        elif found := re.fullmatch(r"(\S+)/bin/pip install --no-cache-dir (.*)", command):
            target = image.path(found[1]) / "bin" / "python"
            _uv("pip", "install", "--quiet", "--python", target, *image.inside(found[2]).split())
        else:
            shell = ["/bin/sh", "-ec", image.inside(command)]
            subprocess.run(
                shell, env={**image.environment, "PATH": f"{image.path('opt/venv/bin')}:/usr/bin:/bin"}, check=True
            )


def _uv(*arguments: object) -> None:
    """pip's work by uv, from its cache: the same lock file, the same hashes, in seconds."""
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    subprocess.run([ROOT / ".uv" / "bin" / "uv", *map(str, arguments)], env=environment, check=True, timeout=800)


def _python() -> str:
    """The interpreter that the image environment was made with."""
    return str((ROOT / ".venv-image" / "bin" / "python").resolve())


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """What the Dockerfile's instructions put together."""
    made = Image(tmp_path_factory.mktemp("image"), {})
    made.path("tmp").mkdir()
    made.path("usr/local/bin").mkdir(parents=True)
    for name, arguments in _instructions():
        if name == "RUN":
            _run(made, arguments)
        elif name == "COPY" and "--from" not in arguments:
            source, target = arguments.split()
            place = made.path(target)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
        elif name == "ENV":
            made.environment |= dict(pair.split("=", 1) for pair in made.inside(arguments).split())
    yield made
    shutil.rmtree(made.root, ignore_errors=True)


def test_it_holds_the_packages_of_the_lock_file_and_no_other(image: Image) -> None:
    listed = subprocess.run(
        [ROOT / ".uv" / "bin" / "uv", "pip", "list", "--quiet", "--format", "json", "--python",
         image.path("opt/venv/bin/python")],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    installed = {(item["name"].lower(), item["version"]) for item in json.loads(listed)}
    lock = (ROOT / "container" / "requirements.lock").read_text()
    assert installed == set(re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", lock, re.MULTILINE))


def test_its_bill_of_materials_is_in_it(image: Image) -> None:
    document = json.loads(image.path("opt/loadingbay/sbom.cdx.json").read_text())
    assert any(component["name"] == "mxnet" for component in document["components"])


def test_train_and_serve_are_found_on_its_path(image: Image) -> None:
    for program in ("train", "serve", "python"):
        found = shutil.which(program, path=image.environment["PATH"])
        assert found is not None
        assert Path(found).is_relative_to(image.root)


def test_it_serves_the_trained_model_with_the_answers_of_the_endpoint(
    bay: Any, story: dict[str, Any], image: Image, tmp_path: Path
) -> None:
    assert story["endpoint_name"]
    container = bay.versions()[1]["InferenceSpecification"]["Containers"][0]
    bucket, key = container["ModelDataUrl"].removeprefix("s3://").split("/", 1)
    bay.client("s3").download_file(bucket, key, str(tmp_path / "model.tar.gz"))
    unpack(tmp_path / "model.tar.gz", tmp_path / "model")
    photo = next((bay.folder / "runs" / "latest" / "photos").glob("*.png")).read_bytes()
    served = (
        bay.client("sagemaker-runtime")
        .invoke_endpoint(EndpointName="loadingbay", Body=photo, ContentType="image/png", TargetVariant="AllTraffic")[
            "Body"
        ]
        .read()
    )
    assert _answer(image, tmp_path / "model", photo) == json.loads(served)


def _answer(image: Image, model: Path, photo: bytes) -> Any:
    """What the image's `serve` answers to the photo."""
    port = free_port()
    # SERVE_USER is one of the image's own users, which this machine does not have.
    environment = {name: value for name, value in image.environment.items() if name != "SERVE_USER"}
    environment |= {"SERVE_HOST": "127.0.0.1", "SAGEMAKER_BIND_TO_PORT": str(port), "SERVE_WORKERS": "1"}
    process = subprocess.Popen(
        ["serve"], env={**environment, "SM_MODEL_DIR": str(model)},
        executable=shutil.which("serve", path=environment["PATH"]), stderr=sys.stderr,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + SECONDS
        while _asked(port, "GET", "/ping")[0] != 200:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return json.loads(_asked(port, "POST", "/invocations", photo)[1])
    finally:
        process.terminate()
        process.wait(120)


def _asked(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of the answer; status 0 when nobody listens yet."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        try:
            connection.request(method, path, body, {"Content-Type": "image/png"} if body else {})
            with connection.getresponse() as response:
                return response.status, response.read()
        except OSError:
            return 0, b""
