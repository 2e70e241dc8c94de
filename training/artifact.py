"""Writes the model artifact.

Network, model.json, history.json, and under code/ the handler with all that it imports.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import inference

HERE = Path(__file__).resolve().parent
# What serving needs, and what Evaluate needs beside it; nothing that only training needs.
SHIPPED = (
    "cascade.py", "corrections.py", "decision.py", "focus.py", "fused.py", "halves.py", "inference.py", "int8.py",
    "metrics.py", "mxnet_alone.py", "preprocessing.py", "second.py", "upright.py",
)  # fmt: skip


def write_json(path: Path, value: Any) -> None:
    """Indented, sorted, and refusing NaN, which JSON does not have."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", "utf-8")


def write(folder: Path, about: dict[str, Any], history: list[dict[str, Any]]) -> None:
    """Add to `folder`, which already holds the exported network, everything else.

    Then load it once as the endpoint will.
    """
    write_json(folder / inference.MODEL, about)
    write_json(folder / "history.json", history)
    code = folder / "code"
    code.mkdir(exist_ok=True)
    for name in SHIPPED:
        shutil.copyfile(HERE / name, code / name)
    inference.model_fn(str(folder))
