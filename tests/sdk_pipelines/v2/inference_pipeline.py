"""SDK v2: scikit-learn prepares rows and XGBoost predicts: one model of two containers, made, registered, deployed."""

from pathlib import Path

from common import HERE, INSTANCE, SCRIPTS, VERSION, name, role, run, session
from sagemaker import Session, image_uris
from sagemaker.deserializers import CSVDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.model import Model, ModelPackage
from sagemaker.pipeline import PipelineModel
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer
from sagemaker.sklearn.estimator import SKLearn
from sagemaker.sklearn.model import SKLearnModel
from sagemaker.transformer import Transformer
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.steps import TrainingStep, TransformStep

bucket = session.default_bucket()
rows = (HERE / "shells.csv").read_text().splitlines()[1:]


def uploaded(folder: str, lines: list[str]) -> str:
    """Upload rows without a header; their URI."""
    Path(f"{folder}.csv").write_text("\n".join(lines), encoding="utf-8")
    return session.upload_data(f"{folder}.csv", bucket, f"{name}/{folder}")


def transformer(model_name: object, folder: str) -> Transformer:
    """A batch transform of the model, its output below `folder` in the bucket."""
    return Transformer(
        model_name=model_name,
        instance_type=INSTANCE,
        instance_count=1,
        strategy="MultiRecord",
        accept="text/csv",
        assemble_with="Line",
        output_path=f"s3://{bucket}/{name}/{folder}",
        sagemaker_session=session,
    )


labelled = uploaded("labelled", rows)
unlabelled = uploaded("unlabelled", [row.rpartition(",")[0] for row in rows])
script = {"entry_point": "features.py", "source_dir": str(SCRIPTS), "framework_version": VERSION, "role": role}
estimator = SKLearn(instance_type=INSTANCE, sagemaker_session=session, **script)
fit = TrainingStep(name="Fit", step_args=estimator.fit({"train": TrainingInput(labelled, content_type="text/csv")}))
featurizer = SKLearnModel(
    model_data=fit.properties.ModelArtifacts.S3ModelArtifacts,
    env={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"},
    sagemaker_session=session,
    **script,
)
prepare_with = ModelStep(name="Featurizer", step_args=featurizer.create(instance_type=INSTANCE))
prepare = TransformStep(
    name="Prepare",
    step_args=transformer(prepare_with.properties.ModelName, "prepared").transform(
        data=labelled, content_type="text/csv", split_type="Line"
    ),
)
image = image_uris.retrieve("xgboost", session.boto_region_name, version="1.5-1", instance_type=INSTANCE)
trees = Estimator(
    image_uri=image,
    instance_type=INSTANCE,
    instance_count=1,
    role=role,
    sagemaker_session=session,
    hyperparameters={"objective": "reg:squarederror", "num_round": 30, "max_depth": 4},
)
prepared = TrainingInput(prepare.properties.TransformOutput.S3OutputPath, content_type="text/csv")
train = TrainingStep(name="Train", step_args=trees.fit({"train": prepared}))
artifact = train.properties.ModelArtifacts.S3ModelArtifacts
booster = Model(image_uri=image, model_data=artifact, sagemaker_session=session, role=role)
both = PipelineModel(models=[featurizer, booster], role=role, sagemaker_session=session)
create = ModelStep(name="Create", step_args=both.create(instance_type=INSTANCE))
predict = TransformStep(
    name="Predict",
    step_args=transformer(create.properties.ModelName, "predicted").transform(
        data=unlabelled, content_type="text/csv", split_type="Line"
    ),
)
register = ModelStep(
    name="Register",
    step_args=both.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=[INSTANCE],
        transform_instances=[INSTANCE],
        model_package_group_name=f"{name}-models",
        approval_status="Approved",
    ),
)
steps = [fit, prepare_with, prepare, train, create, predict, register]
execution = run(Pipeline(name=name, steps=steps, sagemaker_session=session))

# The registered version is deployed, and asked for what the transform job has predicted.
[registered] = [step for step in execution.list_steps() if "RegisterModel" in step["Metadata"]]
package = ModelPackage(
    role=role, model_package_arn=registered["Metadata"]["RegisterModel"]["Arn"], sagemaker_session=Session()
)
package.deploy(initial_instance_count=1, instance_type=INSTANCE, endpoint_name=name, wait=False)
# `deploy` itself looks every 30 seconds only.
session.sagemaker_client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})
predictor = Predictor(name, Session(), serializer=CSVSerializer(), deserializer=CSVDeserializer())
[answer] = predictor.predict(rows[0].rpartition(",")[0])
predictor.delete_endpoint()
print(execution.arn, answer[0])
