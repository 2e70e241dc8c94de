"""A model artifact without a network, for the tests of Evaluate, and photos that it can tell apart by their tint."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
CLASSES = ("ant", "bee")

# Ants are red and bees green; what is blue is in distribution the less, where the artifact says so.
HANDLER = """
import io, json, pathlib
import numpy as np
from PIL import Image

def model_fn(folder):
    return json.loads((pathlib.Path(folder) / "model.json").read_text())

def input_fn(body, kind):
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB").resize((8, 8)))[None]

def predict_fn(images, model):
    red, green, blue = images.reshape(len(images), -1, 3).mean(axis=1).T - np.asarray(model["mean"])[:, None]
    bee = 1 / (1 + np.exp((red - green) / 40))
    return np.stack([1 - bee, bee, 1 / (1 + np.exp((blue - 90) / 20))], axis=1)

def output_fn(rows, accept, model):
    answer = {"predictions": [], "threshold": model["threshold"]}
    if "in_distribution_threshold" in model:
        answer["in_distribution_threshold"] = model["in_distribution_threshold"]
    for ant, bee, inside in rows.tolist():
        one = {"label": "ant" if ant >= bee else "bee", "confidence": max(ant, bee)}
        if one["label"] in model.get("class_thresholds", {}):
            one["threshold"] = model["class_thresholds"][one["label"]]
        one["probabilities"] = {"ant": ant, "bee": bee}
        answer["predictions"].append(one | {"in_distribution": inside})
    return json.dumps(answer).encode(), "application/json"
"""
# Answers the same to every photo.
FIXED = """
import json
import numpy

def model_fn(folder): return None
def input_fn(body, kind): return numpy.zeros((1, 2, 2, 3), numpy.uint8)
def predict_fn(images, model): return images
def output_fn(images, accept, model):
    one = {"label": "bee", "confidence": 0.75, "probabilities": {"ant": 0.25, "bee": 0.75}}
    return json.dumps({"predictions": [one] * len(images), "threshold": 0.5}).encode(), accept
"""
ABOUT = {
    "classes": list(CLASSES),
    "threshold": 0.8,
    "temperature": 1.0,
    "target_precision": 0.97,
    "mean": [0, 0, 0],
    "data_label": "photos",
    "data_sha256": "d" * 64,
    "code_sha256": "c" * 64,
    "seed": 1,
    "versions": {"python": "3.11"},
    "out_of_fold": {"accuracy": 0.9, "count": 40, "per_class_thresholds": {"ant": 0.7, "bee": 0.8}},
}


def write(folder: Path, **about: object) -> Path:
    """An unpacked artifact; `about` changes its model.json."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "inference.py").write_text(HANDLER)
    shutil.copyfile(ROOT / "training" / "metrics.py", folder / "code" / "metrics.py")
    (folder / "model.json").write_text(json.dumps({**ABOUT, **about}))
    epochs = [{"phase": phase, "epoch": f"{n}/2", "train_loss": 1 / n} for phase in ("fold-1", "final") for n in (1, 2)]
    (folder / "history.json").write_text(json.dumps([entry | {"validation_accuracy": 0.5} for entry in epochs]))
    return folder


def tinted(label: int, rng: np.random.Generator, side: int = 32) -> np.ndarray:
    """Noise with a tint: red, green or blue by `label`."""
    pixels = rng.integers(0, 100, (side, side, 3)).astype(np.uint8)
    pixels[..., label] += 120
    return pixels


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    """The pixels as an image file."""
    body = io.BytesIO()
    Image.fromarray(pixels).save(body, kind, **options)
    return body.getvalue()
