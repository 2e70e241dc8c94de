"""What the benchmark serves and sends: an artifact trained by this repository's own scripts, and test photos as PNG."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import forms
from loadingbay.data.acquire import acquire
from localcloud.sandbox.artifacts import unpack

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-image/bin/python"


@dataclass(frozen=True)
class Material:
    """An unpacked artifact in three forms, and photos; `data` says of what kind they are.

    `forms` has "whole", "float" (without 8-bit networks) and "alone" (the small network without a second opinion).
    """

    forms: dict[str, Path]
    photos: list[Path]
    data: str


def prepare(cache: Path, model: Path | None, epochs: int | None, say: Callable[[str], None]) -> Material:
    """Stage photos, and train a model on them as the pipeline does by default, unless `model` names an artifact.

    Half-trained networks are slower: more of their answers lie near a decision, where both networks are asked.
    """
    data = acquire(None, environment=os.environ, say=say)
    code = hashlib.sha256()
    for path in sorted([*(ROOT / "training").glob("*.py"), *(ROOT / "processing/stage").glob("*.py")]):
        code.update(path.name.encode() + path.read_bytes())
    folder = cache / f"{data.sha256[:12]}-{code.hexdigest()[:12]}"
    photos = _stage(data.path, data.label, folder)
    if model is not None:
        return _material(_unpacked(model, cache), cache, photos, data.label)
    artifact = folder / f"model-{epochs or 'default'}"
    if not (artifact / "model.json").exists():
        say("training the artifact that all servers serve: some minutes, once")
        command = [str(PYTHON), "-W", "ignore", str(ROOT / "training/train.py"), "--classes", "bicycle,motorcycle"]
        command += ["--train", str(folder / "train"), "--model-dir", str(artifact)]
        command += ["--epochs", str(epochs)] if epochs else []
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return _material(artifact, cache, photos, data.label)


def _material(artifact: Path, cache: Path, photos: list[Path], data: str) -> Material:
    """Copy the artifact into its other forms, and return all with the photos; SystemExit if it has no 8-bit network."""
    if not (artifact / "int8.json").exists():
        raise SystemExit(f"{artifact} has no 8-bit network: train it for more epochs, or name another with --model")
    in_float, small = cache / "in-float", cache / "alone"
    forms.in_float(artifact, in_float)
    forms.without_second(artifact, small)
    return Material({"whole": artifact, "float": in_float, "alone": small}, photos, data)


def _stage(archive: Path, label: str, folder: Path) -> list[Path]:
    """Run the Stage job on the archive, unless `folder` has its output; return the test photos' paths."""
    if not (folder / "photos/labels.json").exists():
        command = [str(PYTHON), "-m", "processing.stage", "--input", str(archive), "--data-label", label]
        command += ["--classes", "bicycle,motorcycle", "--seed", "1"]
        for name in ("train", "test", "photos"):
            command += [f"--{name}", str(folder / name)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return sorted((folder / "photos").glob("*.png"))


def _unpacked(model: Path, cache: Path) -> Path:
    """Return the folder of an artifact that is a folder or a model.tar.gz, unpacked below `cache`."""
    if model.is_dir():
        return model.resolve()
    folder = cache / "given-model"
    shutil.rmtree(folder, ignore_errors=True)
    unpack(model, folder)
    return folder
