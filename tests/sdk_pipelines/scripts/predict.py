"""Writes the predictions of a model beside the truth; `--shift` makes them worse. Runs in a processing job."""

import argparse
import tarfile
from pathlib import Path

import joblib
import pandas as pd

FOLDER = Path("/opt/ml/processing")

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--shift", type=float, default=0.0)
    shift = parser.parse_args().shift

    with tarfile.open(FOLDER / "model" / "model.tar.gz") as archive:
        archive.extractall(FOLDER / "model")  # noqa: S202 - as such scripts do
    model = joblib.load(FOLDER / "model" / "model.joblib")
    rows = pd.read_csv(FOLDER / "test" / "test.csv", header=None)
    predicted = model.predict(rows.iloc[:, 1:].to_numpy()) + shift
    (FOLDER / "predictions").mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame({"rings": rows.iloc[:, 0], "predicted": predicted})
    table.to_csv(FOLDER / "predictions" / "predictions.csv", index=False)
