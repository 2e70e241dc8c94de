"""PyTorch and Hugging Face models answer without functions of a script; the libraries are doubles here."""

import contextlib
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest


class UnsupportedFormatError(Exception):
    """What AWS's toolkit raises for a content type."""


class Tensor(np.ndarray):
    """An array."""


class Module:
    """A network that adds up the columns of its rows."""

    evaluates = False

    def eval(self) -> None:
        self.evaluates = True

    def __call__(self, rows: Any) -> Any:
        return rows.sum(axis=1)


def tensor(values: Any) -> Any:
    return np.asarray(values, dtype=np.float32).view(Tensor)


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, on doubles of the packages that are in the image's environment only."""
    errors = SimpleNamespace(UnsupportedFormatError=UnsupportedFormatError)
    toolkit = SimpleNamespace(
        errors=errors,
        content_types=SimpleNamespace(JSON="application/json", NPY="application/x-npy"),
        decoder=SimpleNamespace(decode=lambda body, content_type: np.asarray(json.loads(body))),
        encoder=SimpleNamespace(encode=lambda value, accept: json.dumps(value)),
    )
    torch = SimpleNamespace(
        FloatTensor=tensor,
        Tensor=Tensor,
        nn=SimpleNamespace(Module=Module),
        no_grad=contextlib.nullcontext,
    )
    pipeline = lambda task, model, device: lambda *inputs, **given: [task, model, list(inputs), given]  # noqa: E731
    doubles = {
        "torch": torch,
        "transformers": SimpleNamespace(pipeline=pipeline),
        "sagemaker_inference": toolkit,
        "sagemaker_inference.errors": errors,
    }
    for name, double in doubles.items():
        monkeypatch.setitem(sys.modules, name, double)
    yield importlib.import_module("localcloud_programs.pytorch_serving")
    sys.modules.pop("localcloud_programs.pytorch_serving")


def test_a_network_gets_a_tensor_and_computes_no_gradients(serving: ModuleType) -> None:
    network = Module()

    predicted = serving.predict_fn(serving.input_fn("[[1, 2], [3, 4]]", "application/json"), network)

    assert predicted.tolist() == [3.0, 7.0]
    assert network.evaluates


def test_a_model_that_nothing_can_load_says_what_is_missing(serving: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"no model_fn\(model_dir\).*model.pt"):
        serving.model_fn(str(tmp_path))


def test_a_hugging_face_model_is_a_pipeline_for_its_task(
    serving: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALCLOUD_IMAGE", "763104351884.dkr.ecr/huggingface-pytorch-inference:2.1")
    (tmp_path / "config.json").write_text('{"architectures": ["DistilBertForSequenceClassification"]}')

    model = serving.model_fn(str(tmp_path))
    asked = serving.input_fn('{"inputs": "good", "parameters": {"top_k": 2}}', "application/json")

    answer = ["text-classification", str(tmp_path), ["good"], {"top_k": 2}]
    assert json.loads(serving.output_fn(serving.predict_fn(asked, model), "application/json")) == answer


def test_a_hugging_face_model_without_a_task_says_so(
    serving: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALCLOUD_IMAGE", "763104351884.dkr.ecr/huggingface-pytorch-inference:2.1")

    with pytest.raises(RuntimeError, match="HF_TASK is not set"):
        serving.model_fn(str(tmp_path))
