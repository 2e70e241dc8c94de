"""SDK v2: several models behind one endpoint, each loaded when it is asked for; one more is added while it serves."""

import json

from common import HERE, INSTANCE, SCRIPTS, VERSION, name, role
from sagemaker import Session
from sagemaker.deserializers import JSONDeserializer
from sagemaker.multidatamodel import MultiDataModel
from sagemaker.serializers import CSVSerializer
from sagemaker.sklearn.estimator import SKLearn

session = Session()
bucket = session.default_bucket()
parts: dict[str, list[str]] = {}
for row in (HERE / "shells.csv").read_text().splitlines()[1:]:
    sex, *numbers, rings = row.split(",")
    parts.setdefault(sex, []).append(",".join([rings, *numbers]))


def trained(sex: str) -> SKLearn:
    """Begin to train a model of the shells of one sex."""
    (HERE / "train.csv").write_text("\n".join(parts[sex]))
    estimator = SKLearn(
        entry_point="train.py",
        source_dir=str(SCRIPTS),
        framework_version=VERSION,
        instance_type=INSTANCE,
        role=role,
        sagemaker_session=session,
        hyperparameters={"trees": 5, "depth": 4},
    )
    estimator.fit({"train": session.upload_data(str(HERE / "train.csv"), bucket, f"{name}/{sex}")}, wait=False)
    return estimator


estimators = {sex: trained(sex) for sex in sorted(parts)}
waiter = session.sagemaker_client.get_waiter("training_job_completed_or_stopped")
for estimator in estimators.values():
    waiter.wait(TrainingJobName=estimator.latest_training_job.name, WaiterConfig={"Delay": 1})

first, *others = estimators
model = estimators[first].create_model(role=role)
many = MultiDataModel(
    name=name, model_data_prefix=f"s3://{bucket}/{name}/models/", model=model, sagemaker_session=session
)
many.add_model(model_data_source=estimators[first].model_data, model_data_path=f"{first}.tar.gz")
predictor = many.deploy(
    initial_instance_count=1,
    instance_type=INSTANCE,
    endpoint_name=name,
    serializer=CSVSerializer(),
    deserializer=JSONDeserializer(),
    wait=False,
)
# `deploy` itself looks every 30 seconds only.
session.sagemaker_client.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})
for sex in others:
    many.add_model(model_data_source=estimators[sex].model_data, model_data_path=f"{sex}.tar.gz")

# Two rows: of a single one AWS's scikit-learn container makes a vector, which a model refuses.
rows = [row.split(",")[1:] for row in parts[first][:2]]
answers = {path: predictor.predict(rows, target_model=path)[0] for path in many.list_models()}
predictor.delete_endpoint()
print(json.dumps(answers))
