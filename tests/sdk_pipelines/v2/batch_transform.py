"""SDK v2: a model is created and classifies the rows of the test part in a batch transform job."""

from common import (
    INSTANCE,
    SCRIPTS,
    VERSION,
    forest,
    name,
    output,
    preprocess_step,
    role,
    run,
    session,
    table,
    train_step,
)
from sagemaker.sklearn.model import SKLearnModel
from sagemaker.transformer import Transformer
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.steps import TransformStep

preprocess = preprocess_step(table())
train = train_step(preprocess, forest())
model = SKLearnModel(
    model_data=train.properties.ModelArtifacts.S3ModelArtifacts,
    entry_point="train.py",
    source_dir=str(SCRIPTS),
    framework_version=VERSION,
    sagemaker_session=session,
    role=role,
)
create = ModelStep(name="Create", step_args=model.create(instance_type=INSTANCE))
transformer = Transformer(
    model_name=create.properties.ModelName,
    instance_type=INSTANCE,
    instance_count=1,
    strategy="MultiRecord",
    accept="text/csv",
    assemble_with="Line",
    output_path=f"s3://{session.default_bucket()}/{name}/predicted",
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
