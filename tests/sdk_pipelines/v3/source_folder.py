"""SDK v3: a FrameworkProcessor runs a script out of a folder with a module and requirements of its own."""

from common import HERE, INSTANCE, given, image, kept, name, role, run, session, table
from sagemaker.core.processing import FrameworkProcessor
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import ProcessingStep

processor = FrameworkProcessor(
    image_uri=image,
    instance_type=INSTANCE,
    instance_count=1,
    base_job_name=f"{name}-folder",
    sagemaker_session=session,
    role=role,
)
arguments = processor.run(
    inputs=[given("input", table())],
    outputs=[kept("summary")],
    code="describe.py",
    source_dir=str(HERE / "source"),
    arguments=["--rows", "3"],
)
step = ProcessingStep(name="Describe", step_args=arguments)
run(Pipeline(name=name, steps=[step], sagemaker_session=session))
