"""Other forms of an artifact, to compare what its parts cost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path


def in_float(artifact: Path, folder: Path) -> None:
    """Copy an unpacked artifact into `folder`, which is replaced, without its networks in 8 bits."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(artifact, folder, ignore=shutil.ignore_patterns("int8*.json", "__pycache__"))
    if (folder / "second-int8-symbol.json").exists():
        shutil.copyfile(folder / "second-symbol.json", folder / "second-int8-symbol.json")


def without_second(artifact: Path, folder: Path) -> None:
    """Copy an unpacked artifact into `folder`, which is replaced; its large network is never asked.

    The threshold stays that of the whole artifact.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(artifact, folder, ignore=shutil.ignore_patterns("second*.json", "second*.params", "__pycache__"))
    about = json.loads((folder / "model.json").read_text("utf-8"))
    (folder / "model.json").write_text(json.dumps({**about, "second_opinion": {}}) + "\n", "utf-8")
