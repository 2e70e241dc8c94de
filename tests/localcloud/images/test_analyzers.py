"""What the analyzers of data and models refuse before a job runs."""

from typing import Any

import pytest

from localcloud.images import ANY_TEXT
from localcloud.images.analyzers import refused_analysis, refused_dataset

GOOD = {
    "dataset_format": '{"csv": {"header": true, "output_columns_position": "START"}}',
    "publish_cloudwatch_metrics": "Disabled",
}


def test_what_the_sdk_sends_is_not_refused() -> None:
    assert refused_dataset(GOOD) is None
    assert refused_dataset({**GOOD, "analysis_type": "MODEL_QUALITY", "problem_type": "Regression"}) is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"record_preprocessor_script": "/opt/ml/a.py"}, "record_preprocessor_script"),
        ({"post_analytics_processor_script": "/opt/ml/a.py"}, "post_analytics_processor_script"),
        ({"publish_cloudwatch_metrics": "Enabled"}, "publish_cloudwatch_metrics"),
        ({"categorical_drift_method": "ChiSquared"}, "give LInfinity"),
        ({"analysis_type": "MODEL_QUALITY", "problem_type": "Ranking"}, "problem_type Ranking"),
        ({"analysis_type": "MODEL_BIAS"}, "analysis_type MODEL_BIAS"),
        ({"dataset_format": '{"sagemakerCaptureJson": {}}'}, "sagemakerCaptureJson"),
        ({"dataset_format": "csv"}, "dataset_format csv"),
    ],
)
def test_what_the_monitor_cannot_do_is_named(more: dict[str, str], words: str) -> None:
    assert words in (refused_dataset({**GOOD, **more}) or "")


def test_a_value_that_is_not_known_yet_is_taken_for_good() -> None:
    unknown = {"problem_type": ANY_TEXT, "dataset_format": ANY_TEXT, "analysis_type": "MODEL_QUALITY"}
    assert refused_dataset(unknown) is None


def analysis(methods: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"dataset_type": "text/csv", "methods": methods, **members}


@pytest.mark.parametrize(
    "methods",
    [
        {"pre_training_bias": {"methods": "all"}, "report": {"name": "report"}},
        {"post_training_bias": {"methods": ["DPPL"]}},
        {"shap": {"baseline": [[1, 2]], "num_samples": 10, "agg_method": "mean_abs", "save_local_shap_values": True}},
    ],
)
def test_bias_and_explanations_of_tables_are_not_refused(methods: dict[str, Any]) -> None:
    assert refused_analysis(analysis(methods)) is None


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (analysis({"pdp": {"grid_resolution": 10}}), "pdp"),
        (analysis({"asymmetric_shapley_value": {}}), "asymmetric_shapley_value"),
        (analysis({"shap": {"text_config": {}}}), "texts"),
        (analysis({"shap": {"image_config": {}}}), "images"),
        (analysis({"shap": {"features_to_explain": ["a"]}}), "features_to_explain"),
        (analysis({}, time_series_data_config={}), "time series"),
        (analysis({}, segment_config=[]), "segment_config"),
        (analysis({}, facet_dataset_uri="s3://a/b"), "facet_dataset_uri"),
        ({"dataset_type": "application/x-image", "methods": {}}, "application/x-image"),
        ([], "no object"),
    ],
)
def test_what_clarify_cannot_do_is_named(config: Any, words: str) -> None:
    assert words in (refused_analysis(config) or "")
