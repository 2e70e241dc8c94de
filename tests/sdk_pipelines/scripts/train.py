"""Fits a regression in script mode, and reads the model again when it is served."""

import argparse
import os
from pathlib import Path

import joblib
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_squared_error


def model_fn(model_dir: str) -> RandomForestRegressor:
    return joblib.load(Path(model_dir) / "model.joblib")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--trees", type=int, default=20)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
    parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
    parser.add_argument("--validation", default=os.environ.get("SM_CHANNEL_VALIDATION"))
    args, _ = parser.parse_known_args()

    rows = pd.read_csv(Path(args.train) / "train.csv", header=None)
    model = RandomForestRegressor(n_estimators=args.trees, max_depth=args.depth, random_state=1)
    model.fit(rows.iloc[:, 1:].to_numpy(), rows.iloc[:, 0])
    if args.validation:
        held = pd.read_csv(Path(args.validation) / "validation.csv", header=None)
        error = mean_squared_error(held.iloc[:, 0], model.predict(held.iloc[:, 1:].to_numpy()))
        print(f"validation:mse={error:.4f};")
    joblib.dump(model, Path(args.model_dir) / "model.joblib")
