"""The artifact's handler behind BentoML: `bentoml serve bento_service:Classifier`."""

import os
from pathlib import Path
from typing import Annotated, Any

import bentoml
import inference
from bentoml.validators import ContentType


@bentoml.service(
    workers=int(os.environ["SERVE_WORKERS"]), traffic={"timeout": 60}, logging={"access": {"enabled": False}}
)
class Classifier:
    """One photo in, JSON out."""

    def __init__(self) -> None:
        self.model = inference.model_fn(os.environ["SM_MODEL_DIR"])

    @bentoml.api(route="/invocations")
    def classify(self, image: Annotated[Path, ContentType("image/png")], /) -> dict[str, Any]:
        """BentoML hands a raw body over as a file."""
        answers = inference.predict_fn(inference.input_fn(image.read_bytes(), "image/png"), self.model)
        classes = self.model.classes
        row = answers[0, : len(classes)].tolist()
        label = classes[row.index(max(row))]
        return {"predictions": [{"label": label, "confidence": max(row), "probabilities": dict(zip(classes, row))}]}  # noqa: B905
