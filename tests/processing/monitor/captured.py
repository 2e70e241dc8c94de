"""Captured lines, labels and evaluations as the tests of monitoring need them."""

import base64
import io
import json

from hypothesis import strategies as st
from PIL import Image

from processing.monitor import reports


def photo(colour="red", size=(8, 6), kind="PNG"):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


def part(content_type, body, encoding="BASE64"):
    data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode()
    return {"observedContentType": content_type, "mode": "X", "data": data, "encoding": encoding}


def capture(number, *confidences, threshold=0.8, label="bicycle", inference_id=None, encoding="JSON", **more):
    """One captured line, as the endpoint writes it."""
    predictions = [{"label": label, "confidence": confidence, **more.get("each", {})} for confidence in confidences]
    answer = {
        "predictions": predictions,
        "threshold": threshold,
        **more.get("also", {}),
        "model": {"data_label": more.get("data_label", "photos")},
    }
    body = more.get("body", photo())
    about = {"eventId": f"event-{number}", "inferenceTime": f"2026-04-29T00:{number // 60:02}:{number % 60:02}Z"}
    if inference_id:
        about["inferenceId"] = inference_id
    data = {
        "endpointInput": part(more.get("content_type", "image/png"), body),
        "endpointOutput": more.get("output") or part("application/json", json.dumps(answer).encode(), encoding),
    }
    return json.dumps({"captureData": data, "eventMetadata": about, "eventVersion": "0"}) + "\n"


EVALUATION = {
    "gate": {"accuracy": 0.9, "coverage": 0.8, "accepted_precision": 0.97},
    "metadata": {"threshold": "0.7000"},
    "calibration": {
        "bins": [
            {"confidence": 0.55, "accuracy": 0.5, "count": 20},
            {"confidence": 0.85, "accuracy": 0.9, "count": 30},
            {"confidence": 0.97, "accuracy": 1.0, "count": 50},
        ]
    },
    "multiclass_classification_metrics": {
        "confusion_matrix": {
            "bicycle": {"bicycle": 45, "motorcycle": 5},
            "motorcycle": {"bicycle": 5, "motorcycle": 45},
        }
    },
}
HISTORY = [
    {"phase": phase, "epoch": f"{epoch}/4", "train_loss": 1 / epoch, "validation_accuracy": accuracy}
    for phase in ("fold-1/2", "fold-2/2", "final")
    for epoch, accuracy in ((1, None), (2, 0.6), (3, None), (4, 0.9))
    if phase != "final" or accuracy is None
]


def texts(monkeypatch):
    """Collects every word that is drawn."""
    seen = []
    save = reports._save

    def keep(fig, path):
        import matplotlib.text

        seen.extend(item.get_text() for item in fig.findobj(matplotlib.text.Text) if item.get_text())
        save(fig, path)

    monkeypatch.setattr(reports, "_save", keep)
    return seen


def truth(identity, label, **about):
    """A label in SageMaker's Ground Truth form."""
    data = {"data": label, "encoding": "CSV"}
    return {"groundTruthData": data, "eventMetadata": {"eventId": identity, **about}, "eventVersion": "0"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    """The path to every value within a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(value, path, new):
    """The JSON value with another one at the path."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy
