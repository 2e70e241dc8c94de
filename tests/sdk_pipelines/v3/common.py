"""What the pipelines of SDK v3 share: a session, the table in S3, and the steps that most of them begin with."""

import sys
from pathlib import Path
from typing import Any

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import get_execution_role
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.shapes import MetricDefinition, ProcessingInput, ProcessingOutput
from sagemaker.core.shapes import ProcessingS3Input as S3Input
from sagemaker.core.shapes import ProcessingS3Output as S3Output
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.train.model_trainer import ModelTrainer

HERE = Path(__file__).parents[1]
SCRIPTS = HERE / "scripts"
INSTANCE = "ml.m5.xlarge"

name = sys.argv[1]
session = PipelineSession()
role = get_execution_role()
bucket = session.default_bucket()
image = image_uris.retrieve("sklearn", session.boto_region_name, version="1.2-1", instance_type=INSTANCE)


def table() -> str:
    """Upload the table; its URI."""
    return str(session.upload_data(str(HERE / "shells.csv"), bucket, f"{name}/data"))


def given(input_name: str, uri: Any) -> ProcessingInput:
    """An input of a processing job."""
    place = f"/opt/ml/processing/{input_name}"
    source = S3Input(s3_uri=uri, local_path=place, s3_data_type="S3Prefix", s3_input_mode="File")
    return ProcessingInput(input_name=input_name, s3_input=source)


def kept(output_name: str) -> ProcessingOutput:
    """An output of a processing job."""
    target = S3Output(
        s3_uri=f"s3://{bucket}/{name}/{output_name}",
        local_path=f"/opt/ml/processing/{output_name}",
        s3_upload_mode="EndOfJob",
    )
    return ProcessingOutput(output_name=output_name, s3_output=target)


def processor(instance_count: Any = 1) -> ScriptProcessor:
    """A processor that runs scripts in the image."""
    return ScriptProcessor(
        image_uri=image,
        command=["python3"],
        instance_type=INSTANCE,
        instance_count=instance_count,
        base_job_name=f"{name}-processing",
        sagemaker_session=session,
        role=role,
    )


def preprocess_step(data: Any, instance_count: Any = 1, **step: Any) -> ProcessingStep:
    """Split the table into train, validation and test."""
    arguments = processor(instance_count).run(
        inputs=[given("input", data)],
        outputs=[kept(part) for part in ("train", "validation", "test")],
        code=str(SCRIPTS / "preprocess.py"),
        arguments=["--test-share", "0.25"],
    )
    return ProcessingStep(name="Preprocess", step_args=arguments, **step)


def output(step: ProcessingStep, part: str) -> Any:
    """Where a processing step puts one of its outputs."""
    return step.properties.ProcessingOutputConfig.Outputs[part].S3Output.S3Uri


def channels(step: ProcessingStep) -> list[InputData]:
    """The channels of a training job on the parts of the table."""
    return [
        InputData(channel_name=part, data_source=output(step, part), content_type="text/csv")
        for part in ("train", "validation")
    ]


def train_step(
    preprocess: ProcessingStep, step_name: str = "Train", instance_type: Any = INSTANCE, depth: int = 6, **step: Any
) -> TrainingStep:
    """Train on the parts of the table, from a folder of source code."""
    trainer = ModelTrainer(
        sagemaker_session=session,
        role=role,
        training_image=image,
        base_job_name=f"{name}-train",
        compute=Compute(instance_type=instance_type, instance_count=1, volume_size_in_gb=30),
        source_code=SourceCode(source_dir=str(SCRIPTS), entry_script="train.py"),
        hyperparameters={"trees": 25, "depth": depth},
    )
    trainer.with_metric_definitions([MetricDefinition(name="validation:mse", regex="validation:mse=(.*?);")])
    return TrainingStep(name=step_name, step_args=trainer.train(input_data_config=channels(preprocess)), **step)


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
