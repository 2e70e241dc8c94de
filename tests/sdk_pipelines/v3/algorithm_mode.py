"""SDK v3: XGBoost as a built-in algorithm, evaluated and registered if its error is low enough."""

from common import (
    INSTANCE,
    SCRIPTS,
    bucket,
    channels,
    given,
    kept,
    name,
    output,
    preprocess_step,
    role,
    run,
    session,
    table,
)
from sagemaker.core import image_uris
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.shapes import OutputDataConfig
from sagemaker.core.training.configs import Compute
from sagemaker.core.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.core.workflow.functions import JsonGet
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.model_trainer import ModelTrainer

image = image_uris.retrieve("xgboost", session.boto_region_name, version="1.5-1", instance_type=INSTANCE)
preprocess = preprocess_step(table())
trainer = ModelTrainer(
    sagemaker_session=session,
    role=role,
    training_image=image,
    base_job_name=f"{name}-train",
    compute=Compute(instance_type=INSTANCE, instance_count=1, volume_size_in_gb=30),
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/{name}/model"),
    hyperparameters={
        "objective": "reg:squarederror",
        "num_round": 30,
        "max_depth": 4,
        "eta": 0.2,
        "subsample": 0.8,
    },
)
train = TrainingStep(name="Train", step_args=trainer.train(input_data_config=channels(preprocess)))
artifact = train.properties.ModelArtifacts.S3ModelArtifacts
evaluator = ScriptProcessor(
    image_uri=image,
    command=["python3"],
    instance_type=INSTANCE,
    instance_count=1,
    sagemaker_session=session,
    role=role,
)
report = PropertyFile(name="Report", output_name="evaluation", path="evaluation.json")
evaluate = ProcessingStep(
    name="Evaluate",
    step_args=evaluator.run(
        inputs=[given("model", artifact), given("test", output(preprocess, "test"))],
        outputs=[kept("evaluation")],
        code=str(SCRIPTS / "evaluate_xgboost.py"),
    ),
    property_files=[report],
)
model = ModelBuilder(s3_model_data_url=artifact, image_uri=image, role_arn=role, sagemaker_session=session)
register = ModelStep(
    name="Register",
    step_args=model.register(
        model_package_group_name=f"{name}-models",
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=["ml.m5.large"],
        transform_instances=["ml.m5.large"],
    ),
)
error = JsonGet(step_name="Evaluate", property_file=report, json_path="mse")
check = ConditionStep(
    name="CheckError",
    conditions=[ConditionLessThanOrEqualTo(left=error, right=6.0)],
    if_steps=[register],
    else_steps=[],
)
run(Pipeline(name=name, steps=[preprocess, train, evaluate, check], sagemaker_session=session))
