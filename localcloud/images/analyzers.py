"""What the analyzers of the model monitor and of Clarify refuse, read from a job's request before it runs. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.images import ANY_TEXT

DATASET, BIAS = "analyze-dataset", "analyze-bias"
"""The entry points of the two images."""
_FORMATS = ("csv", "json", "parquet")
_PROBLEMS = ("Regression", "BinaryClassification", "MulticlassClassification")
_DATASET_TYPES = ("text/csv", "application/jsonlines", "application/json", "application/x-parquet")
_CONFIG_MEMBERS = {
    "time_series_data_config": "time series",
    "segment_config": "segments",
    "facet_dataset_uri": "a dataset of its own for facets",
    "predicted_label_dataset_uri": "a dataset of its own for predicted labels",
}
_METHODS = ("pre_training_bias", "post_training_bias", "shap", "report")
_SHAP = {"text_config": "texts", "image_config": "images", "features_to_explain": "some of the features only"}


def refused_dataset(environment: Mapping[str, str]) -> str | None:
    """Say what a job of the monitor's analyzer, by its variables, asks for that is not computed here; None if nothing.

    A variable whose value is not known yet is taken for good.
    """
    return next(_of_dataset({name: value for name, value in environment.items() if value != ANY_TEXT}), None)


def _of_dataset(given: Mapping[str, str]) -> Iterator[str]:
    """What the model monitor is asked for and is not computed here, from the variables of its job."""
    for script in ("record_preprocessor_script", "post_analytics_processor_script"):
        if given.get(script):
            yield f"{script} of the model monitor; prepare the dataset in a step of its own"
    if given.get("publish_cloudwatch_metrics") == "Enabled":
        yield "publish_cloudwatch_metrics of the model monitor, which AWS has for monitoring schedules"
    if given.get("categorical_drift_method", "LInfinity") != "LInfinity":
        yield f"categorical_drift_method {given['categorical_drift_method']}; give LInfinity"
    kind = given.get("analysis_type", "DATA_QUALITY")
    if kind not in ("DATA_QUALITY", "MODEL_QUALITY"):
        yield f"analysis_type {kind}; give DATA_QUALITY or MODEL_QUALITY"
    if kind == "MODEL_QUALITY" and given.get("problem_type", _PROBLEMS[0]) not in _PROBLEMS:
        yield f"problem_type {given['problem_type']}; give one of {', '.join(_PROBLEMS)}"
    if "dataset_format" in given:
        try:
            document = json.loads(given["dataset_format"])
        except ValueError:
            document = None
        names = list(document) if isinstance(document, dict) else []
        if len(names) != 1 or names[0].lower() not in _FORMATS:
            yield f"dataset_format {given['dataset_format']} of the model monitor; give one of {', '.join(_FORMATS)}"


def refused_analysis(config: Any) -> str | None:
    """Say what a Clarify configuration (parsed JSON) asks for that is not computed here; None if nothing."""
    if not isinstance(config, dict) or not isinstance(config.get("methods"), dict):
        return "an analysis_config.json that is no object with methods"
    return next(_of_analysis(config), None)


def _of_analysis(config: Mapping[str, Any]) -> Iterator[str]:
    """What Clarify is asked for and is not computed here, from its analysis_config.json."""
    kind = str(config.get("dataset_type", "")).lower()
    if kind not in _DATASET_TYPES:
        yield f"Clarify with the dataset_type {kind!r}; give one of {', '.join(_DATASET_TYPES)}"
    for member, what in _CONFIG_MEMBERS.items():
        if config.get(member) is not None:
            yield f"Clarify for {what} ({member})"
    for method in config["methods"]:
        if method not in _METHODS:
            yield f"Clarify's method {method}; it computes {', '.join(_METHODS[:3])}"
    for member, what in _SHAP.items():
        if (config["methods"].get("shap") or {}).get(member) is not None:
            yield f"Clarify's explanations of {what} (shap.{member})"
    baseline = (config["methods"].get("shap") or {}).get("baseline")
    if isinstance(baseline, dict):
        yield "a shap.baseline that is no list of rows"
