"""Answers as AWS's TensorFlow containers do: a SavedModel behind the REST format of TensorFlow Serving.

The model lies in a folder with a number, its version. A script `code/inference.py` may hold input_handler(data,
context) and output_handler(response, context), which translate from and to that format.
Source: "Deploying a TensorFlow Serving Model" in the SageMaker Python SDK, and TensorFlow Serving's RESTful API.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf
from sagemaker_inference.errors import UnsupportedFormatError

JSON = ("application/json", "application/jsons", "application/jsonlines")


def model_fn(model_dir: str) -> Any:
    """The SavedModel of the highest version below the folder; RuntimeError if there is none."""
    found = [path.parent for path in Path(model_dir).rglob("saved_model.pb") if path.parent.name.isdigit()]
    if not found:
        raise RuntimeError(f"{model_dir} holds no saved_model.pb in a folder with a number, such as 1/saved_model.pb")
    return tf.saved_model.load(str(max(found, key=lambda path: int(path.name))))


def transform_fn(model: Any, body: Any, content_type: str, accept: str) -> tuple[Any, str]:
    """The answer to a request, through the handlers of the script if it has them.

    UnsupportedFormatError for a content type that neither the script nor the container reads; ValueError if the body is
    not in TensorFlow Serving's format.
    """
    script: Any = sys.modules.get(Path(os.environ.get("SAGEMAKER_PROGRAM", "inference.py")).stem)
    context = SimpleNamespace(
        request_content_type=content_type,
        accept_header=accept,
        content_length=len(body),
        custom_attributes="",
        method="predict",
        model_name="model",
        model_version="1",
    )
    if hasattr(script, "input_handler"):
        raw = body.encode() if isinstance(body, str) else body
        asked = script.input_handler(io.BytesIO(raw), context)
        asked = json.loads(asked) if isinstance(asked, str | bytes) else asked
    else:
        asked = read(body, content_type)
    answer = json.dumps(predict(model, asked))
    if hasattr(script, "output_handler"):
        response = SimpleNamespace(
            status_code=200, content=answer.encode(), text=answer, json=lambda: json.loads(answer)
        )
        written: tuple[Any, str] = script.output_handler(response, context)
        return written
    return answer, "application/json"


def read(body: Any, content_type: str) -> Any:
    """A body as the JSON of a request to TensorFlow Serving; UnsupportedFormatError unless it is JSON or CSV."""
    text = body.decode() if isinstance(body, bytes) else body
    if content_type == "text/csv":
        return {"instances": [[float(value) for value in row] for row in csv.reader(io.StringIO(text)) if row]}
    if content_type not in JSON:
        raise UnsupportedFormatError(content_type)
    try:
        asked = json.loads(text)
    except ValueError:
        asked = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(asked, dict) and {"instances", "inputs"} & set(asked):
        return asked
    return {"instances": asked if isinstance(asked, list) else [asked]}


def predict(model: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """The model's answer in the same form: rows for `instances`, columns for `inputs`; ValueError for other inputs."""
    signature = model.signatures[asked.get("signature_name", "serving_default")]
    specs = signature.structured_input_signature[1]
    by_row = "instances" in asked
    given = asked["instances"] if by_row else asked["inputs"]
    if by_row and given and isinstance(given[0], dict):
        given = {name: [row[name] for row in given] for name in given[0]}
    columns = given if isinstance(given, dict) else {next(iter(specs)): given}
    unknown = set(columns) ^ set(specs)
    if unknown:
        raise ValueError(f"the model's inputs are {sorted(specs)}, and the request has {sorted(columns)}")
    result = signature(**{name: tf.constant(columns[name], dtype=specs[name].dtype) for name in specs})
    outputs = {name: _plain(value) for name, value in result.items()}
    only = next(iter(outputs.values())) if len(outputs) == 1 else None
    if not by_row:
        return {"outputs": outputs if only is None else only}
    rows = [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]
    return {"predictions": rows if only is None else only}


def _plain(value: Any) -> Any:
    array = value.numpy()
    return np.char.decode(array.astype(bytes)).tolist() if array.dtype == object else array.tolist()
