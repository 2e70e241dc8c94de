"""Reads the files of a channel as XGBoost's container does."""

from __future__ import annotations

from pathlib import Path

import xgboost
from localcloud_programs.xgboost_data import training_matrix


def get_dmatrix(
    data_path: str, content_type: str, csv_weights: int = 0, is_pipe: bool = False
) -> xgboost.DMatrix | None:
    """The rows of a file, or of all files below a folder; None if there is no file.

    Args:
        data_path: the file or the folder.
        content_type: CSV, libsvm or Parquet, as a content type or a short name such as csv.
        csv_weights: 1 if the second column of CSV files holds the rows' weights.
        is_pipe: whether the channel is a pipe, which the local cloud does not have.

    Raises:
        ValueError: another content type, or a pipe.
    """
    if is_pipe:
        raise ValueError("The local cloud has no input mode Pipe; use File.")
    path = Path(data_path)
    if not any(found.is_file() for found in (path, *path.rglob("*"))):
        return None
    return training_matrix(path, content_type, weights=bool(csv_weights))


def get_size(data_path: str, is_pipe: bool = False) -> int:
    """The bytes of a file, or of all files below a folder; 0 if there is none, and 1 for a pipe."""
    if is_pipe:
        return 1
    path = Path(data_path)
    return sum(found.stat().st_size for found in (path, *path.rglob("*")) if found.is_file())
