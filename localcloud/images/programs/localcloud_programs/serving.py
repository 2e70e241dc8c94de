"""A model server with AWS's framework containers' functions: `serve` of an image starts it.

A script beside the model (`code/inference.py`, or what SAGEMAKER_PROGRAM and SAGEMAKER_SUBMIT_DIRECTORY name) may hold
model_fn(model_dir), input_fn(body, content_type), predict_fn(data, model) and output_fn(prediction, accept), or
transform_fn(model, body, content_type, accept) in place of the last three. What it leaves out is done as by AWS's
toolkit: arrays are read and written as CSV, JSON or NPY. Source: "Using ... with the SageMaker Python SDK", the pages
about scikit-learn, XGBoost and PyTorch.
"""

from __future__ import annotations

import hmac
import importlib
import logging
import os
import subprocess
import sys
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

from sagemaker_inference import decoder, encoder
from sagemaker_inference.errors import UnsupportedFormatError
from werkzeug.serving import run_simple
from werkzeug.wrappers import Request, Response

from localcloud_programs.script_archive import unpack

logger = logging.getLogger("serve")


class Handler:
    """The functions of a script, with the defaults of a framework and of AWS's toolkit for those that it leaves out."""

    def __init__(self, script: ModuleType | None, defaults: ModuleType | None, model_dir: str) -> None:
        self._sources = [source for source in (script, defaults) if source is not None]
        load = self._function("model_fn")
        if load is None:
            raise RuntimeError("there is no model_fn(model_dir): give the model a script code/inference.py that has it")
        self._model = load(model_dir)

    def _function(self, name: str) -> Any:
        return next((getattr(source, name) for source in self._sources if hasattr(source, name)), None)

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[Any, str]:
        """The answer to a request, and its content type; UnsupportedFormatError for types that cannot be read."""
        whole = self._function("transform_fn")
        if whole is not None:
            return _with_type(whole(self._model, body, content_type, accept), accept)
        read, predict, write = (self._function(name) for name in ("input_fn", "predict_fn", "output_fn"))
        data = read(body, content_type) if read else decoder.decode(body, content_type)
        result = predict(data, self._model) if predict else self._model.predict(data)
        return _with_type(write(result, accept) if write else encoder.encode(result, accept), accept)


def _with_type(answer: Any, accept: str) -> tuple[Any, str]:
    """Return (body, content type) of what a handler function returned; `accept` is the type where it names none."""
    if isinstance(answer, Response):
        return answer.get_data(), answer.content_type or accept
    return answer if isinstance(answer, tuple) else (answer, accept)


def application(handler: Handler) -> Any:
    """The WSGI application of one model: GET /ping and POST /invocations."""

    @Request.application
    def respond(request: Request) -> Response:
        """The answer to a request; 404 for any other path."""
        if request.path == "/ping":
            return Response(status=200)
        if (request.path, request.method) != ("/invocations", "POST"):
            return Response("not found\n", status=404)
        return invoke(handler, request)

    return respond


def guarded(served: Any, key: str) -> Any:
    """The WSGI application behind a check of the header X-Serve-Key; as it is without a key."""

    def respond(environ: dict[str, Any], start: Any) -> Any:
        given = environ.get("HTTP_X_SERVE_KEY", "")
        if hmac.compare_digest(given.encode("latin-1", "replace"), key.encode()):
            return served(environ, start)
        return Response("the header X-Serve-Key does not hold the key of this server\n", status=403)(environ, start)

    return respond if key else served


def invoke(handler: Handler, request: Request) -> Response:
    """Answer as AWS's inference toolkit does: 415 for a format the handler does not take, 500 for an error.

    Text and JSON bodies are given to the handler as text, all others as bytes.
    """
    content_type = (request.content_type or "text/csv").partition(";")[0].strip().lower()
    accept = request.headers.get("Accept", "")
    default = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")
    accept = default if accept in ("", "*/*") else accept.partition(",")[0].strip()
    body: Any = request.get_data()
    if content_type.startswith("text/") or content_type == "application/json":
        body = body.decode("utf-8", "replace")
    try:
        answer, answer_type = handler.answer(body, content_type, accept)
    except UnsupportedFormatError as error:
        return Response(f"{error}\n", status=415)
    except Exception as error:
        traceback.print_exc()
        return Response(f"{type(error).__name__}: {error}\n", status=500)
    return Response(answer, content_type=answer_type)


def script_folder(model_dir: Path) -> Path:
    """The folder of the script: unpacked from S3 if SAGEMAKER_SUBMIT_DIRECTORY says so, else `code` in the model."""
    place = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if not place.startswith("s3://"):
        named = Path(place.removeprefix("file://")) if place else model_dir / "code"
        return named if named.is_dir() else model_dir / "code"
    return _downloaded(place)


@cache
def _downloaded(place: str) -> Path:
    """The folder into which the archive of scripts at this S3 address was unpacked; once in a process."""
    import boto3

    address = urlparse(place)
    folder = Path(os.environ["HOME"]) / "code"
    folder.mkdir(exist_ok=True)
    archive = folder.with_suffix(".tar.gz")
    boto3.client("s3").download_file(address.netloc, address.path.lstrip("/"), str(archive))
    unpack(archive, folder)
    return folder


def script(model_dir: Path) -> ModuleType | None:
    """The model's script, imported with what it requires installed first; None if there is none."""
    folder = script_folder(model_dir)
    program = os.environ.get("SAGEMAKER_PROGRAM", "inference.py")
    if not (folder / program).exists():
        return None
    requirements = folder / "requirements.txt"
    if requirements.exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "--requirement", str(requirements)], check=True)
        importlib.invalidate_caches()
    sys.path.insert(0, str(folder))
    return importlib.import_module(Path(program).stem)


def default_handler() -> ModuleType | None:
    """The module with the image's own functions, for those that a script leaves out."""
    named = os.environ.get("LOCALCLOUD_DEFAULT_HANDLER")
    return importlib.import_module(named) if named else None


def main() -> None:
    """Load the model and serve it until the process is ended; or serve the models that it is told to load."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    host, port = os.environ.get("SERVE_HOST", "127.0.0.1"), int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    if os.environ.get("SAGEMAKER_MULTI_MODEL") == "true":
        from localcloud_programs.serving_models import Models

        served = Models().application()
        logger.info("serving models on port %s", port)
    else:
        model_dir = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
        served = application(Handler(script(model_dir), default_handler(), str(model_dir)))
        logger.info("serving %s on port %s", model_dir, port)
    run_simple(host, port, guarded(served, os.environ.get("SERVE_KEY", "")), threaded=True)
