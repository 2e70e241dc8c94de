"""Fits the preparation of rows in script mode, and prepares rows when it is served, with their label if they have it.

The functions have the shape of AWS's example "Inference Pipeline with Scikit-learn and Linear Learner".
"""

import argparse
import io
import json
import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sagemaker_containers.beta.framework import encoders, worker
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

FEATURES = ["sex", "length", "diameter", "height", "weight"]
LABEL = "rings"


def input_fn(body: str, content_type: str) -> pd.DataFrame:
    """Read rows of CSV, with or without the label; ValueError for another type."""
    if content_type != "text/csv":
        raise ValueError(f"{content_type} is not supported")
    rows = pd.read_csv(io.StringIO(body), header=None)
    rows.columns = [*FEATURES, LABEL][: len(rows.columns)]
    return rows


def predict_fn(rows: pd.DataFrame, model: ColumnTransformer) -> np.ndarray:
    prepared = model.transform(rows[FEATURES])
    return np.insert(prepared, 0, rows[LABEL], axis=1) if LABEL in rows else prepared


def output_fn(prepared: np.ndarray, accept: str) -> worker.Response:
    if accept == "application/json":
        rows = {"instances": [{"features": row} for row in prepared.tolist()]}
        return worker.Response(json.dumps(rows), mimetype=accept)
    return worker.Response(encoders.encode(prepared, accept), mimetype=accept)


def model_fn(model_dir: str) -> ColumnTransformer:
    return joblib.load(Path(model_dir) / "model.joblib")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
    args, _ = parser.parse_known_args()

    table = pd.concat([pd.read_csv(path, header=None, names=[*FEATURES, LABEL]) for path in Path(args.train).iterdir()])
    numbers = ("numbers", StandardScaler(), FEATURES[1:])
    model = ColumnTransformer([numbers, ("sex", OneHotEncoder(), ["sex"])], sparse_threshold=0)
    joblib.dump(model.fit(table[FEATURES]), Path(args.model_dir) / "model.joblib")
