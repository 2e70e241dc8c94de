"""SDK v2: XGBoost with weights, with libsvm by default, on two instances, in script mode, and on a wrong file."""

import random

import sagemaker
from common import INSTANCE, SCRIPTS, name, role, session
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.s3 import S3Uploader
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.steps import TrainingStep
from sagemaker.xgboost.estimator import XGBoost

image = sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, "1.7-1")
data = f"s3://{session.default_bucket()}/{name}"
draw = random.Random(1)  # noqa: S311 - not a secret
table = [[draw.random() for _ in range(3)] for _ in range(200)]


def put(key: str, lines: list[str]) -> None:
    """Store lines as an object."""
    S3Uploader.upload_string_as_file_body("\n".join(lines), f"{data}/{key}", sagemaker_session=session)


def step(step_name: str, channel: TrainingInput, instances: int = 1, **hyperparameters: int) -> TrainingStep:
    """Train in algorithm mode."""
    estimator = Estimator(image, role, instances, INSTANCE, sagemaker_session=session)
    estimator.set_hyperparameters(objective="reg:squarederror", num_round=5, **hyperparameters)
    return TrainingStep(name=step_name, step_args=estimator.fit({"train": channel}))


rows = [f"{sum(row):.4f},{','.join(f'{value:.4f}' for value in row)}" for row in table]
put("csv/first.csv", rows[:100])
put("csv/second.csv", rows[100:])
put("weighted/rows.csv", [row.replace(",", ",1,", 1) for row in rows])
put("libsvm/rows.svm", [" ".join([f"{sum(row)}", *(f"{n}:{value}" for n, value in enumerate(row))]) for row in table])
put("wrong/rows.csv", ["a,b", "1,2"])
shared = TrainingInput(f"{data}/csv", content_type="text/csv", distribution="ShardedByS3Key")
script = XGBoost(
    "train_xgboost.py",
    source_dir=str(SCRIPTS),
    framework_version="1.7-1",
    instance_type=INSTANCE,
    instance_count=2,
    role=role,
    sagemaker_session=session,
    metric_definitions=[{"Name": "rows", "Regex": "rows=(.*?);"}],
)
pipeline = Pipeline(
    name=name,
    steps=[
        step("Weighted", TrainingInput(f"{data}/weighted", content_type="text/csv"), csv_weights=1),
        step("Libsvm", TrainingInput(f"{data}/libsvm")),
        step("TwoInstances", shared, 2),
        TrainingStep(name="Script", step_args=script.fit({"train": shared})),
        step("Wrong", TrainingInput(f"{data}/wrong", content_type="text/csv")),
    ],
    sagemaker_session=session,
)
pipeline.upsert(role_arn=role)
execution = pipeline.start()
try:
    execution.wait(delay=1, max_attempts=300)
except Exception as error:
    # The step Wrong fails.
    print(error)
print(execution.arn)
