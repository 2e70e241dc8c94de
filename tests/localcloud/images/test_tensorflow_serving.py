"""A TensorFlow model answers in the REST format of TensorFlow Serving; TensorFlow itself is a double here."""

import importlib
import json
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest


class UnsupportedFormatError(Exception):
    """What AWS's toolkit raises for a content type."""


class Tensor(np.ndarray):
    """An array that gives itself as a tensor does."""

    def numpy(self) -> Any:
        return np.asarray(self)


def tensor(values: Any) -> Any:
    return np.asarray(values, dtype=float).view(Tensor)


class Sum:
    """A signature with one input, x, and the sum of its rows."""

    structured_input_signature = ((), {"x": SimpleNamespace(dtype=float)})

    def __call__(self, x: Any) -> dict[str, Any]:
        return {"total": tensor(np.asarray(x).sum(axis=1, keepdims=True))}


MODEL = SimpleNamespace(signatures={"serving_default": Sum()})


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, on doubles of the packages that are in the image's environment only."""
    errors = SimpleNamespace(UnsupportedFormatError=UnsupportedFormatError)
    doubles = {
        "tensorflow": SimpleNamespace(constant=lambda values, dtype: tensor(values)),
        "sagemaker_inference": SimpleNamespace(errors=errors),
        "sagemaker_inference.errors": errors,
    }
    for name, double in doubles.items():
        monkeypatch.setitem(sys.modules, name, double)
    yield importlib.import_module("localcloud_programs.tensorflow_serving")
    sys.modules.pop("localcloud_programs.tensorflow_serving")


@pytest.mark.parametrize(
    ("body", "content_type", "answer"),
    [
        ('{"instances": [[1, 2], [3, 4]]}', "application/json", {"predictions": [[3.0], [7.0]]}),
        ('{"instances": [{"x": [1, 2]}]}', "application/json", {"predictions": [[3.0]]}),
        ('{"inputs": {"x": [[1, 2]]}}', "application/json", {"outputs": [[3.0]]}),
        ("[[1, 2]]", "application/json", {"predictions": [[3.0]]}),
        ("[1, 2]\n[3, 4]\n", "application/jsonlines", {"predictions": [[3.0], [7.0]]}),
        ("1,2\n3,4\n", "text/csv", {"predictions": [[3.0], [7.0]]}),
    ],
)
def test_a_request_is_answered_in_its_form(
    serving: ModuleType, body: str, content_type: str, answer: dict[str, Any]
) -> None:
    text, answer_type = serving.transform_fn(MODEL, body, content_type, "application/json")

    assert (json.loads(text), answer_type) == (answer, "application/json")


def test_a_script_translates_both_ways(serving: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    script: Any = ModuleType("inference")
    script.input_handler = lambda data, context: json.dumps({"instances": [json.loads(data.read())["row"]]})
    script.output_handler = lambda response, context: (response.json()["predictions"], context.accept_header)
    monkeypatch.setitem(sys.modules, "inference", script)

    assert serving.transform_fn(MODEL, '{"row": [1, 2]}', "any/type", "text/plain") == ([[3.0]], "text/plain")


def test_other_requests_are_refused(serving: ModuleType) -> None:
    with pytest.raises(UnsupportedFormatError):
        serving.transform_fn(MODEL, "x", "image/png", "application/json")
    with pytest.raises(ValueError, match=r"inputs are \['x'\], and the request has \['y'\]"):
        serving.transform_fn(MODEL, '{"inputs": {"y": [[1]]}}', "application/json", "application/json")
