"""A SageMaker Clarify job: bias metrics and explanations as analysis.json, and violations of an earlier analysis.

`analyze-bias FOLDER` starts it; FOLDER is /opt/ml/processing, with the analysis configuration in input/config, the
dataset in input/data, and the results in output. With the environment variable baseline_constraints, the path of an
earlier analysis.json, it writes constraint_violations.json too. Source: "Analysis Configuration Files" and "Analysis
Results" in the SageMaker developer guide.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
from smclarify.bias.report import StageType

from localcloud_programs import clarify_bias, clarify_data, clarify_drift, clarify_shap
from localcloud_programs.clarify_data import AnalysisError, Dataset
from localcloud_programs.clarify_predictor import Predictor, served

Document = dict[str, Any]


def analyze(
    dataset: Dataset, config: Mapping[str, Any], predictor: Predictor | None
) -> tuple[Document, clarify_shap.Explanation | None]:
    """The content of analysis.json, and the explanation where the configuration asks for one. AnalysisError."""
    analysis: Document = {"version": "1.0"}
    methods = config["methods"]
    if "pre_training_bias" in methods:
        analysis |= clarify_bias.section(dataset, config, StageType.PRE_TRAINING)
    if "post_training_bias" in methods:
        predicted = _predicted_labels(dataset, config, predictor)
        analysis |= clarify_bias.section(dataset, config, StageType.POST_TRAINING, predicted)
    if "shap" not in methods:
        return analysis, None
    if predictor is None:
        raise AnalysisError("Explanations need predictor, the model to be explained.")
    options, rows = methods["shap"], dataset.table[list(dataset.features)]
    baseline = clarify_shap.baseline_rows(options.get("baseline"), rows, options.get("num_clusters"))
    headers = config["predictor"].get("label_headers")
    explanation = clarify_shap.explain(rows, baseline, predictor.scores, options, headers)
    analysis["explanations"] = explanation.summary
    return analysis, explanation


def _predicted_labels(dataset: Dataset, config: Mapping[str, Any], predictor: Predictor | None) -> pd.Series[Any]:
    """Return the labels that the dataset has or the model predicts; AnalysisError without either."""
    if dataset.predicted is not None:
        return dataset.table[dataset.predicted]
    if predictor is None or dataset.label is None:
        raise AnalysisError("Bias metrics of a model need label, and predictor or predicted_label.")
    rows = dataset.table[list(dataset.features)]
    return predictor.labels(rows, dataset.table[dataset.label], config.get("probability_threshold"))


def main() -> None:
    """Read configuration and dataset, serve the model where one is needed, write the results."""
    # A stop must not leave the endpoint behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("The job was stopped."))
    folder, variables = Path(sys.argv[1]), dict(os.environ)
    config = json.loads((folder / "input" / "config" / "analysis_config.json").read_text())
    try:
        dataset = clarify_data.read(folder / "input" / "data", config)
        with ExitStack() as stack:
            predictor = None
            if "predictor" in config and set(config["methods"]) & {"post_training_bias", "shap"}:
                predictor = stack.enter_context(served(config["predictor"], variables.get("predictor_model_name")))
            analysis, explanation = analyze(dataset, config, predictor)
    except AnalysisError as error:
        sys.exit(str(error))
    _write(folder / "output", analysis, explanation, config)
    path = variables.get("baseline_constraints")
    if path:
        found = clarify_drift.violations(analysis, json.loads(Path(path).read_text(encoding="utf-8")))
        _write_json(folder / "output" / "constraint_violations.json", {"version": "1.0", "violations": found})
        for violation in found:
            print(f"{violation['constraint_check_type']}: {violation['metric_name']}: {violation['description']}")
    print(f"Analyzed {len(dataset.table)} rows: {', '.join(name for name in analysis if name != 'version')}")


def _write(
    output: Path, analysis: Document, explanation: clarify_shap.Explanation | None, config: Mapping[str, Any]
) -> None:
    """Write analysis.json and the Shapley values into the output folder."""
    output.mkdir(parents=True, exist_ok=True)
    _write_json(output / "analysis.json", analysis)
    if explanation is not None:
        local = output / "explanations_shap"
        local.mkdir(exist_ok=True)
        explanation.baseline.to_csv(local / "baseline.csv", index=False)
        if config["methods"]["shap"].get("save_local_shap_values", True):
            explanation.rows.to_csv(local / "out.csv", index=False)


def _write_json(path: Path, document: Document) -> None:
    path.write_text(json.dumps(_without_nan(document), indent=2) + "\n", encoding="utf-8")


def _without_nan(value: Any) -> Any:
    """Return a copy of a value with None in place of numbers that JSON does not have (NaN, Infinity)."""
    if isinstance(value, dict):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
