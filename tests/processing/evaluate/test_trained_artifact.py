"""Evaluate on a trained artifact: it scores exactly what the handler answers."""

import base64
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("MXNET_ENGINE_TYPE", "NaiveEngine")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MXNet 1.9.1 warns of its own use of numpy.bool when it is imported
    import mxnet  # noqa: F401
from processing import datasets
from processing.evaluate import __main__ as evaluate
from processing.evaluate import answers
from tests.formats import check
from tests.training import channels

CLASSES = ("ant", "bee")


@pytest.fixture(scope="module")
def model(tiny_job: tuple[Path, str]) -> Path:
    """An artifact that the training script made."""
    return tiny_job[0] / "model"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return channels.write(tmp_path_factory.mktemp("test"), 20)


@pytest.mark.usefixtures("few_drawn")
def test_a_trained_artifact_is_evaluated_whole(model: Path, photos: Path, tmp_path: Path) -> None:
    flags = ["--model", str(model), "--test", str(photos), "--output", str(tmp_path)]
    assert evaluate.main([*flags, "--champion-model", str(model)]) == 0
    found = json.loads((tmp_path / "evaluation.json").read_text())
    check("evaluation", found)
    check("model", json.loads((model / "model.json").read_text()))
    for name in ("labels", "answers"):
        check(f"verification_{name}", json.loads((tmp_path / "verification" / f"{name}.json").read_text()))
    assert found["gate"]["accuracy"] >= 0.8
    assert found["champion"]["accuracy_difference"] == 0
    assert 0 <= found["out_of_distribution"]["drawn"]["auroc"] <= 1


def test_what_is_evaluated_is_what_the_handler_answers_one_photo_at_a_time(model: Path, photos: Path) -> None:
    bodies = datasets.read(photos).bodies
    together = answers.result(answers.ask(model, list(CLASSES), bodies)).probabilities
    script = (
        "import sys, json; sys.path.insert(0, sys.argv[1] + '/code'); import inference, base64\n"
        "model = inference.model_fn(sys.argv[1])\n"
        "for line in sys.stdin:\n"
        "    images = inference.input_fn(line.encode(), 'application/json')\n"
        "    print(inference.output_fn(inference.predict_fn(images, model), 'application/json', model)[0].decode())\n"
    )
    requests = [json.dumps({"instances": [{"image": base64.b64encode(body).decode()}]}) for body in bodies]
    command = [sys.executable, "-W", "ignore", "-c", script, str(model)]
    done = subprocess.run(command, input="\n".join(requests), capture_output=True, text=True, check=True)
    answered = [json.loads(line)["predictions"][0]["probabilities"] for line in done.stdout.splitlines()]
    alone = np.array([[answer[name] for name in CLASSES] for answer in answered])
    assert np.abs(alone - together).max() < 1e-5
