"""SDK v3: hyperparameters of a script are tuned, and the best model is created and registered."""

from common import INSTANCE, SCRIPTS, bucket, channels, image, name, preprocess_step, role, run, session, table
from sagemaker.core.parameter import CategoricalParameter, IntegerParameter
from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import TuningStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.model_trainer import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner

preprocess = preprocess_step(table())
trainer = ModelTrainer(
    sagemaker_session=session,
    role=role,
    training_image=image,
    base_job_name=f"{name}-tune",
    compute=Compute(instance_type=INSTANCE, instance_count=1, volume_size_in_gb=30),
    source_code=SourceCode(source_dir=str(SCRIPTS), entry_script="train.py"),
    hyperparameters={"trees": 5},
)
tuner = HyperparameterTuner(
    model_trainer=trainer,
    objective_metric_name="validation:mse",
    hyperparameter_ranges={"depth": IntegerParameter(2, 6), "trees": CategoricalParameter([3, 4])},
    metric_definitions=[{"Name": "validation:mse", "Regex": "validation:mse=(.*?);"}],
    objective_type="Minimize",
    strategy="Random",
    early_stopping_type="Auto",
    max_jobs=2,
    max_parallel_jobs=2,
)
tune = TuningStep(name="Tune", step_args=tuner.tune(inputs=channels(preprocess), wait=False))
builder = ModelBuilder(
    image_uri=image,
    s3_model_data_url=tune.get_top_model_s3_uri(top_k=0, s3_bucket=bucket, prefix=f"{name}-tune"),
    sagemaker_session=session,
    role_arn=role,
)
create = ModelStep(name="Create", step_args=builder.build())
register = ModelStep(
    name="Register",
    step_args=builder.register(
        content_types=["text/csv"], response_types=["text/csv"], model_package_group_name=f"{name}-models"
    ),
)
execution = run(Pipeline(name=name, steps=[preprocess, tune, create, register], sagemaker_session=session))
print(execution.arn, True)
