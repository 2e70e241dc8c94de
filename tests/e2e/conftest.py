"""The `bay` of the end-to-end tests, a folder with a local cloud: driven by the command line and by boto3 over HTTP.

With LOADINGBAY_TEST_CLOUD=aws those that are marked `aws` drive AWS: see real_account.py and docs/aws-tests.md.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from loadingbay.data.samples import write_archive
from loadingbay.target import choose
from tests.e2e import few_photos
from tests.e2e.real_account import RefusedError, compare, switched
from tests.free_ports import free_port

ROOT = Path(__file__).resolve().parents[2]

# Few epochs: these tests ask whether the story is told right, test_real_images.py how well the model does.
QUICK = ("--epochs", "2", "--minimum-accuracy", "0.5", "--target-precision", "0.95", "--champion-tolerance", "1")
TRAIN = 240  # photos of both classes, for 1,000 in CIFAR-100: a training takes a third of the time
# The least that trains: where nobody looks at the model.
LEAST = ("--epochs", "1", "--second-opinion-below", "0", "--minimum-accuracy", "0")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is end to end, and slow beside other tests; against AWS, what is local is left out."""
    try:
        account = switched(os.environ)
    except RefusedError as error:
        raise pytest.UsageError(str(error)) from error
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if account and not item.get_closest_marker("aws"):
                item.add_marker(pytest.mark.skip(reason="is about the local cloud: not marked `aws`"))
            elif account:
                item.add_marker(pytest.mark.timeout(4 * 3600), append=False)


@dataclass
class Bay:
    """A folder with a local cloud in it, as a user has one."""

    folder: Path
    port: int
    data: Path
    stage: str = "loadingbay"
    timeout: float = 300.0
    """Seconds for something that is said at once, such as an approval, to be seen."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LOADINGBAY_"))}
        kept.pop("CIFAR100_ARCHIVE", None)
        return {**kept, "LOADINGBAY_FOLDER": str(self.folder), "LOADINGBAY_PORT": str(self.port)}

    def cli(self, *arguments: object, timeout: float = 880, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `loadingbay ...`; with `check`, a failure shows what the command said."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.environment, text=True, timeout=timeout,
            capture_output=True, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            pytest.fail(f"loadingbay {arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    @staticmethod
    def command(*arguments: object) -> list[str]:
        return [sys.executable, "-m", "loadingbay.cli", *map(str, arguments)]

    def up(self, *options: str) -> None:
        """`loadingbay up`. No version is rolled back because its answers take long: the machine may be busy."""
        self.cli("up", *options)
        self.cli("deploy", "--parameter", "LatencyMilliseconds=60000")

    def run(self, *arguments: object) -> dict[str, Any]:
        """`loadingbay run` on this bay's photos; its summary."""
        return json.loads(self.cli("run", "--data", self.data, "--json", *QUICK, *arguments).stdout)

    def another(self, folder: Path, photos: Path) -> "Bay":
        """A second bay beside this one."""
        return type(self)(folder, free_port(), photos)

    @property
    def secret(self) -> str:
        """The secret access key of this bay's local cloud."""
        return choose({}, self.folder).environment["AWS_SECRET_ACCESS_KEY"]

    def client(self, service: str) -> Any:
        return boto3.client(
            service, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="000000000000",
            aws_secret_access_key=self.secret, config=Config(inject_host_prefix=False, s3={"addressing_style": "path"}),
        )  # fmt: skip

    def outputs(self) -> dict[str, str]:
        stack = self.client("cloudformation").describe_stacks(StackName=self.stage)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def steps(self, execution_arn: str) -> dict[str, dict[str, Any]]:
        answer = self.client("sagemaker").list_pipeline_execution_steps(PipelineExecutionArn=execution_arn)
        return {step["StepName"]: step for step in answer["PipelineExecutionSteps"]}

    def versions(self) -> dict[int, dict[str, Any]]:
        """Each version of the stage by number, as SageMaker describes it."""
        sagemaker = self.client("sagemaker")
        listed = sagemaker.list_model_packages(ModelPackageGroupName=self.stage)["ModelPackageSummaryList"]
        return {
            summary["ModelPackageVersion"]: sagemaker.describe_model_package(
                ModelPackageName=summary["ModelPackageArn"]
            )
            for summary in listed
        }


class AwsBay(Bay):
    """A folder whose commands work on AWS, in a stage of its own."""

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LOADINGBAY_")}
        kept.pop("CIFAR100_ARCHIVE", None)
        folder = str(self.folder)
        return {**kept, "LOADINGBAY_CLOUD": "aws", "LOADINGBAY_STAGE": self.stage, "LOADINGBAY_FOLDER": folder}

    def cli(self, *arguments: object, timeout: float = 0, check: bool = True) -> subprocess.CompletedProcess[str]:
        return super().cli(*arguments, timeout=max(timeout, 2 * 3600), check=check)

    def client(self, service: str) -> Any:
        return boto3.client(service)


def archive(place: Path, train: int) -> Path:
    """Write an archive with so many training photos: of the one that CIFAR100_ARCHIVE names, else drawn; its path."""
    named = os.environ.get("CIFAR100_ARCHIVE")
    if named:
        few_photos.take(Path(named), place, each=train // 2)
    else:
        write_archive(place, train=train)
    return place


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with few training photos."""
    return archive(tmp_path_factory.mktemp("photos") / "cifar-100-python.tar.gz", TRAIN)


@pytest.fixture(scope="session")
def bay(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Bay]:
    """A bay that has the application: a local cloud that runs, or a stage on AWS."""
    folder, account = tmp_path_factory.mktemp("bay"), switched(os.environ)
    if account is None:
        made = Bay(folder, free_port(), photos)
        made.up()
        yield made
        made.cli("down")
    else:
        compare(account, boto3.client("sts").get_caller_identity()["Account"])
        made = AwsBay(folder, 0, photos, account.stage, timeout=1800)
        made.cli("deploy")
        subprocess.run(["bash", ROOT / "workflow" / "image.sh"], env=made.environment, check=True, timeout=3600)
        yield made
        if not account.keep:
            made.cli("destroy", "--yes")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def story(bay: Bay) -> dict[str, Any]:
    """The summary of one whole run: trained, approved, deployed, photos classified, report drawn."""
    return bay.run("--approve")


@pytest.fixture(scope="session")
def second_run(bay: Bay, story: dict[str, Any]) -> dict[str, Any]:
    """The summary of a run after the story, with another learning rate: its version waits for a person."""
    assert story["model_package_arn"].endswith("/1")
    return bay.run("--learning-rate", "0.033")
