"""The analyzer of AWS's model monitor: statistics, suggested constraints, and violations of a baseline, as JSON files.

`analyze-dataset` starts it in a processing job, whose environment variables say what to do: dataset_source,
dataset_format, output_path, and baseline_constraints and baseline_statistics where there is a baseline; for the quality
of a model also analysis_type, problem_type and the attributes. Source: "Container Contract Inputs" in the SageMaker
developer guide, and what the SDK's monitors send.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from localcloud_programs import monitor_data, monitor_quality, monitor_statistics, monitor_violations

Document = dict[str, Any]
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no")


def analyze(
    table: pd.DataFrame, variables: Mapping[str, str], baseline: Document | None, before: Document | None
) -> dict[str, Document]:
    """The files to write by name: statistics.json, constraints.json, with a baseline constraint_violations.json.

    `baseline` and `before` are the constraints and the statistics of the baseline, if there are any. DatasetError if
    the dataset has not what the variables name.
    """
    find: Callable[[Document], list[Document]]
    if variables.get("analysis_type") == "MODEL_QUALITY":
        problem = variables["problem_type"]
        observed = monitor_quality.statistics(problem, predictions(table, variables))
        suggested = monitor_quality.constraints(problem, observed)
        find = lambda expected: monitor_quality.violations(problem, observed, expected)  # noqa: E731
    else:
        observed = monitor_statistics.statistics(table)
        suggested = monitor_statistics.constraints(observed, table)
        find = lambda expected: monitor_violations.violations(table, observed, expected, before)  # noqa: E731
    files = {"statistics.json": observed, "constraints.json": suggested}
    if baseline is not None:
        files["constraint_violations.json"] = {"violations": find(baseline)}
    return files


def predictions(table: pd.DataFrame, variables: Mapping[str, str]) -> monitor_quality.Predictions:
    """What the attributes among the variables name in a table; rows where one of them is missing are left out.

    The prediction of two classes may be left out where a probability is given. DatasetError.
    """
    named = {
        role: monitor_data.column(table, variables[f"{role}_attribute"])
        for role in ("ground_truth", "inference", "probability")
        if variables.get(f"{role}_attribute")
    }
    problem = variables["problem_type"]
    if "ground_truth" not in named or not (
        "inference" in named or (problem != "Regression" and "probability" in named)
    ):
        raise monitor_data.DatasetError(
            "The quality of a model needs ground_truth_attribute, and inference_attribute or for two classes "
            "probability_attribute."
        )
    rows = pd.DataFrame(named).dropna()
    if rows.empty:
        raise monitor_data.DatasetError("No row has both a prediction and a true label.")
    if problem == "MulticlassClassification":
        if "inference" not in named:
            raise monitor_data.DatasetError("The quality of a model of several classes needs inference_attribute.")
        return monitor_quality.Predictions(*(rows[role].to_numpy(dtype=str) for role in ("ground_truth", "inference")))
    if problem == "Regression":
        return monitor_quality.Predictions(_numbers(rows, "ground_truth"), _numbers(rows, "inference"))
    probability = _numbers(rows, "probability") if "probability" in named else None
    if "inference" in named:
        predicted = _classes(rows["inference"])
    else:
        threshold = float(variables.get("probability_threshold_attribute") or 0.5)
        predicted = (np.asarray(probability) >= threshold).astype(int)
    return monitor_quality.Predictions(_classes(rows["ground_truth"]), predicted, probability)


def _numbers(rows: pd.DataFrame, role: str) -> monitor_quality.Vector:
    """Return the column of a role (n,) as numbers; DatasetError when it holds something else."""
    try:
        return rows[role].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise monitor_data.DatasetError(
            f"{role}_attribute names a column that holds more than numbers: {error}"
        ) from None


def _classes(values: pd.Series[Any]) -> monitor_quality.Vector:
    """0 and 1 for two classes, which may be written as numbers or as true and false."""

    def one(text: str) -> int:
        plain = text.strip().lower()
        plain = plain.removesuffix(".0")
        if plain not in (*_TRUE, *_FALSE):
            raise monitor_data.DatasetError(f"{text!r} is neither class 0 nor class 1 of two.")
        return int(plain in _TRUE)

    return np.array([one(str(value)) for value in values])


def main() -> None:
    """Read the environment and the dataset, write the files; exits with a sentence where that fails."""
    variables = dict(os.environ)
    output = Path(variables["output_path"])
    try:
        table = monitor_data.read(Path(variables["dataset_source"]), json.loads(variables["dataset_format"]))
        files = analyze(
            table, variables, _document(variables, "baseline_constraints"), _document(variables, "baseline_statistics")
        )
    except monitor_data.DatasetError as error:
        sys.exit(str(error))
    output.mkdir(parents=True, exist_ok=True)
    for name, document in files.items():
        (output / name).write_text(json.dumps(document, indent=2) + "\n")
    found = files.get("constraint_violations.json", {"violations": []})["violations"]
    print(f"Analyzed {len(table)} rows of {len(table.columns)} columns: {len(found)} violations.")
    for violation in found:
        print(f"{violation['constraint_check_type']}: {violation['description']}")


def _document(variables: Mapping[str, str], name: str) -> Document | None:
    """Return the JSON file that a variable names; None when the variable is not set."""
    path = variables.get(name)
    if not path:
        return None
    document: Document = json.loads(Path(path).read_text(encoding="utf-8"))
    return document
