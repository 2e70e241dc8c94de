"""SDK v2: preprocessing, training, evaluation, and registration if the error is low enough."""

from common import INSTANCE, SCRIPTS, forest, name, output, preprocess_step, role, run, session, table, train_step
from sagemaker.model import Model
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.steps import CacheConfig, ProcessingStep

instances = ParameterInteger(name="ProcessingInstanceCount", default_value=1)
instance_type = ParameterString(name="TrainingInstanceType", default_value=INSTANCE)
approval = ParameterString(name="ModelApprovalStatus", default_value="PendingManualApproval")
data = ParameterString(name="InputData", default_value=table())
threshold = ParameterFloat(name="MseThreshold", default_value=6.0)
cache = CacheConfig(enable_caching=True, expire_after="30d")

preprocess = preprocess_step(data, instances, cache_config=cache)
estimator = forest(instance_type)
train = train_step(preprocess, estimator, cache_config=cache)
artifact = train.properties.ModelArtifacts.S3ModelArtifacts

evaluator = ScriptProcessor(
    image_uri=estimator.training_image_uri(),
    command=["python3"],
    instance_type=INSTANCE,
    instance_count=1,
    base_job_name=f"{name}/evaluate",
    sagemaker_session=session,
    role=role,
)
report = PropertyFile(name="EvaluationReport", output_name="evaluation", path="evaluation.json")
evaluate = ProcessingStep(
    name="Evaluate",
    step_args=evaluator.run(
        inputs=[
            ProcessingInput(source=artifact, destination="/opt/ml/processing/model"),
            ProcessingInput(source=output(preprocess, "test"), destination="/opt/ml/processing/test"),
        ],
        outputs=[ProcessingOutput(output_name="evaluation", source="/opt/ml/processing/evaluation")],
        code=str(SCRIPTS / "evaluate.py"),
    ),
    property_files=[report],
)
statistics = Join(on="/", values=[output(evaluate, "evaluation"), "evaluation.json"])
model = Model(image_uri=estimator.training_image_uri(), model_data=artifact, sagemaker_session=session, role=role)
register = ModelStep(
    name="Register",
    step_args=model.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=["ml.t2.medium", "ml.m5.large"],
        transform_instances=["ml.m5.large"],
        model_package_group_name=f"{name}-models",
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
