"""A handler that does as the request's body says: what the server's tests serve instead of a network."""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

LABELS = ("bicycle", "motorcycle")


class UnsupportedContentType(ValueError):  # noqa: N818 - the name of the handler contract
    pass


def model_fn(model_dir):
    """Load, or do as FAKE_LOAD says first: `raise`, `die`, or wait until the file of that name is there."""
    how = os.environ.get("FAKE_LOAD")
    if how == "raise":
        raise RuntimeError("weights are missing")
    if how == "die":
        os._exit(3)
    if how:
        _hold(how)
    return LABELS


def _hold(path):
    """Say in the server's log that the handler has begun to wait, and wait until the file is there."""
    print("the handler waits for", path, file=sys.stderr, flush=True)
    while not Path(path).exists():
        time.sleep(0.01)


def input_fn(body, content_type):
    """Read a body as images, or do what a body that begins with a command says, such as `raise-on-read`."""
    if content_type not in ("image/png", "image/jpeg", "application/json"):
        raise UnsupportedContentType(f"content type {content_type!r} is not read here")
    word, _, argument = body.partition(b" ")
    if word == b"raise-on-read":
        raise RuntimeError("secret detail of the failure")
    if word == b"die":
        os.kill(os.getpid(), 9)
    if content_type == "application/json":
        count, value = len(json.loads(body)["instances"]), 128
    elif body.startswith(b"\x89PNG"):
        count, value = 1, 128
    elif word in (b"value", b"hold", b"raise-on-predict", b"raise-on-write"):
        count, value = 1, {b"raise-on-predict": 255, b"raise-on-write": 254}.get(word, 0)
        if word == b"value":
            value = int(argument)
        if word == b"hold":
            _hold(os.fsdecode(argument.strip()))
    else:
        raise ValueError("the image is neither PNG nor JPEG")
    return np.full((count, 4, 4, 3), value, np.uint8)


def predict_fn(images, model):
    if (images == 255).any():
        raise RuntimeError("the network does not like white")
    share = images[:, 0, 0, 0].astype(np.float32) / 255
    return np.stack([share, 1 - share], axis=1)


def output_fn(probabilities, accept, model):
    """Write probabilities as JSON or CSV; those of a certain first class cannot be written."""
    if (probabilities[:, 0] > 0.99).any():
        raise RuntimeError("this cannot be written")
    if accept == "text/csv":
        return "".join(f"{row[0]:.4f},{row[1]:.4f}\n" for row in probabilities).encode(), "text/csv"
    answer = {
        "predictions": [{"probabilities": dict(zip(model, map(float, row), strict=True))} for row in probabilities]
    }
    return json.dumps(answer).encode(), "application/json"
