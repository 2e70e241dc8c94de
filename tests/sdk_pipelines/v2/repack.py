"""SDK v2: a model is registered with an inference script of its own, for which the SDK adds a repacking step."""

from common import SCRIPTS, forest, name, preprocess_step, role, run, session, table, train_step
from sagemaker.model import Model
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.pipeline import Pipeline

preprocess = preprocess_step(table())
estimator = forest()
train = train_step(preprocess, estimator)
model = Model(
    image_uri=estimator.training_image_uri(),
    model_data=train.properties.ModelArtifacts.S3ModelArtifacts,
    entry_point="train.py",
    source_dir=str(SCRIPTS),
    sagemaker_session=session,
    role=role,
)
register = ModelStep(
    name="Register",
    step_args=model.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=["ml.m5.large"],
        model_package_group_name=f"{name}-models",
    ),
)
run(Pipeline(name=name, steps=[preprocess, train, register], sagemaker_session=session))
