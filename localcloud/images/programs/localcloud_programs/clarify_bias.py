"""The bias metrics of a dataset and of a model's predictions: AWS's library smclarify, in the form of analysis.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from smclarify.bias import report
from smclarify.bias.report import FacetColumn, LabelColumn, StageType

from localcloud_programs.clarify_data import AnalysisError, Dataset

Document = dict[str, Any]


def section(
    dataset: Dataset, config: Mapping[str, Any], stage: StageType, predicted: pd.Series[Any] | None = None
) -> Document:
    """The section pre_training_bias_metrics or post_training_bias_metrics of analysis.json.

    `config` is the analysis configuration; `predicted` are the labels that the model gives, for the second. A metric
    that cannot be computed has no value, and `error` says why. AnalysisError if a label or a facet is missing.
    """
    if dataset.label is None:
        raise AnalysisError("Bias metrics need label, the column of the true labels.")
    positive = config.get("label_values_or_threshold")
    if not positive:
        raise AnalysisError("Bias metrics need label_values_or_threshold.")
    name = f"{stage.value}_bias"
    asked = config["methods"][name]["methods"]
    methods = [asked] if isinstance(asked, str) else list(asked)
    table = dataset.table.drop(columns=[dataset.predicted] if dataset.predicted else [])
    label = LabelColumn(dataset.label, table[dataset.label], positive)
    group = config.get("group_variable")
    predicted_column = None if predicted is None else LabelColumn("_predicted_label", predicted, positive)
    facets: dict[str, Any] = {}
    for facet in config["facet"]:
        column = dataset.column(facet["name_or_index"])
        try:
            facets[column] = report.bias_report(
                table,
                FacetColumn(column, facet.get("value_or_threshold")),
                label,
                stage,
                predicted_column,
                metrics=methods,
                group_variable=None if group is None else table[dataset.column(group)],
            )
        except (ValueError, RuntimeError) as error:
            raise AnalysisError(f"The bias by {column} cannot be computed: {error}") from None
    found = {
        "label": dataset.label,
        "facets": facets,
        "label_value_or_threshold": report.label_value_or_threshold(table[dataset.label], positive),
    }
    return {f"{name}_metrics": found}
