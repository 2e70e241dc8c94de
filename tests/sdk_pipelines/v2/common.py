"""What the pipelines of SDK v2 share: a session, the table in S3, and the steps that most of them begin with."""

import sys
from pathlib import Path
from typing import Any

import sagemaker
from sagemaker.inputs import TrainingInput
from sagemaker.processing import ProcessingInput, ProcessingOutput
from sagemaker.sklearn.estimator import SKLearn
from sagemaker.sklearn.processing import SKLearnProcessor
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.steps import ProcessingStep, TrainingStep

HERE = Path(__file__).parents[1]
SCRIPTS = HERE / "scripts"
VERSION = "1.2-1"
INSTANCE = "ml.m5.xlarge"

name = sys.argv[1]
session = PipelineSession()
role = sagemaker.get_execution_role()


def table() -> str:
    """Upload the table; its URI."""
    return session.upload_data(str(HERE / "shells.csv"), session.default_bucket(), f"{name}/data")


def preprocess_step(data: Any, instance_count: Any = 1, **step: Any) -> ProcessingStep:
    """Split the table into train, validation and test."""
    processor = SKLearnProcessor(
        framework_version=VERSION,
        instance_type=INSTANCE,
        instance_count=instance_count,
        base_job_name=f"{name}/preprocess",
        sagemaker_session=session,
        role=role,
    )
    arguments = processor.run(
        inputs=[ProcessingInput(source=data, destination="/opt/ml/processing/input")],
        outputs=[
            ProcessingOutput(output_name=part, source=f"/opt/ml/processing/{part}")
            for part in ("train", "validation", "test")
        ],
        code=str(SCRIPTS / "preprocess.py"),
        arguments=["--test-share", "0.25"],
    )
    return ProcessingStep(name="Preprocess", step_args=arguments, **step)


def output(step: ProcessingStep, part: str) -> Any:
    """Where a processing step puts one of its outputs."""
    return step.properties.ProcessingOutputConfig.Outputs[part].S3Output.S3Uri


def forest(instance_type: Any = INSTANCE, **hyperparameters: int) -> SKLearn:
    """A scikit-learn estimator in script mode: a random forest of 25 trees, unless `hyperparameters` say otherwise."""
    return SKLearn(
        entry_point="train.py",
        source_dir=str(SCRIPTS),
        framework_version=VERSION,
        instance_type=instance_type,
        role=role,
        sagemaker_session=session,
        hyperparameters={"trees": 25, "depth": 6, **hyperparameters},
        metric_definitions=[{"Name": "validation:mse", "Regex": "validation:mse=(.*?);"}],
    )


def channels(step: ProcessingStep) -> dict[str, TrainingInput]:
    """The channels of a training job on the parts of the table."""
    return {part: TrainingInput(output(step, part), content_type="text/csv") for part in ("train", "validation")}


def train_step(preprocess: ProcessingStep, estimator: SKLearn, step_name: str = "Train", **step: Any) -> TrainingStep:
    """Train on the parts of the table."""
    return TrainingStep(name=step_name, step_args=estimator.fit(channels(preprocess)), **step)


def run(pipeline: Pipeline, **parameters: Any) -> Any:
    """Create the pipeline, run it to its end; SystemExit with what failed, else the execution, which is printed."""
    pipeline.upsert(role_arn=role, tags=[{"Key": "project", "Value": name}])
    execution = pipeline.start(parameters=parameters)
    try:
        execution.wait(delay=1, max_attempts=300)
    except Exception:
        failed = [step for step in execution.list_steps() if step["StepStatus"] != "Succeeded"]
        sys.exit(f"{execution.describe()['PipelineExecutionStatus']}: {failed}")
    print(execution.arn)
    return execution
