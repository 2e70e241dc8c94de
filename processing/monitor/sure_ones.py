"""Samples accepted answers for people to label, so that the precision of what is accepted can be estimated.

Whether an answer is in the sample depends on its inference id alone, so that reports of the same stream choose the
same ones.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, cast

import pandas as pd

from processing.monitor.captures import photo_bytes
from processing.photos import suffix

NAME = "sure_ones.json"


def is_chosen(identity: str, share: float) -> bool:
    """Whether the answer with this inference id is in a sample of this share (0 to 1)."""
    return int(hashlib.sha256(f"review {identity}".encode()).hexdigest()[:13], 16) < share * 16**13


def write(output: Path, photos: Path, answers: pd.DataFrame, share: float) -> int:
    """Writes sure_ones.json into `output`, and the photos into `photos`, named by their content; how many there are.

    Chosen are accepted answers without a label. An answer whose photo was not captured is left out.
    """
    photos.mkdir(parents=True, exist_ok=True)
    found = []
    unseen = answers[answers["accepted"] & answers["truth"].isna()]
    for row in (cast(Any, row) for row in unseen.itertuples()):
        body = photo_bytes(row.path, row.offset, row.number) if is_chosen(row.identity, share) else None
        if body is None:
            continue
        name = f"{hashlib.sha256(body).hexdigest()}{suffix(body)}"
        (photos / name).write_bytes(body)
        prediction = {"label": row.label, "confidence": row.confidence, "threshold": row.threshold}
        found.append({"inference_id": row.identity, "photo": name, "prediction": prediction})
    (output / NAME).write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return len(found)
