"""The servers compared: how each is installed, started and asked. All get the same artifact, threads and cores."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = HERE / "peers"
NETWORK = ["mxnet==1.9.1", "numpy==1.23.5", "opencv-python-headless<4.9", "Pillow"]
# What our server sets for itself, given to every peer as well: one thread a worker, no second engine thread.
TUNING = {"OMP_NUM_THREADS": "1", "MXNET_ENGINE_TYPE": "NaiveEngine", "MXNET_SUBGRAPH_VERBOSE": "0"}


@dataclass(frozen=True)
class Start:
    """A command and its environment, to be run in `folder`."""

    command: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class Contender:
    """A server. `plan` is given artifact, scratch folder, port, the peer's environment and the number of workers."""

    name: str
    note: str
    plan: Callable[[Path, Path, int, Path, int], Start]
    packages: list[str] = field(default_factory=list)
    content_type: str = "image/png"
    body: Callable[[bytes], bytes] = bytes
    health: str = "/ping"
    answers: bool = True  # false: it does not classify
    form: str = "whole"  # of the artifact, see material.Material

    def environment(self, cache: Path, uv: str) -> Path:
        """The peer's own virtual environment, made when missing. The image's for our own server."""
        if not self.packages:
            return ROOT / ".venv-image"
        folder = cache / self.name.partition(",")[0].replace(" ", "-").lower()
        wanted = "\n".join(self.packages)
        stamp = folder / "packages.txt"
        if not stamp.exists() or stamp.read_text() != wanted:
            subprocess.run([uv, "venv", "--quiet", "--clear", "--python", "3.11", str(folder)], check=True)
            target = str(folder / "bin/python")
            subprocess.run([uv, "pip", "install", "--quiet", "--python", target, *self.packages], check=True)
            stamp.write_text(wanted)
        return folder


def _variables(artifact: Path, venv: Path, port: int, workers: int) -> dict[str, str]:
    """The environment variables that every peer's server is started with."""
    return {
        **TUNING,
        "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"{PEERS}:{artifact / 'code'}",
        "SM_MODEL_DIR": str(artifact),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SERVE_HOST": "127.0.0.1",
        "SERVE_WORKERS": str(workers),
    }


def _ours(artifact: Path, folder: Path, port: int, venv: Path, workers: int) -> Start:
    variables = _variables(artifact, venv, port, workers)
    variables = {name: value for name, value in variables.items() if name not in ("PYTHONPATH", *TUNING)}
    return Start([str(ROOT / "container/bin/serve")], variables)


def _noop(artifact: Path, folder: Path, port: int, venv: Path, workers: int) -> Start:
    return _ours(HERE / "noop", folder, port, venv, workers)


def _aws(artifact: Path, folder: Path, port: int, venv: Path, workers: int) -> Start:
    """How AWS's MXNet serving stack is started for the artifact on the loopback address.

    What `sagemaker_inference.model_server.start_model_server` writes and runs, with its configuration in our folder
    instead of /etc.
    """
    (folder / "model").symlink_to(artifact)
    properties = {
        "enable_envvars_config": "true",
        "decode_input_request": "false",
        "load_models": "ALL",
        "default_response_timeout": 60,
        "default_workers_per_model": workers,
        "inference_address": f"http://127.0.0.1:{port}",
        "management_address": f"http://127.0.0.1:{port}",
        "vmargs": "-XX:-UseContainerSupport",
        "default_service_handler": "sagemaker_inference.default_handler_service",
    }
    configuration = folder / "mms.properties"
    configuration.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    log_configuration = next(venv.glob("lib/python*/site-packages/sagemaker_inference/etc/log4j2.xml"))
    command = [str(venv / "bin/multi-model-server"), "--start", "--foreground", "--model-store", "/"]
    command += ["--mms-config", str(configuration), "--log-config", str(log_configuration)]
    command += ["--models", f"model={folder / 'model'}"]
    variables = _variables(artifact, venv, port, workers)
    return Start(command, {**variables, "SAGEMAKER_BASE_DIR": str(folder), "SAGEMAKER_PROGRAM": "aws_entry.py"})


def _bentoml(artifact: Path, folder: Path, port: int, venv: Path, workers: int) -> Start:
    """How BentoML's server is started for the artifact."""
    command = [str(venv / "bin/bentoml"), "serve", "bento_service:Classifier", "--working-dir", str(PEERS)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    variables = {
        **_variables(artifact, venv, port, workers),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(folder),
    }
    return Start(command, variables)


def _mlflow(artifact: Path, folder: Path, port: int, venv: Path, workers: int) -> Start:
    """Save the artifact in MLflow's format, and say how MLflow's scoring server is started for it."""
    variables = _variables(artifact, venv, port, workers)
    del variables["PYTHONPATH"]
    variables |= {"MLFLOW_DISABLE_TELEMETRY": "true", "UVICORN_ACCESS_LOG": "false"}
    save = [str(venv / "bin/python"), str(PEERS / "mlflow_model.py"), str(artifact), str(folder / "saved")]
    with (folder / "save.log").open("wb") as log:
        subprocess.run(save, cwd=folder, env=variables, check=True, stdout=log, stderr=log)
    command = [
        str(venv / "bin/mlflow"),
        "models",
        "serve",
        "--model-uri",
        str(folder / "saved"),
        "--env-manager",
        "local",
    ]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    return Start(command, variables)


def _mlflow_body(photo: bytes) -> bytes:
    return json.dumps({"inputs": [base64.b64encode(photo).decode()]}).encode()


OURS = Contender("Loading Bay", "this repository's `serve`", _ours)
IN_FLOAT = "the same, without 8-bit networks"
ALONE = "the same, the small network without a second opinion"
OURS_FLOAT = replace(OURS, name="Loading Bay, float", note=IN_FLOAT, form="float")
OURS_ALONE = replace(OURS, name="Loading Bay, alone", note=ALONE, form="alone")
NOOP = Contender("Loading Bay, no-op handler", "the limit that HTTP sets", _noop, answers=False)
AWS = Contender(
    "AWS",
    "multi-model-server 1.1.11 on Java, sagemaker-inference 1.10.1",
    _aws,
    packages=[*NETWORK, "multi-model-server==1.1.11", "sagemaker-inference==1.10.1", "setuptools<81"],
)
AWS_FLOAT = replace(AWS, name="AWS, float", note=IN_FLOAT, form="float")
AWS_ALONE = replace(AWS, name="AWS, alone", note=ALONE, form="alone")
BENTOML = Contender(
    "BentoML",
    "BentoML 1.4.39, raw body as root input",
    _bentoml,
    packages=[*NETWORK, "bentoml==1.4.39"],
    health="/readyz",
)
MLFLOW = Contender(
    "MLflow",
    "mlflow 3.17.2 `models serve`, photos as base64 in JSON, which is its protocol",
    _mlflow,
    packages=[*NETWORK, "mlflow==3.17.2"],
    content_type="application/json",
    body=_mlflow_body,
)
ALL = [OURS, AWS, BENTOML, MLFLOW, OURS_ALONE, AWS_ALONE, OURS_FLOAT, AWS_FLOAT, NOOP]
