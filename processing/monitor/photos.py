"""Measures what the photos of a stream look like: brightness, contrast, sharpness and colour."""

from __future__ import annotations

import numpy as np
import pandas as pd

from processing.monitor.captures import read_photo
from processing.photo_features import Features, measure
from processing.statistics import Floats

MOST = 2000  # of the latest photos: each is decoded


def features(answers: pd.DataFrame) -> dict[str, Floats]:
    """Each feature of the latest photos that can be shown, in the order of the answers."""
    latest = answers.tail(MOST)[["path", "offset", "number"]].itertuples(index=False)
    photos = (read_photo(*place) for place in latest)
    rows = np.array([measure(photo) for photo in photos if photo is not None], np.float64)
    return dict(zip(Features._fields, rows.reshape(-1, len(Features._fields)).T, strict=True))
