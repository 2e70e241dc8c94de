"""Reads a dataset as the model monitor's analyzer does: a table of texts, whose columns' types are inferred afterwards.

A value is a text or missing (an empty CSV field, null in JSON and Parquet). Columns of a CSV without a header are named
_c0, _c1 and so on, as AWS's analyzer names them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd


class DatasetError(ValueError):
    """The dataset cannot be read; the text says which file and why."""


def read(source: Path, dataset_format: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of all files below `source`, or of the file `source`.

    `dataset_format` is what the SDK's DatasetFormat gives: {"csv": {"header": true}}, {"json": {"lines": true}} or
    {"parquet": {}}. The names may begin with a capital. DatasetError if there is no file or one cannot be read.
    """
    ((kind, options),) = dataset_format.items()
    settings = {name.lower(): value for name, value in options.items()}
    tables = [_table(path, kind.lower(), settings) for path in _files(source)]
    if not tables:
        raise DatasetError(f"There is no file in {source}.")
    columns = list(tables[0].columns)
    for table in tables[1:]:
        if kind.lower() != "json" and list(table.columns) != columns:
            raise DatasetError(f"The files in {source} have different columns: {columns} and {list(table.columns)}.")
    return pd.concat(tables, ignore_index=True)


def column(table: pd.DataFrame, attribute: str) -> pd.Series[Any]:
    """The column that an attribute names: by its name, its position, or a JSON path such as $.label. DatasetError."""
    name = attribute.removeprefix("$.")
    if name in table.columns:
        return table[name]
    if name.isdigit() and int(name) < len(table.columns):
        return table.iloc[:, int(name)]
    raise DatasetError(f"The dataset has no column {attribute!r}; it has {', '.join(map(str, table.columns))}.")


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    yield from (path for path in sorted(source.rglob("*")) if path.is_file() and path.name[0] not in "._")


def _table(path: Path, kind: str, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Read one file of the format `kind` as a table of texts; DatasetError when it cannot be read."""
    try:
        if kind == "csv":
            return _csv(path, header=settings.get("header", True))
        if kind == "json":
            return _json(path, lines=settings.get("lines", settings.get("line", True)))
        table = pd.read_parquet(path, dtype_backend="numpy_nullable")
    except (ValueError, OSError) as error:
        raise DatasetError(f"{path.name} cannot be read as {kind}: {error}") from None
    return _as_texts(table)


def _csv(path: Path, *, header: bool) -> pd.DataFrame:
    """Read CSV as texts; columns without a header are named _c0, _c1 and so on."""
    table = pd.read_csv(
        path, dtype=str, header=0 if header else None, keep_default_na=False, na_values=[""], skipinitialspace=True
    )
    if not header:
        table.columns = pd.Index([f"_c{number}" for number in range(len(table.columns))])
    return table


def _json(path: Path, *, lines: bool) -> pd.DataFrame:
    """Read a JSON file, or one of JSON lines, as texts with a column for each path to a value."""
    text = path.read_text(encoding="utf-8")
    documents = [json.loads(line) for line in text.splitlines() if line.strip()] if lines else json.loads(text)
    listed = documents if isinstance(documents, list) else [documents]
    # Values are texts before they stand in one column: a whole number beside a missing one would get a fraction.
    return pd.json_normalize([_leaves(document) for document in listed])


def _leaves(value: Any) -> Any:
    """A JSON value with texts in place of what is neither an object nor null."""
    if isinstance(value, dict):
        return {name: _leaves(item) for name, item in value.items()}
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _as_texts(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({str(name): table[name].map(_text, na_action="ignore").astype(object) for name in table})


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
