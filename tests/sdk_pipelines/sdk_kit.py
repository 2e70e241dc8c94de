"""Runs programs of the SDKs against a local cloud as its users do, and looks at what their pipelines have done."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from localcloud.clients import daemon
from localcloud.state.credentials import owner_secret

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ACCOUNT = "000000000000"
BUCKET = f"sagemaker-us-east-1-{ACCOUNT}"
LOCALCLOUD = Path(sys.prefix) / "bin" / "localcloud"
_SECONDS = 880  # a check of bias took 180 on a slow machine, and more than 280 on a busy one


def environment(sdk: str) -> Path:
    """The virtual environment of an SDK, in which its programs run; the tools' own where there is none."""
    own = ROOT / f".venv-sdk{sdk[1:]}"
    return own if own.exists() else Path(sys.prefix)


@dataclass
class Cloud:
    """A local cloud that runs on a home of the test's own."""

    home: Path

    def client(self, service: str) -> Any:
        """A boto3 client for this cloud."""
        found = daemon.find(self.home)
        assert found is not None
        return boto3.client(
            service,
            endpoint_url=found.url,
            region_name="us-east-1",
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key=owner_secret(self.home, ACCOUNT),
            config=Config(s3={"addressing_style": "path"}),
        )

    def run(self, sdk: str, shape: str, name: str) -> str:
        """Run a program as it is in a shell that has evaluated `localcloud env`; the last line that it prints."""
        # The SDK writes into the folder that it packs.
        checkout = self.home.parent / name
        for folder in (sdk, "scripts", "source"):
            shutil.copytree(HERE / folder, checkout / folder)
        shutil.copy(HERE / "shells.csv", checkout)
        python, program = environment(sdk) / "bin" / "python", checkout / sdk / f"{shape}.py"
        shell = 'eval "$("$0" env --home "$1")" && shift && exec "$@"'
        done = subprocess.run(
            ["bash", "-c", shell, LOCALCLOUD, self.home, python, program, name],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            cwd=self.home,
        )
        assert done.returncode == 0, f"{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip().splitlines()[-1]


@dataclass
class Execution:
    """An execution that a program has run to its end."""

    cloud: Cloud
    name: str
    """The pipeline's name, with which all that the program made begins."""
    arn: str

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """The steps by name."""
        sagemaker = self.cloud.client("sagemaker")
        answer = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=self.arn, MaxResults=100)
        return {step["StepName"]: step for step in answer["PipelineExecutionSteps"]}

    @property
    def statuses(self) -> dict[str, str]:
        """The steps' statuses by name."""
        return {name: step["StepStatus"] for name, step in self.steps.items()}

    def outputs(self, step: str) -> dict[str, str]:
        """The output parameters of a Lambda or Callback step."""
        (metadata,) = self.steps[step]["Metadata"].values()
        return {output["Name"]: output["Value"] for output in metadata["OutputParameters"]}

    def job(self, step: str) -> dict[str, Any]:
        """The training job of a step."""
        name = self.steps[step]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
        job: dict[str, Any] = self.cloud.client("sagemaker").describe_training_job(TrainingJobName=name)
        return job

    def package(self) -> dict[str, Any]:
        """The only version of the model that the program registered."""
        sagemaker = self.cloud.client("sagemaker")
        listed = sagemaker.list_model_packages(ModelPackageGroupName=f"{self.name}-models")["ModelPackageSummaryList"]
        (version,) = listed
        package: dict[str, Any] = sagemaker.describe_model_package(ModelPackageName=version["ModelPackageArn"])
        return package

    def read(self, uri: str) -> bytes:
        """An object by its URI."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body: bytes = self.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body
