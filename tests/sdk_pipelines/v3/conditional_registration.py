"""SDK v3: preprocessing, training, evaluation, and registration if the error is low enough."""

from common import (
    INSTANCE,
    SCRIPTS,
    given,
    image,
    kept,
    name,
    output,
    preprocess_step,
    processor,
    role,
    run,
    session,
    table,
    train_step,
)
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep
from sagemaker.serve.model_builder import ModelBuilder

instances = ParameterInteger(name="ProcessingInstanceCount", default_value=1)
instance_type = ParameterString(name="TrainingInstanceType", default_value=INSTANCE)
approval = ParameterString(name="ModelApprovalStatus", default_value="PendingManualApproval")
data = ParameterString(name="InputData", default_value=table())
threshold = ParameterFloat(name="MseThreshold", default_value=6.0)
cache = CacheConfig(enable_caching=True, expire_after="30d")

preprocess = preprocess_step(data, instances, cache_config=cache)
train = train_step(preprocess, instance_type=instance_type, cache_config=cache)
artifact = train.properties.ModelArtifacts.S3ModelArtifacts
report = PropertyFile(name="EvaluationReport", output_name="evaluation", path="evaluation.json")
evaluate = ProcessingStep(
    name="Evaluate",
    step_args=processor().run(
        inputs=[given("model", artifact), given("test", output(preprocess, "test"))],
        outputs=[kept("evaluation")],
        code=str(SCRIPTS / "evaluate.py"),
    ),
    property_files=[report],
)
statistics = Join(on="/", values=[output(evaluate, "evaluation"), "evaluation.json"])
model = ModelBuilder(s3_model_data_url=artifact, image_uri=image, role_arn=role, sagemaker_session=session)
register = ModelStep(
    name="Register",
    step_args=model.register(
        model_package_group_name=f"{name}-models",
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=["ml.t2.medium", "ml.m5.large"],
        transform_instances=["ml.m5.large"],
        approval_status=approval,
        model_metrics=ModelMetrics(MetricsSource(s3_uri=statistics, content_type="application/json")),
    ),
)
check = ConditionStep(
    name="CheckError",
    conditions=[
        ConditionLessThanOrEqualTo(
            left=JsonGet(step_name="Evaluate", property_file=report, json_path="regression_metrics.mse.value"),
            right=threshold,
        )
    ],
    if_steps=[register],
    else_steps=[FailStep(name="TooInaccurate", error_message=Join(on=" ", values=["Error above", threshold]))],
)
pipeline = Pipeline(
    name=name,
    parameters=[instances, instance_type, approval, data, threshold],
    steps=[preprocess, train, evaluate, check],
    sagemaker_session=session,
)
run(pipeline, ModelApprovalStatus="Approved")
