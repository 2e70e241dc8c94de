"""A small model, test photos, and their evaluation."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from processing.evaluate import drawn, picture
from tests.processing.evaluate import small_artifact
from tests.processing.evaluate.evaluations import run_evaluation, write_photos
from tests.processing.evaluate.small_artifact import encoded, tinted


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact whose handler tells the two tints apart without a network."""
    return small_artifact.write(tmp_path_factory.mktemp("artifact") / "model")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test records in every form that a photo can come in; two of the labels are wrong on purpose."""
    rng = np.random.default_rng(9)
    labels = [row % 2 for row in range(40)]
    pixels = [tinted(label, rng) for label in labels]
    bodies = [encoded(photo) for photo in pixels]
    bodies[0] = encoded(np.asarray(Image.fromarray(pixels[0]).resize((900, 700))), "JPEG")
    bodies[1] = encoded(np.asarray(Image.fromarray(pixels[1]).convert("L")))
    exif = Image.Exif()
    exif[0x0112] = 6
    bodies[2] = encoded(np.asarray(Image.fromarray(pixels[2]).resize((60, 90))), "JPEG", exif=exif)
    labels[10], labels[11] = 1 - labels[10], 1 - labels[11]
    return write_photos(tmp_path_factory.mktemp("test"), bodies, labels)


FEW = drawn.photos(each=2)


@pytest.fixture
def few_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few drawn photos: all of them take seconds, and `evaluated` has them."""
    monkeypatch.setattr(drawn, "photos", lambda: FEW)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch, few_drawn: None) -> None:
    """Few drawn photos and no picture: `evaluated` has both."""
    monkeypatch.setattr(picture, "draw", lambda *_: None)


@pytest.fixture(scope="module")
def evaluated(model: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("evaluation")
    assert run_evaluation(model, photos, output) == 0
    return output
