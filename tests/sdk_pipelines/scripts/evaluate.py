"""Measures a model on the test part and writes evaluation.json; runs in a processing job."""

import json
import tarfile
from pathlib import Path

import joblib
import pandas as pd
from sklearn.metrics import mean_squared_error

FOLDER = Path("/opt/ml/processing")

if __name__ == "__main__":
    with tarfile.open(FOLDER / "model" / "model.tar.gz") as archive:
        archive.extractall(path=".")  # noqa: S202 - as such scripts do
    model = joblib.load("model.joblib")
    rows = pd.read_csv(FOLDER / "test" / "test.csv", header=None)
    error = mean_squared_error(rows.iloc[:, 0], model.predict(rows.iloc[:, 1:].to_numpy()))
    report = {"regression_metrics": {"mse": {"value": error, "standard_deviation": 0.0}}}
    (FOLDER / "evaluation").mkdir(parents=True, exist_ok=True)
    (FOLDER / "evaluation" / "evaluation.json").write_text(json.dumps(report))
