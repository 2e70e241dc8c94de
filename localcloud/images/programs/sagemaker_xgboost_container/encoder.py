"""Reads the body of a request as XGBoost's container does."""

from __future__ import annotations

import xgboost
from localcloud_programs.xgboost_data import request_matrix


def csv_to_dmatrix(string_like: str | bytes, dtype: object = None) -> xgboost.DMatrix:
    """The rows of CSV without a label and without a header."""
    return decode(string_like, "text/csv")


def libsvm_to_dmatrix(string_like: str | bytes) -> xgboost.DMatrix:
    """The rows of libsvm, with or without a label."""
    return decode(string_like, "text/libsvm")


def decode(obj: str | bytes, content_type: str) -> xgboost.DMatrix:
    """The rows of a body; ValueError if the content type is not CSV or libsvm."""
    return request_matrix(obj.decode() if isinstance(obj, bytes) else obj, content_type)
