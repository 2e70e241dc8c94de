"""SDK v2: three models are trained side by side, at most two at once."""

from common import forest, name, preprocess_step, role, session, table, train_step
from sagemaker.workflow.parallelism_config import ParallelismConfiguration
from sagemaker.workflow.pipeline import Pipeline

preprocess = preprocess_step(table())
models = [train_step(preprocess, forest(depth=depth), f"Train-Depth{depth}") for depth in (2, 4, 6)]
pipeline = Pipeline(name=name, steps=[preprocess, *models], sagemaker_session=session)
at_once = ParallelismConfiguration(max_parallel_execution_steps=2)
pipeline.upsert(role_arn=role, parallelism_config=at_once)
execution = pipeline.start(parallelism_config=at_once)
execution.wait(delay=1, max_attempts=300)
print(execution.arn)
