"""What the handlers of scikit-learn and XGBoost models import: types, encoders, and the response of a worker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from localcloud_programs import serving as server
from sagemaker_inference import content_types, decoder, encoder, errors, transformer
from sagemaker_training import entry_point, modules
from werkzeug.wrappers import Response as _Response

import sagemaker_containers as env


class Response(_Response):
    """An answer with its content type, which is `accept` or `mimetype`."""

    def __init__(
        self, response: Any = None, accept: str | None = None, status: int = 200, mimetype: str | None = None
    ) -> None:
        super().__init__(response, status=status, content_type=accept or mimetype or content_types.JSON)


encoders = SimpleNamespace(
    encode=encoder.encode,
    decode=decoder.decode,
    array_to_npy=lambda array: encoder.encode(array, content_types.NPY),
    array_to_json=lambda array: encoder.encode(array, content_types.JSON),
    array_to_csv=lambda array: encoder.encode(array, content_types.CSV),
    npy_to_numpy=lambda body: decoder.decode(body, content_types.NPY),
    json_to_numpy=lambda body: decoder.decode(body, content_types.JSON),
    csv_to_numpy=lambda body: decoder.decode(body, content_types.CSV),
)
decoders = SimpleNamespace(decode=decoder.decode)
worker = SimpleNamespace(Response=Response)

__all__ = [
    "content_types",
    "decoders",
    "encoders",
    "entry_point",
    "env",
    "errors",
    "modules",
    "server",
    "transformer",
    "worker",
]
