"""SDK v2: checks of bias in data and model, and explanations; three executions with and without a baseline."""

import json
import sys

from common import INSTANCE, forest, name, output, preprocess_step, role, session, table, train_step
from sagemaker.clarify import BiasConfig, DataConfig, ModelConfig, ModelPredictedLabelConfig, SHAPConfig
from sagemaker.drift_check_baselines import DriftCheckBaselines
from sagemaker.model import Model
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.s3 import S3Downloader, S3Uploader
from sagemaker.workflow.check_job_config import CheckJobConfig
from sagemaker.workflow.clarify_check_step import (
    ClarifyCheckStep,
    DataBiasCheckConfig,
    ModelBiasCheckConfig,
    ModelExplainabilityCheckConfig,
)
from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.functions import Join
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterBoolean, ParameterString
from sagemaker.workflow.pipeline import Pipeline

skip = ParameterBoolean(name="SkipChecks", default_value=False)
new_baseline = ParameterBoolean(name="RegisterNewBaselines", default_value=False)
supplied = ParameterString(name="DataBiasBaseline", default_value="")
group = f"{name}-models"
bucket = session.default_bucket()
job = CheckJobConfig(role=role, instance_count=1, instance_type=INSTANCE, sagemaker_session=session)
flags = {
    "check_job_config": job,
    "skip_check": skip,
    "register_new_baseline": new_baseline,
    "model_package_group_name": group,
}

preprocess = preprocess_step(table())


def data(part: str, check: str) -> DataConfig:
    """One part of the table, whose first column is the label; each execution has its own results."""
    return DataConfig(
        s3_data_input_path=output(preprocess, part),
        s3_output_path=Join("/", ["s3:/", bucket, name, ExecutionVariables.PIPELINE_EXECUTION_ID, check]),
        s3_analysis_config_output_path=f"s3://{bucket}/{name}/{check}-config",
        label=0,
        dataset_type="text/csv",
    )


# The sixth column says which rows are of females.
bias = BiasConfig(label_values_or_threshold=[10], facet_name=[5], facet_values_or_threshold=[[0.5]])
data_bias = ClarifyCheckStep(
    name="DataBias",
    clarify_check_config=DataBiasCheckConfig(data_config=data("train", "data-bias"), data_bias_config=bias),
    supplied_baseline_constraints=supplied,
    **flags,
)
estimator = forest()
train = train_step(preprocess, estimator, depends_on=["DataBias"])
artifact = train.properties.ModelArtifacts.S3ModelArtifacts
model = Model(
    image_uri=estimator.training_image_uri(),
    model_data=artifact,
    source_dir=estimator.source_dir,
    entry_point=estimator.entry_point,
    sagemaker_session=session,
    role=role,
)
create = ModelStep(name="Create", step_args=model.create(instance_type=INSTANCE))
served = ModelConfig(model_name=create.properties.ModelName, instance_count=1, instance_type=INSTANCE)
model_bias = ClarifyCheckStep(
    name="ModelBias",
    clarify_check_config=ModelBiasCheckConfig(
        data_config=data("test", "model-bias"),
        data_bias_config=bias,
        model_config=served,
        model_predicted_label_config=ModelPredictedLabelConfig(),
    ),
    **flags,
)
explainability = ClarifyCheckStep(
    name="Explainability",
    clarify_check_config=ModelExplainabilityCheckConfig(
        data_config=data("validation", "explainability"),
        model_config=served,
        explainability_config=SHAPConfig(seed=7, num_samples=40, agg_method="mean_abs"),
    ),
    **flags,
)


def source(step: ClarifyCheckStep, use: str) -> MetricsSource:
    """The result of a check, as a model package takes it."""
    return MetricsSource(s3_uri=getattr(step.properties, f"{use}Constraints"), content_type="application/json")


register = ModelStep(
    name="Register",
    step_args=model.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        model_package_group_name=group,
        approval_status="Approved",
        model_metrics=ModelMetrics(
            bias_pre_training=source(data_bias, "CalculatedBaseline"),
            bias_post_training=source(model_bias, "CalculatedBaseline"),
            explainability=source(explainability, "CalculatedBaseline"),
        ),
        drift_check_baselines=DriftCheckBaselines(
            bias_pre_training_constraints=source(data_bias, "BaselineUsedForDriftCheck"),
            bias_post_training_constraints=source(model_bias, "BaselineUsedForDriftCheck"),
            explainability_constraints=source(explainability, "BaselineUsedForDriftCheck"),
        ),
    ),
)
pipeline = Pipeline(
    name=name,
    parameters=[skip, new_baseline, supplied],
    steps=[preprocess, data_bias, train, create, model_bias, explainability, register],
    sagemaker_session=session,
)
pipeline.upsert(role_arn=role)
first = pipeline.start(parameters={"SkipChecks": True, "RegisterNewBaselines": True})
first.wait(delay=1, max_attempts=300)
second = pipeline.start()
second.wait(delay=1, max_attempts=300)

# A baseline without any bias, which this table cannot meet.
(found,) = [step["Metadata"] for step in second.list_steps() if step["StepName"] == "DataBias"]
analysis = json.loads(S3Downloader.read_file(found["ClarifyCheck"]["CalculatedBaselineConstraints"], session))
for groups in analysis["pre_training_bias_metrics"]["facets"].values():
    for metric in (metric for one in groups for metric in one["metrics"]):
        metric["value"] = 0.0
unbiased = f"s3://{bucket}/{name}/unbiased/analysis.json"
S3Uploader.upload_string_as_file_body(json.dumps(analysis), unbiased, sagemaker_session=session)
third = pipeline.start(parameters={"DataBiasBaseline": unbiased})
try:
    third.wait(delay=1, max_attempts=300)
except Exception as error:
    print(error)
else:
    sys.exit("the third execution was expected to fail")
print(second.arn, third.arn)
