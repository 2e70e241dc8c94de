"""Several models in one server, loaded and unloaded as it is told.

Source: "Custom Containers Contract for Multi-Model Endpoints" in the SageMaker developer guide.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from localcloud_programs.serving import Handler, default_handler, invoke, script


class Models:
    """The models in memory by name. May be used from several threads."""

    def __init__(self) -> None:
        self._handlers: dict[str, tuple[Handler, str]] = {}
        self._loading = threading.Lock()

    def application(self) -> Any:
        """The WSGI application: GET /ping, and what the contract has below /models."""

        @Request.application
        def respond(request: Request) -> Response:
            """The answer to a request; 404 for a model that is not loaded, and for any other path."""
            if request.path == "/ping":
                return Response(status=200)
            words = request.path.strip("/").split("/")
            if words == ["models"]:
                return self.load(request) if request.method == "POST" else self._listed()
            if words[0] != "models" or len(words) < 2 or words[1] not in self._handlers:
                return Response("not found\n", status=404)
            name = words[1]
            handler, url = self._handlers[name]
            if words[2:] == ["invoke"] and request.method == "POST":
                return invoke(handler, request)
            if len(words) == 2 and request.method == "DELETE":
                self._handlers.pop(name, None)
            return _json({"modelName": name, "modelUrl": url})

        return respond

    def load(self, request: Request) -> Response:
        """Load the model that a request names, one at a time; 409 if it is loaded, 500 if it cannot be."""
        wanted = json.loads(request.get_data())
        name, url = wanted["model_name"], wanted["url"]
        with self._loading:
            if name in self._handlers:
                return Response(f"the model {name} is loaded\n", status=409)
            try:
                self._handlers[name] = (_handler(Path(url)), url)
            except MemoryError as error:
                return Response(f"{error}\n", status=507)
            except Exception as error:
                traceback.print_exc()
                return Response(f"{type(error).__name__}: {error}\n", status=500)
        return _json({"modelName": name, "modelUrl": url})

    def _listed(self) -> Response:
        models = [{"modelName": name, "modelUrl": url} for name, (_, url) in sorted(self._handlers.items())]
        return _json({"models": models})


def _handler(model_dir: Path) -> Handler:
    """Load a model with its own script and modules, also where other models have modules of the same names."""
    known, folder = set(sys.modules), f"{model_dir}/"
    try:
        return Handler(script(model_dir), default_handler(), str(model_dir))
    finally:
        sys.path[:] = [place for place in sys.path if not place.startswith(folder)]
        for name in set(sys.modules) - known:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(folder):
                del sys.modules[name]


def _json(document: Any) -> Response:
    return Response(json.dumps(document), content_type="application/json")
