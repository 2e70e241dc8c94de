"""What the benchmark serves and sends: an artifact trained by this repository's own scripts, and test photos as PNG."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loadingbay.data import acquire

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-image/bin/python"


@dataclass(frozen=True)
class Material:
    """An unpacked artifact and photos for it; `data` says of what kind they are."""

    artifact: Path
    photos: list[Path]
    data: str


def prepare(cache: Path, model: Path | None, epochs: int, say: Callable[[str], None]) -> Material:
    """Stage photos; train a model on them, for as few epochs as speed needs, unless `model` names an artifact."""
    data = acquire(None, environment=os.environ, say=say)
    code = hashlib.sha256()
    for path in sorted([*(ROOT / "training").glob("*.py"), ROOT / "processing/stage.py"]):
        code.update(path.name.encode() + path.read_bytes())
    folder = cache / f"{data.sha256[:12]}-{code.hexdigest()[:12]}"
    photos = _stage(data.path, data.label, folder)
    if model is not None:
        return Material(_unpacked(model, cache), photos, data.label)
    artifact = folder / f"model-{epochs}"
    if not (artifact / "model.json").exists():
        say(f"training {epochs} epochs for the artifact that all servers serve")
        command = [str(PYTHON), "-W", "ignore", str(ROOT / "training/train.py"), "--classes", "bicycle,motorcycle"]
        command += ["--epochs", str(epochs), "--train", str(folder / "train"), "--model-dir", str(artifact)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Material(artifact, photos, data.label)


def _stage(archive: Path, label: str, folder: Path) -> list[Path]:
    if not (folder / "photos/labels.json").exists():
        command = [str(PYTHON), str(ROOT / "processing/stage.py"), "--input", str(archive), "--data-label", label]
        command += ["--classes", "bicycle,motorcycle", "--seed", "1"]
        for name in ("train", "test", "photos"):
            command += [f"--{name}", str(folder / name)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return sorted((folder / "photos").glob("*.png"))


def _unpacked(model: Path, cache: Path) -> Path:
    if model.is_dir():
        return model.resolve()
    folder = cache / "given-model"
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(model) as archive:
        archive.extractall(folder, filter="data")
    return folder
