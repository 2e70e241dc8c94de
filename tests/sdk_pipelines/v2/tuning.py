"""SDK v2: hyperparameters of XGBoost are tuned, the best model is registered, and the tuning job is attached to."""

from common import INSTANCE, channels, name, preprocess_step, role, run, session, table
from sagemaker import HyperparameterTuningJobAnalytics, image_uris
from sagemaker.estimator import Estimator
from sagemaker.model import Model
from sagemaker.tuner import ContinuousParameter, HyperparameterTuner, IntegerParameter
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.steps import TuningStep

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
estimator.set_hyperparameters(objective="reg:squarederror", num_round=10)
tuner = HyperparameterTuner(
    estimator,
    "validation:rmse",
    {"eta": ContinuousParameter(0.05, 0.5, scaling_type="Logarithmic"), "max_depth": IntegerParameter(2, 5)},
    objective_type="Minimize",
    strategy="Bayesian",
    early_stopping_type="Auto",
    max_jobs=2,
    max_parallel_jobs=2,
)
tune = TuningStep(name="Tune", step_args=tuner.fit(channels(preprocess)))
best = Model(
    image_uri=image,
    model_data=tune.get_top_model_s3_uri(top_k=0, s3_bucket=session.default_bucket(), prefix=f"{name}/model"),
    sagemaker_session=session,
    role=role,
)
register = ModelStep(
    name="Register",
    step_args=best.register(
        content_types=["text/csv"], response_types=["text/csv"], model_package_group_name=f"{name}-models"
    ),
)
execution = run(Pipeline(name=name, steps=[preprocess, tune, register], sagemaker_session=session))
steps = {step["StepName"]: step for step in execution.list_steps()}
job = steps["Tune"]["Metadata"]["TuningJob"]["Arn"].rpartition("/")[2]
rows = HyperparameterTuningJobAnalytics(job).dataframe().sort_values("FinalObjectiveValue")
attached = HyperparameterTuner.attach(job)
print(execution.arn, attached.best_training_job() == rows.iloc[0]["TrainingJobName"])
