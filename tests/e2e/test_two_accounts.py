"""A version goes from one account to another: two local clouds, each with a number, keys and a registry of its own."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from localcloud.state.credentials import owner_secret
from tests.waiting import soon

ROOT = Path(__file__).resolve().parents[2]
OTHER = "222222222222"


class Account:
    """A local cloud with this account number, as people's tools see it: by the variables that they read."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self.home = home
        with (home / "stderr").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "localcloud", "serve", "--home", home, "--port", "0"),
                    *("--account", OTHER, "--image-env", ROOT / ".venv-image", "--image-root", ROOT / "container"),
                ],
                cwd=ROOT,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        found = soon(lambda: re.search(r"serves (http://127\.0\.0\.1:\d+)", (home / "stderr").read_text()))
        assert found, (home / "stderr").read_text()
        self.url = found[1]
        self.secret = owner_secret(home, OTHER)

    def client(self, service: str) -> Any:
        return boto3.client(
            service, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=OTHER,
            aws_secret_access_key=self.secret, config=Config(inject_host_prefix=False, s3={"addressing_style": "path"}),
        )  # fmt: skip

    @property
    def variables(self) -> dict[str, str]:
        """Where this account is, and the keys of its owner."""
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": OTHER, "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1", "LOADINGBAY_FOLDER": str(self.home.parent),
        }  # fmt: skip

    def cli(self, *arguments: str) -> str:
        """Run `loadingbay --stage production ...` in this account; what it says on stdout."""
        return run("loadingbay.cli", "--stage", "production", *arguments, variables=self.variables)


def run(*command: str, variables: dict[str, str]) -> str:
    """Run a module of the project with these variables; what it says on stdout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LOADINGBAY_"))}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env={**kept, **variables}, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Another account, with a stage that takes its images from the first."""
    account = Account(tmp_path_factory.mktemp("production") / "cloud")
    images = ["--parameter", "ImageRepository=loadingbay", "--parameter", "ImageAccount=000000000000"]
    account.cli("deploy", *images, "--parameter", "LatencyMilliseconds=60000")
    yield account
    account.process.terminate()
    account.process.wait(120)


@pytest.fixture(scope="module")
def promoted(bay: Any, story: dict[str, Any], production: Account) -> str:
    """The version of the first account, promoted with the other's keys alone; its ARN in the other."""
    # What the other account may read there, the policies of the first account's stack say.
    bay.cli("deploy", "--parameter", f"PromoteToAccount={OTHER}")
    keys = f"aws_access_key_id = {OTHER}\naws_secret_access_key = {production.secret}\n"
    with (bay.folder / ".loadingbay" / "cloud" / "credentials").open("a") as known:
        known.write(f"[production]\n{keys}")
    config = production.home.parent / "config"
    config.write_text(
        "".join(
            f"[profile {name}]\nregion = us-east-1\nendpoint_url = {url}\n{keys}"
            for name, url in (("staging", bay.url), ("production", production.url))
        )
    )
    said = run(
        "pipelines", "promote", "--stage", "production", "--from", bay.stage, "--from-account", "000000000000",
        "--from-profile", "staging", "--version", story["model_package_arn"],
        variables={"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "production"},
    )  # fmt: skip
    return said.split()[-1]


def test_the_version_is_registered_and_approved_in_the_other_account(
    bay: Any, story: dict[str, Any], production: Account, promoted: str
) -> None:
    assert promoted == f"arn:aws:sagemaker:us-east-1:{OTHER}:model-package/production/1"
    made = production.client("sagemaker").describe_model_package(ModelPackageName=promoted)
    assert made["ModelApprovalStatus"] == "Approved"
    assert made["CustomerMetadataProperties"]["promoted_from"] == story["model_package_arn"]
    (container,) = made["InferenceSpecification"]["Containers"]
    first = bay.versions()[1]["InferenceSpecification"]["Containers"][0]
    assert container["Image"] == first["Image"]
    assert container["ModelDataUrl"].startswith(f"s3://production-{OTHER}-us-east-1/promoted/000000000000/")
    monitoring = production.client("sagemaker").describe_pipeline(PipelineName="production-monitoring")
    assert first["Image"] in monitoring["PipelineDefinition"]


def test_the_other_account_verifies_and_serves_it_with_its_own_files(production: Account, promoted: str) -> None:
    sagemaker, deadline = production.client("sagemaker"), time.monotonic() + 300

    def status() -> str:
        listed = sagemaker.list_endpoints(NameContains="production")["Endpoints"]
        return next((e["EndpointStatus"] for e in listed if e["EndpointName"] == "production"), "none yet")

    while status() != "InService":
        version = sagemaker.describe_model_package(ModelPackageName=promoted)
        assert version["ModelApprovalStatus"] == "Approved", version["ApprovalDescription"]
        assert time.monotonic() < deadline, (production.home / "stderr").read_text()[-3000:]
        time.sleep(0.2)
    version = sagemaker.describe_model_package(ModelPackageName=promoted)
    assert version["CustomerMetadataProperties"]["verification"] == "passed"
    card = json.loads(production.cli("card", "1", "--json"))
    assert card["content"]["additional_information"]["custom_details"]["promoted_from"]
