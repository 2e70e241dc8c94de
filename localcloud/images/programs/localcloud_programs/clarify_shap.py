"""Explains a model's scores by the Shapley values of its features, with the library shap's Kernel SHAP.

The model is asked about rows in which some features are taken from a baseline. Source: "Feature Attributions that Use
Shapley Values" in the SageMaker developer guide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shap

from localcloud_programs.clarify_data import AnalysisError

Document = dict[str, Any]
Vector = np.ndarray[Any, np.dtype[np.float64]]
AGGREGATIONS: dict[str, Callable[[Vector], Vector]] = {
    "mean_abs": lambda values: np.abs(values).mean(axis=0),
    "median": lambda values: np.median(np.abs(values), axis=0),
    "mean_sq": lambda values: (values**2).mean(axis=0),
}


@dataclass(frozen=True)
class Explanation:
    """`summary` is the section explanations of analysis.json; `rows` the values of each row; `baseline` its rows."""

    summary: Document
    rows: pd.DataFrame
    baseline: pd.DataFrame


class _Codes:
    """Stands for the texts of a table by numbers, which is what the library computes with."""

    def __init__(self, tables: Sequence[pd.DataFrame]) -> None:
        both = pd.concat(tables, ignore_index=True)
        self._names = list(both.columns)
        self._types = both.dtypes
        self._texts = {
            name: list(pd.unique(both[name].astype(str)))
            for name in both
            if not pd.api.types.is_numeric_dtype(both[name])
        }

    def encoded(self, table: pd.DataFrame) -> Vector:
        """Return the table as numbers (rows, columns)."""
        columns = [
            table[name].astype(str).map(self._texts[name].index) if name in self._texts else table[name]
            for name in self._names
        ]
        return np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])

    def decoded(self, values: Vector) -> pd.DataFrame:
        """Return numbers (rows, columns) as the table that they stand for."""
        table = pd.DataFrame(values, columns=self._names)
        for name, texts in self._texts.items():
            table[name] = table[name].map(lambda number, texts=texts: texts[int(number)])
        whole = {name: kind for name, kind in self._types.items() if pd.api.types.is_integer_dtype(kind)}
        return table.astype({name: kind for name, kind in whole.items() if (table[name] % 1 == 0).all()})


def explain(
    rows: pd.DataFrame,
    baseline: pd.DataFrame,
    scores: Callable[[pd.DataFrame], Vector],
    config: Mapping[str, Any],
    label_headers: Sequence[Any] | None,
) -> Explanation:
    """The Shapley values of all rows; `scores` gives the model's scores of a table: an array of rows and labels.

    `config` is the analysis' member `shap`: num_samples, agg_method, use_logit, seed.
    """
    codes = _Codes([rows, baseline])
    if config.get("seed") is not None:
        np.random.seed(config["seed"])
    explainer = shap.KernelExplainer(
        lambda values: scores(codes.decoded(values)),
        codes.encoded(baseline),
        link="logit" if config.get("use_logit") else "identity",
    )
    found = explainer.shap_values(codes.encoded(rows), nsamples=config.get("num_samples", "auto"), silent=True)
    by_label = np.asarray(found)
    if isinstance(found, list):
        by_label = np.moveaxis(by_label, 0, -1)
    if by_label.ndim == 2:
        by_label = by_label[:, :, np.newaxis]
    expected = np.atleast_1d(explainer.expected_value)
    names = [str(name) for name in label_headers or []]
    if len(names) != by_label.shape[2]:
        names = [f"label{number}" for number in range(by_label.shape[2])]
    aggregate = AGGREGATIONS[config.get("agg_method", "mean_abs").lower()]
    summary: Document = {}
    local: dict[str, Vector] = {}
    for number, name in enumerate(names):
        values = by_label[:, :, number]
        shares = dict(zip(map(str, rows.columns), aggregate(values).tolist(), strict=True))
        summary[name] = {"global_shap_values": shares, "expected_value": float(expected[number])}
        local |= {f"{column}_{name}": values[:, place] for place, column in enumerate(rows.columns)}
    return Explanation({"kernel_shap": summary}, pd.DataFrame(local), baseline)


def baseline_rows(given: Any, rows: pd.DataFrame, clusters: int | None) -> pd.DataFrame:
    """The rows of a baseline: `given` as lists in the configuration, or computed from the dataset.

    Computed are the centres of `clusters` clusters (1 without it): of numbers the mean, of texts the commonest one.
    AnalysisError if a row has another number of features than the dataset.
    """
    if given:
        wrong = next((row for row in given if not isinstance(row, list) or len(row) != len(rows.columns)), None)
        if wrong is not None:
            raise AnalysisError(
                f"shap.baseline: the row {wrong!r} has not the {len(rows.columns)} features of the dataset."
            )
        return pd.DataFrame(given, columns=rows.columns)
    parts = [rows]
    numeric = rows.select_dtypes("number")
    if clusters and clusters > 1 and len(numeric.columns):
        from sklearn.cluster import KMeans

        spread = numeric.std().replace(0, 1).fillna(1)
        places = KMeans(min(clusters, len(rows)), n_init=1, random_state=0).fit_predict((numeric / spread).fillna(0))
        parts = [rows[places == place] for place in np.unique(places)]
    centres = [
        {
            name: part[name].mean() if pd.api.types.is_numeric_dtype(part[name]) else part[name].mode().iloc[0]
            for name in rows
        }
        for part in parts
    ]
    return pd.DataFrame(centres, columns=rows.columns)
