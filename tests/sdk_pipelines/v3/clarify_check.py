"""SDK v3: checks of bias in data and model, and explanations; three executions with and without a baseline."""

import json
import sys

from common import INSTANCE, bucket, channels, name, output, preprocess_step, role, session, table
from sagemaker.core import image_uris
from sagemaker.core.clarify import BiasConfig, DataConfig, ModelConfig, ModelPredictedLabelConfig, SHAPConfig
from sagemaker.core.drift_check_baselines import DriftCheckBaselines
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.s3 import S3Downloader, S3Uploader
from sagemaker.core.training.configs import Compute
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.parameters import ParameterBoolean, ParameterString
from sagemaker.mlops.workflow.check_job_config import CheckJobConfig
from sagemaker.mlops.workflow.clarify_check_step import (
    ClarifyCheckStep,
    DataBiasCheckConfig,
    ModelBiasCheckConfig,
    ModelExplainabilityCheckConfig,
)
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.model_trainer import ModelTrainer

skip = ParameterBoolean(name="SkipChecks", default_value=False)
new_baseline = ParameterBoolean(name="RegisterNewBaselines", default_value=False)
supplied = ParameterString(name="DataBiasBaseline", default_value="")
group = f"{name}-models"
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
image = image_uris.retrieve("xgboost", session.boto_region_name, version="1.5-1", instance_type=INSTANCE)
trainer = ModelTrainer(
    sagemaker_session=session,
    role=role,
    training_image=image,
    compute=Compute(instance_type=INSTANCE, instance_count=1, volume_size_in_gb=30),
    hyperparameters={"objective": "reg:squarederror", "num_round": 30, "max_depth": 4},
)
train = TrainingStep(
    name="Train", step_args=trainer.train(input_data_config=channels(preprocess)), depends_on=["DataBias"]
)
artifact = train.properties.ModelArtifacts.S3ModelArtifacts
model = ModelBuilder(s3_model_data_url=artifact, image_uri=image, role_arn=role, sagemaker_session=session)
create = ModelStep(name="Create", step_args=model.build())
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
