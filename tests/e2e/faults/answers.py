"""What artifacts answer, without a server: `.venv-image/bin/python answers.py PHOTOS MODEL_DIR...` prints JSON.

{fingerprint of the artifact: {photo: {class: probability}}}; each photo is asked alone.
"""

import importlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from container.modelserver.handler import fingerprint


def answers(model: Path, photos: Path) -> dict[str, dict[str, float]]:
    """Each photo's answer, from the handler that the artifact carries."""
    for name in [name for name, module in sys.modules.items() if "/code/" in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]
    sys.path.insert(0, str(model / "code"))
    handler = importlib.import_module("inference")
    sys.path.pop(0)
    loaded = handler.model_fn(str(model))
    found = {}
    for photo in sorted(photos.glob("*.png")):
        images = handler.input_fn(photo.read_bytes(), "image/png")
        body, _ = handler.output_fn(handler.predict_fn(images, loaded), "application/json", loaded)
        found[photo.name] = json.loads(body)["predictions"][0]["probabilities"]
    return found


if __name__ == "__main__":
    photos, *models = map(Path, sys.argv[1:])
    print(json.dumps({fingerprint(model): answers(model, photos) for model in models}))
