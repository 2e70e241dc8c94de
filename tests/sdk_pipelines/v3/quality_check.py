"""SDK v3: checks of data and model quality; a first run registers the baselines, later ones are compared with them."""

import sys

from common import (
    INSTANCE,
    SCRIPTS,
    bucket,
    given,
    image,
    kept,
    name,
    output,
    preprocess_step,
    processor,
    role,
    session,
    table,
    train_step,
)
from sagemaker.core.drift_check_baselines import DriftCheckBaselines
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.model_monitor import DatasetFormat
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.parameters import ParameterBoolean, ParameterString
from sagemaker.mlops.workflow.check_job_config import CheckJobConfig
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.quality_check_step import (
    DataQualityCheckConfig,
    ModelQualityCheckConfig,
    QualityCheckStep,
)
from sagemaker.mlops.workflow.steps import ProcessingStep
from sagemaker.serve.model_builder import ModelBuilder

skip = ParameterBoolean(name="SkipChecks", default_value=False)
new_baseline = ParameterBoolean(name="RegisterNewBaselines", default_value=False)
shift = ParameterString(name="Shift", default_value="0")
group = f"{name}-models"

preprocess = preprocess_step(table())
flags = {"skip_check": skip, "register_new_baseline": new_baseline, "model_package_group_name": group}
job = CheckJobConfig(role=role, instance_count=1, instance_type=INSTANCE, sagemaker_session=session)


def results(check: str) -> Join:
    """Where an execution keeps the results of a check: they are the baseline of later ones, so each has its own."""
    return Join("/", ["s3:/", bucket, name, ExecutionVariables.PIPELINE_EXECUTION_ID, check])


def baselines(step: QualityCheckStep, use: str) -> dict[str, MetricsSource]:
    """The statistics and the constraints of a check, as a model package takes them."""
    return {
        part: MetricsSource(
            s3_uri=getattr(step.properties, f"{use}{part.capitalize()}"), content_type="application/json"
        )
        for part in ("statistics", "constraints")
    }


data_quality = QualityCheckStep(
    name="DataQuality",
    quality_check_config=DataQualityCheckConfig(
        baseline_dataset=output(preprocess, "train"),
        dataset_format=DatasetFormat.csv(header=False),
        output_s3_uri=results("data-quality"),
    ),
    check_job_config=job,
    **flags,
)
train = train_step(preprocess, depends_on=["DataQuality"])
artifact = train.properties.ModelArtifacts.S3ModelArtifacts
predict = ProcessingStep(
    name="Predict",
    step_args=processor().run(
        inputs=[given("model", artifact), given("test", output(preprocess, "test"))],
        outputs=[kept("predictions")],
        code=str(SCRIPTS / "predict.py"),
        arguments=["--shift", shift],
    ),
)
model_quality = QualityCheckStep(
    name="ModelQuality",
    quality_check_config=ModelQualityCheckConfig(
        baseline_dataset=output(predict, "predictions"),
        dataset_format=DatasetFormat.csv(header=True),
        problem_type="Regression",
        inference_attribute="predicted",
        ground_truth_attribute="rings",
        output_s3_uri=results("model-quality"),
    ),
    check_job_config=job,
    **flags,
)
model = ModelBuilder(s3_model_data_url=artifact, image_uri=image, role_arn=role, sagemaker_session=session)
data, quality = (baselines(step, "CalculatedBaseline") for step in (data_quality, model_quality))
data_before, quality_before = (baselines(step, "BaselineUsedForDriftCheck") for step in (data_quality, model_quality))
register = ModelStep(
    name="Register",
    step_args=model.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        model_package_group_name=group,
        approval_status="Approved",
        model_metrics=ModelMetrics(
            model_data_statistics=data["statistics"],
            model_data_constraints=data["constraints"],
            model_statistics=quality["statistics"],
            model_constraints=quality["constraints"],
        ),
        drift_check_baselines=DriftCheckBaselines(
            model_data_statistics=data_before["statistics"],
            model_data_constraints=data_before["constraints"],
            model_statistics=quality_before["statistics"],
            model_constraints=quality_before["constraints"],
        ),
    ),
)
pipeline = Pipeline(
    name=name,
    parameters=[skip, new_baseline, shift],
    steps=[preprocess, data_quality, train, predict, model_quality, register],
    sagemaker_session=session,
)
pipeline.upsert(role_arn=role)
first = pipeline.start(parameters={"SkipChecks": True, "RegisterNewBaselines": True})
first.wait(delay=1, max_attempts=300)
second = pipeline.start()
second.wait(delay=1, max_attempts=300)
# A model that is five rings off must not be registered.
third = pipeline.start(parameters={"Shift": "5"})
try:
    third.wait(delay=1, max_attempts=300)
except Exception as error:
    print(error)
else:
    sys.exit("the third execution was expected to fail")
print(second.arn, third.arn)
