"""SDK v3: three models are trained side by side, at most two at once."""

from common import name, preprocess_step, role, session, table, train_step
from sagemaker.mlops.workflow.parallelism_config import ParallelismConfiguration
from sagemaker.mlops.workflow.pipeline import Pipeline

preprocess = preprocess_step(table())
models = [train_step(preprocess, f"Train-Depth{depth}", depth=depth) for depth in (2, 4, 6)]
pipeline = Pipeline(name=name, steps=[preprocess, *models], sagemaker_session=session)
at_once = ParallelismConfiguration(max_parallel_execution_steps=2)
pipeline.upsert(role_arn=role, parallelism_config=at_once)
execution = pipeline.start(parallelism_config=at_once)
execution.wait(delay=1, max_attempts=300)
print(execution.arn)
