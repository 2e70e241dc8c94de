"""Splits the table into train, validation and test parts; runs in a processing job."""

import argparse
from pathlib import Path

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

FOLDER = Path("/opt/ml/processing")

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--test-share", type=float, default=0.2)
    share = parser.parse_args().test_share

    table = pd.concat([pd.read_csv(path) for path in sorted((FOLDER / "input").glob("*.csv"))])
    rings = table.pop("rings")
    numbers = [name for name in table.columns if name != "sex"]
    features = ColumnTransformer([("numbers", StandardScaler(), numbers), ("sex", OneHotEncoder(), ["sex"])])
    rows = pd.DataFrame(features.fit_transform(table))
    rows.insert(0, "rings", rings.to_numpy())
    rows = rows.sample(frac=1, random_state=7)

    held = int(len(rows) * share)
    parts = {"test": rows[:held], "validation": rows[held : 2 * held], "train": rows[2 * held :]}
    for name, part in parts.items():
        (FOLDER / name).mkdir(parents=True, exist_ok=True)
        part.to_csv(FOLDER / name / f"{name}.csv", header=False, index=False)
    print({name: len(part) for name, part in parts.items()})
