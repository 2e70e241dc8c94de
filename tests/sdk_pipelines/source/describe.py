"""Summarizes the table with a module of its own folder; runs in a processing job."""

import argparse
from pathlib import Path

import pandas as pd
from helper import summary
from tabulate import tabulate  # of requirements.txt, installed for this job

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, required=True)
    rows = parser.parse_args().rows
    table = pd.read_csv(next(Path("/opt/ml/processing/input").glob("*.csv")))
    target = Path("/opt/ml/processing/summary")
    target.mkdir(parents=True, exist_ok=True)
    found = summary(table).head(rows)
    found.to_csv(target / "summary.csv")
    print(tabulate(found, headers="keys"))
