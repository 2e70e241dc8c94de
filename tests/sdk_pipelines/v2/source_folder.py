"""SDK v2: a FrameworkProcessor runs a script out of a folder with a module and requirements of its own."""

from common import HERE, INSTANCE, VERSION, name, role, run, session, table
from sagemaker.processing import FrameworkProcessor, ProcessingInput, ProcessingOutput
from sagemaker.sklearn.estimator import SKLearn
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.steps import ProcessingStep

processor = FrameworkProcessor(
    estimator_cls=SKLearn,
    framework_version=VERSION,
    instance_type=INSTANCE,
    instance_count=1,
    base_job_name=f"{name}-folder",
    sagemaker_session=session,
    role=role,
)
arguments = processor.run(
    inputs=[ProcessingInput(source=table(), destination="/opt/ml/processing/input")],
    outputs=[ProcessingOutput(output_name="summary", source="/opt/ml/processing/summary")],
    code="describe.py",
    source_dir=str(HERE / "source"),
    arguments=["--rows", "3"],
)
step = ProcessingStep(name="Describe", step_args=arguments)
run(Pipeline(name=name, steps=[step], sagemaker_session=session))
