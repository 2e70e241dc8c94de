"""The default input_fn of AWS's scikit-learn container: numbers of 32 bits, also from a CSV of whole and other ones."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
from sagemaker_inference import content_types, decoder


def input_fn(body: Any, content_type: str) -> Any:
    """The array that a request's body holds: of rows and columns, or of a single row's columns alone.

    ValueError if a value of a CSV or JSON body is no number; UnsupportedFormatError for a type that cannot be read.
    """
    if content_type == content_types.CSV:
        # As in the container, a single row loses its first axis.
        return np.array(list(csv.reader(io.StringIO(body), strict=True))).squeeze().astype(np.float32)
    data = decoder.decode(body, content_type)
    return data.astype(np.float32) if content_type == content_types.JSON else data
