"""The serving functions of AWS's PyTorch and Hugging Face containers, which a user's script replaces one by one.

PyTorch: a TorchScript file model.pt, tensors of 32 bits, no gradients. Hugging Face: a pipeline of transformers for the
task that HF_TASK names, or that the model's own configuration does, with requests such as {"inputs": ...}.
Source: "Using PyTorch with the SageMaker Python SDK" and the SageMaker Hugging Face Inference Toolkit.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from sagemaker_inference import content_types, decoder, encoder
from sagemaker_inference.errors import UnsupportedFormatError

_TASKS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "ForImageClassification": "image-classification",
}
"""The task of a model by the end of its architecture's name."""


def _hugging_face() -> bool:
    return "huggingface" in os.environ.get("LOCALCLOUD_IMAGE", "")


def model_fn(model_dir: str) -> Any:
    """The pipeline or the TorchScript module that the folder holds; RuntimeError if it holds neither."""
    if _hugging_face():
        return _pipeline(Path(model_dir))
    path = Path(model_dir) / "model.pt"
    if not path.exists():
        raise RuntimeError(
            "there is no model_fn(model_dir): give the model a script code/inference.py that has it, or store the"
            " model with torch.jit.save as model.pt"
        )
    return torch.jit.load(str(path), map_location="cpu")


def _pipeline(model_dir: Path) -> Any:
    """The pipeline for the task of a model; RuntimeError if neither HF_TASK nor the model names one."""
    from transformers import pipeline

    config = model_dir / "config.json"
    architectures = json.loads(config.read_text()).get("architectures", []) if config.exists() else []
    found = (task for end, task in _TASKS.items() for name in architectures if name.endswith(end))
    task = os.environ.get("HF_TASK") or next(found, None)
    if task is None:
        raise RuntimeError(f"HF_TASK is not set, and {config} names no architecture whose task is known")
    return pipeline(task=task, model=os.environ.get("HF_MODEL_ID") or str(model_dir), device=-1)


def input_fn(body: Any, content_type: str) -> Any:
    """The JSON of a request to Hugging Face, or a tensor; UnsupportedFormatError for a type that cannot be read."""
    if _hugging_face():
        if content_type != content_types.JSON:
            raise UnsupportedFormatError(content_type)
        return json.loads(body)
    array = decoder.decode(body, content_type)
    return torch.from_numpy(array) if content_type == content_types.NPY else torch.FloatTensor(array)


def predict_fn(data: Any, model: Any) -> Any:
    """What the pipeline gives for the request's inputs and parameters, or the module for the tensor."""
    if isinstance(data, dict):
        inputs = data.get("inputs", data)
        parameters = data.get("parameters") or {}
        return model(**inputs, **parameters) if isinstance(inputs, dict) else model(inputs, **parameters)
    if not isinstance(model, torch.nn.Module):
        return model(data)
    model.eval()
    with torch.no_grad():
        return model(data)


def output_fn(prediction: Any, accept: str) -> Any:
    """The answer in the type that is asked for: a tensor as its numbers, all else as it is."""
    if isinstance(prediction, torch.Tensor):
        prediction = prediction.detach().cpu().numpy()
    return encoder.encode(prediction, accept)
