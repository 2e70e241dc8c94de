"""Tiny channels of RecordIO for tests: photos of noise tinted by class."""

import hashlib
import io
import json
from pathlib import Path

import mxnet as mx
import numpy as np
from PIL import Image


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    body = io.BytesIO()
    Image.fromarray(pixels).save(body, kind, **options)
    return body.getvalue()


def tinted(label: int, rng: np.random.Generator, side: int = 32) -> np.ndarray:
    pixels = rng.integers(0, 100, (side, side, 3)).astype(np.uint8)
    pixels[..., label % 3] += 120
    return pixels


def write(folder: Path, count: int, classes: tuple[str, ...] = ("ant", "bee"), labels: list[int] | None = None) -> Path:
    """Write a channel of `count` tinted photos, the classes in turn unless `labels` says otherwise; its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    labels = [row % len(classes) for row in range(count)] if labels is None else labels
    bodies = [encoded(tinted(label, rng)) for label in labels]
    return write_bodies(folder, bodies, labels, classes)


def add_outliers(channel: Path, count: int, name: str = "cow") -> None:
    """Photos of another thing, grey noise, beside a channel's own."""
    rng = np.random.default_rng(9)
    writer = mx.recordio.MXRecordIO(str(channel / "outliers.rec"), "w")
    for row in range(count):
        grey = np.repeat(rng.integers(100, 180, (32, 32, 1)), 3, axis=2).astype(np.uint8)
        writer.write(mx.recordio.pack(mx.recordio.IRHeader(0, 0.0, row, 0), encoded(grey)))
    writer.close()
    about = json.loads((channel / "dataset.json").read_text())
    about["outliers"] = {"train": {name: count}, "test": {"dog": 3}}
    (channel / "dataset.json").write_text(json.dumps(about))


def write_bodies(folder: Path, bodies: list[bytes], labels: list[int], classes: tuple[str, ...]) -> Path:
    """Write a channel of these encoded photos with their class indices; its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = mx.recordio.MXIndexedRecordIO(str(folder / "images.idx"), str(folder / "images.rec"), "w")
    for row, (body, label) in enumerate(zip(bodies, labels, strict=True)):
        writer.write_idx(row, mx.recordio.pack(mx.recordio.IRHeader(0, float(label), row, 0), body))
    writer.close()
    about = {
        "classes": list(classes),
        "count": len(bodies),
        "per_class": {name: labels.count(index) for index, name in enumerate(classes)},
        "label": "photos",
        "sha256": hashlib.sha256((folder / "images.rec").read_bytes()).hexdigest(),
        "source": "tests",
    }
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder
