"""Measures a model of XGBoost's algorithm mode on the test part; runs in a processing job."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost

FOLDER = Path("/opt/ml/processing")

if __name__ == "__main__":
    with tarfile.open(FOLDER / "model" / "model.tar.gz") as archive:
        archive.extractall(path=".")  # noqa: S202 - as such scripts do
    model = xgboost.Booster()
    model.load_model("xgboost-model")
    rows = pd.read_csv(FOLDER / "test" / "test.csv", header=None)
    predicted = model.predict(xgboost.DMatrix(rows.iloc[:, 1:].to_numpy()))
    error = float(np.mean((rows.iloc[:, 0].to_numpy() - predicted) ** 2))
    (FOLDER / "evaluation").mkdir(parents=True, exist_ok=True)
    (FOLDER / "evaluation" / "evaluation.json").write_text(json.dumps({"mse": error}))
