"""SDK v3: a model is created and predicts the rows of the test part in a batch transform job."""

from common import INSTANCE, bucket, channels, name, output, preprocess_step, role, run, session, table
from sagemaker.core import image_uris
from sagemaker.core.training.configs import Compute
from sagemaker.core.transformer import Transformer
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import TrainingStep, TransformStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.model_trainer import ModelTrainer

image = image_uris.retrieve("xgboost", session.boto_region_name, version="1.5-1", instance_type=INSTANCE)
preprocess = preprocess_step(table())
trainer = ModelTrainer(
    sagemaker_session=session,
    role=role,
    training_image=image,
    compute=Compute(instance_type=INSTANCE, instance_count=1, volume_size_in_gb=30),
    hyperparameters={"objective": "reg:squarederror", "num_round": 30, "max_depth": 4},
)
train = TrainingStep(name="Train", step_args=trainer.train(input_data_config=channels(preprocess)))
model = ModelBuilder(
    s3_model_data_url=train.properties.ModelArtifacts.S3ModelArtifacts,
    image_uri=image,
    role_arn=role,
    sagemaker_session=session,
)
create = ModelStep(name="Create", step_args=model.build())
transformer = Transformer(
    model_name=create.properties.ModelName,
    instance_type=INSTANCE,
    instance_count=1,
    strategy="MultiRecord",
    accept="text/csv",
    assemble_with="Line",
    output_path=f"s3://{bucket}/{name}/predicted",
    sagemaker_session=session,
)
transform = TransformStep(
    name="Transform",
    step_args=transformer.transform(
        data=output(preprocess, "test"),
        content_type="text/csv",
        split_type="Line",
        input_filter="$[1:]",
        join_source="Input",
        output_filter="$[0,-1]",
    ),
)
run(Pipeline(name=name, steps=[preprocess, train, create, transform], sagemaker_session=session))
