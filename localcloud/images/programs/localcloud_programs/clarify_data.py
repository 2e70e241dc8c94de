"""Reads the dataset of a Clarify job: a table with a name for each column, and which of them are label and features."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jmespath
import pandas as pd

Document = dict[str, Any]
NOT_FEATURES = ("label", "predicted_label", "joinsource_name_or_index")


class AnalysisError(ValueError):
    """The analysis cannot be made; the text says what is missing or wrong."""


@dataclass(frozen=True)
class Dataset:
    """A table and the names of its columns by what they are for: `label` and `predicted` are None where there is none.

    `features` are the columns that the model gets.
    """

    table: pd.DataFrame
    label: str | None
    predicted: str | None
    features: tuple[str, ...]

    def column(self, name_or_index: str | int) -> str:
        """The name of a column that the configuration gives by name or position; AnalysisError if there is none."""
        return _column(self.table, name_or_index)


def read(folder: Path, config: Mapping[str, Any]) -> Dataset:
    """The dataset of all files below `folder`, as analysis_config.json describes it. AnalysisError."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name[0] not in "._"]
    if not files:
        raise AnalysisError("The dataset has no files.")
    kind = config["dataset_type"].lower()
    try:
        tables = [_table(path, kind, config) for path in files]
    except (ValueError, OSError, jmespath.exceptions.JMESPathError) as error:
        raise AnalysisError(f"The dataset cannot be read as {kind}: {error}") from None
    table = pd.concat(tables, ignore_index=True)
    # In JSON the label is found by a path, and put into a column of its own.
    by_path = kind.startswith("application/json")
    named = {
        member: (_last(table, config, member) if by_path else _column(table, config[member]))
        for member in NOT_FEATURES
        if config.get(member) is not None
    }
    left_out = {*named.values(), *(_column(table, column) for column in config.get("excluded_columns", []))}
    features = tuple(str(name) for name in table.columns if name not in left_out)
    return Dataset(table, named.get("label"), named.get("predicted_label"), features)


def _column(table: pd.DataFrame, name_or_index: str | int) -> str:
    """Return the name of a column given by name or position; AnalysisError if there is none."""
    if isinstance(name_or_index, int) and name_or_index < len(table.columns):
        return str(table.columns[name_or_index])
    if name_or_index in table.columns:
        return str(name_or_index)
    raise AnalysisError(f"The dataset has no column {name_or_index!r}; it has {', '.join(map(str, table.columns))}.")


def _last(table: pd.DataFrame, config: Mapping[str, Any], member: str) -> str:
    """The column of what a JSON path has found: the last ones, in the order label, predicted label, join source."""
    found = [name for name in NOT_FEATURES if config.get(name) is not None]
    return str(table.columns[len(table.columns) - len(found) + found.index(member)])


def _table(path: Path, kind: str, config: Mapping[str, Any]) -> pd.DataFrame:
    """Read one file of the content type `kind`; AnalysisError when the headers do not fit."""
    headers = config.get("headers")
    if kind == "application/x-parquet":
        table = pd.read_parquet(path)
    elif kind == "text/csv":
        table = _csv(path, headers)
    else:
        table = _json(path.read_text(encoding="utf-8"), kind, config)
    if headers:
        if len(headers) != len(table.columns):
            raise AnalysisError(f"headers names {len(headers)} columns, and {path.name} has {len(table.columns)}.")
        table.columns = pd.Index(headers)
    return table


def _csv(path: Path, headers: list[str] | None) -> pd.DataFrame:
    """A CSV file; its first line is a header if it is `headers`, or without them if no number stands in it."""
    first = [str(value) for value in pd.read_csv(path, header=None, nrows=1, dtype=str).fillna("").iloc[0]]
    named = first == headers if headers else not any(_is_number(value) for value in first)
    table = pd.read_csv(path, header=0 if named else None, skipinitialspace=True)
    if not named:
        table.columns = pd.Index([f"column{number}" for number in range(len(table.columns))])
    return table


def _is_number(text: str) -> bool:
    """Whether the text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _json(text: str, kind: str, config: Mapping[str, Any]) -> pd.DataFrame:
    """Lists of features, found by the JMESPath `features`, and what the other paths find."""
    if "features" not in config:
        raise AnalysisError(f"A dataset of {kind} needs features, a JMESPath to the list of features.")
    paths = [config[name] for name in ("features", *NOT_FEATURES) if config.get(name) is not None]
    if kind == "application/jsonlines":
        documents = [json.loads(line) for line in text.splitlines() if line.strip()]
        rows = [[jmespath.search(path, document) for path in paths] for document in documents]
    else:
        document = json.loads(text)
        rows = [list(row) for row in zip(*(jmespath.search(path, document) or [] for path in paths), strict=True)]
    table = pd.DataFrame([[*row[0], *row[1:]] for row in rows])
    table.columns = pd.Index([f"column{number}" for number in range(len(table.columns))])
    return table
