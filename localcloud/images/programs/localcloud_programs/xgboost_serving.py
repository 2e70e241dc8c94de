"""The serving functions of XGBoost's algorithm mode, which a user's script replaces one by one.

Source: "XGBoost algorithm with Amazon SageMaker AI" and the inference formats of built-in algorithms.
"""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from sagemaker_inference.errors import UnsupportedFormatError

from localcloud_programs.xgboost_data import LibsvmRows, request_matrix
from localcloud_programs.xgboost_training import MODEL


def model_fn(model_dir: str) -> Any:
    """The booster that training has stored, in either of its formats: the file is the user's own model."""
    path = Path(model_dir) / MODEL
    booster = xgboost.Booster()
    try:
        booster.load_model(path)
    except xgboost.core.XGBoostError:
        return pickle.loads(path.read_bytes())  # noqa: S301 - as AWS's container does, in the endpoint's own process
    return booster


def input_fn(body: str | bytes, content_type: str) -> Any:
    """The request's rows; UnsupportedFormatError unless they are CSV or libsvm, which is what has no type."""
    try:
        # The toolkit decodes a body whose type says that it is text.
        return request_matrix(body.decode() if isinstance(body, bytes) else body, content_type)
    except ValueError as error:
        raise UnsupportedFormatError(content_type) from error


def predict_fn(data: Any, model: Any) -> Any:
    """A score a row, or a score a class and row.

    Rows of libsvm may have one column more than the model, as in AWS's container: whoever counts the features from 1
    has an empty column 0. No tree of the model looks at the last one.
    """
    if isinstance(data, LibsvmRows) and isinstance(model, xgboost.Booster):
        columns = model.num_features()
        if data.num_col() == columns + 1:
            data = xgboost.DMatrix(data.get_data()[:, :columns])
    return model.predict(data, validate_features=False)


def output_fn(prediction: Any, accept: str) -> tuple[str, str]:
    """JSON as {"predictions": [{"score": ...}]}, else CSV: the scores with commas, or a line a row.

    A transform job's rows have a line each."""
    if accept == "application/json":
        return json.dumps({"predictions": [{"score": score} for score in prediction.tolist()]}), accept
    rows = np.asarray(prediction)
    if rows.ndim == 1 and os.environ.get("SAGEMAKER_BATCH") == "true":
        return "".join(f"{score}\n" for score in rows.tolist()), "text/csv"
    if rows.ndim == 1:
        return ",".join(str(score) for score in rows.tolist()), "text/csv"
    return "\n".join(",".join(str(score) for score in row) for row in rows.tolist()), "text/csv"
