"""SDK v2: XGBoost as a built-in algorithm, evaluated and registered if its error is low enough; a batch of libsvm.

The batch has labels, counts its features from 1 and has no content type, like that of AWS's first example.
"""

from common import INSTANCE, SCRIPTS, channels, name, output, preprocess_step, role, run, session, table
from sagemaker import image_uris
from sagemaker.estimator import Estimator
from sagemaker.model import Model
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.s3 import S3Uploader
from sagemaker.transformer import Transformer
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionLessThanOrEqualTo
from sagemaker.workflow.functions import JsonGet
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.steps import ProcessingStep, TrainingStep, TransformInput, TransformStep

image = image_uris.retrieve("xgboost", session.boto_region_name, version="1.5-1", instance_type=INSTANCE)
preprocess = preprocess_step(table())
estimator = Estimator(
    image_uri=image,
    instance_type=INSTANCE,
    instance_count=1,
    output_path=f"s3://{session.default_bucket()}/{name}/model",
    sagemaker_session=session,
    role=role,
)
estimator.set_hyperparameters(objective="reg:squarederror", num_round=30, max_depth=4, eta=0.2, subsample=0.8)
train = TrainingStep(name="Train", step_args=estimator.fit(channels(preprocess)))
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
        inputs=[
            ProcessingInput(source=artifact, destination="/opt/ml/processing/model"),
            ProcessingInput(source=output(preprocess, "test"), destination="/opt/ml/processing/test"),
        ],
        outputs=[ProcessingOutput(output_name="evaluation", source="/opt/ml/processing/evaluation")],
        code=str(SCRIPTS / "evaluate_xgboost.py"),
    ),
    property_files=[report],
)
model = Model(image_uri=image, model_data=artifact, sagemaker_session=session, role=role)
register = ModelStep(
    name="Register",
    step_args=model.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=["ml.m5.large"],
        transform_instances=["ml.m5.large"],
        model_package_group_name=f"{name}-models",
    ),
)
error = JsonGet(step_name="Evaluate", property_file=report, json_path="mse")
check = ConditionStep(
    name="CheckError",
    conditions=[ConditionLessThanOrEqualTo(left=error, right=6.0)],
    if_steps=[register],
    else_steps=[],
)
create = ModelStep(name="Create", step_args=model.create(instance_type="ml.m5.large"))
batch = "9.0 1:0.5 2:0.4 7:0.15\n7.0 1:0.35 2:0.27 6:0.05\n"
place = f"s3://{session.default_bucket()}/{name}/batch"
S3Uploader.upload_string_as_file_body(batch, f"{place}/shells-batch", sagemaker_session=session)
transformer = Transformer(
    model_name=create.properties.ModelName,
    instance_type=INSTANCE,
    instance_count=1,
    output_path=f"{place}-answers",
    sagemaker_session=session,
)
transform = TransformStep(name="Transform", transformer=transformer, inputs=TransformInput(data=place))
steps = [preprocess, train, evaluate, check, create, transform]
run(Pipeline(name=name, steps=steps, sagemaker_session=session))
