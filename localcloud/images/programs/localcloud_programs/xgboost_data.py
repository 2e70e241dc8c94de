"""Reads CSV, libsvm and Parquet as XGBoost's containers do: in training files the label is the first column."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost

CSV = ("text/csv", "csv")
LIBSVM = ("text/libsvm", "text/x-libsvm", "libsvm")
NO_TYPE = ("", "application/octet-stream")
PARQUET = ("application/x-parquet", "parquet")


def training_matrix(folder: Path, content_type: str, weights: bool = False) -> xgboost.DMatrix:
    """The rows of a file, or of all files below a folder, such as a channel's.

    `weights` says that the second column of CSV holds the rows' weights. ValueError if there are no files, or the type
    is none of CSV, libsvm and Parquet.
    """
    found = [folder] if folder.is_file() else folder.rglob("*")
    files = sorted(path for path in found if path.is_file() and not path.name.startswith("."))
    if not files:
        raise ValueError(f"the channel {folder.name} has no files")
    kind = content_type.partition(";")[0].strip().lower()
    if kind in CSV:
        table = np.concatenate([_table(path.read_text()) for path in files])
        if weights:
            return xgboost.DMatrix(table[:, 2:], label=table[:, 0], weight=table[:, 1])
        return xgboost.DMatrix(table[:, 1:], label=table[:, 0])
    if kind in PARQUET:
        table = np.concatenate([pd.read_parquet(path).to_numpy(dtype=np.float32) for path in files])
        return xgboost.DMatrix(table[:, 1:], label=table[:, 0])
    if kind in LIBSVM:
        from scipy.sparse import vstack
        from sklearn.datasets import load_svmlight_file

        parts = [load_svmlight_file(str(path), zero_based=True) for path in files]
        width = max(rows.shape[1] for rows, _ in parts)
        for rows, _ in parts:
            rows.resize(rows.shape[0], width)
        return xgboost.DMatrix(vstack([rows for rows, _ in parts]), label=np.concatenate([y for _, y in parts]))
    raise ValueError(
        f"the content type {content_type!r} is not served; give text/csv, text/libsvm or application/x-parquet"
    )


class LibsvmRows(xgboost.DMatrix):  # type: ignore[misc]  # not installed here
    """Rows that came as libsvm, whose features are counted from 0 or from 1."""


def request_matrix(body: str, content_type: str) -> xgboost.DMatrix:
    """The rows of a request, which have no label in CSV; ValueError for another type.

    A request without a type is libsvm, as for AWS's container.
    """
    if content_type in CSV:
        return xgboost.DMatrix(_table(body))
    if content_type in LIBSVM or content_type in NO_TYPE:
        from sklearn.datasets import load_svmlight_file

        rows = "\n".join(line if ":" not in line.split()[0] else f"0 {line}" for line in body.splitlines() if line)
        return LibsvmRows(load_svmlight_file(io.BytesIO(rows.encode()), zero_based=True)[0])
    raise ValueError(f"the content type {content_type!r} is not served; give text/csv or text/libsvm")


def _table(text: str) -> np.ndarray:
    return pd.read_csv(io.StringIO(text), header=None, dtype=np.float32).to_numpy()
