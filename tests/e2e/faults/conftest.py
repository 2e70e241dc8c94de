"""Fixtures of the fault tests: known photos and answers, faulty artifacts, captures, and rows of docs/faults.md."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.e2e.faults import variants
from tests.e2e.faults.load import SAME, Asked, Known, Load, ask
from tests.e2e.faults.table import Row, Table

ROOT = Path(__file__).resolve().parents[3]
ENDPOINT = "loadingbay"


@dataclass
class Site:
    """The bay with its known photos, and all that the tests do to it."""

    bay: Any
    photos: dict[str, bytes]
    files: variants.Files
    """The artifact of the version that the pipeline trained."""
    known: Known
    fingerprints: dict[str, str]
    """Of the healthy artifacts, by name: `good`, `warmer`."""
    folder: Path
    table: Table = field(default_factory=Table)

    def client(self, service: str = "sagemaker-runtime") -> Any:
        """A client that does not retry: each failure is seen."""
        return boto3.client(
            service, endpoint_url=self.bay.url, region_name="us-east-1", aws_access_key_id="000000000000",
            aws_secret_access_key=self.bay.secret,
            config=Config(retries={"total_max_attempts": 1}, inject_host_prefix=False, connect_timeout=5),
        )  # fmt: skip

    def load(self, endpoint: str = ENDPOINT, **options: Any) -> Load:
        return Load(self.client, endpoint, self.photos, **options)

    def upload(self, name: str, files: variants.Files) -> str:
        """The artifact's place in S3."""
        bucket, key = self.bay.outputs()["BucketName"], f"faults/{name}/model.tar.gz"
        self.bay.client("s3").put_object(Bucket=bucket, Key=key, Body=variants.packed(files))
        return f"s3://{bucket}/{key}"

    def register(self, name: str, files: variants.Files) -> str:
        """A version with this artifact, and otherwise all that the pipeline wrote of the first one; its ARN."""
        first = self.bay.versions()[1]
        specification = first["InferenceSpecification"]
        container = {**specification["Containers"][0], "ModelDataUrl": self.upload(name, files)}
        made = self.bay.client("sagemaker").create_model_package(
            ModelPackageGroupName="loadingbay",
            ModelPackageDescription=f"made by the fault suite: {name}",
            InferenceSpecification={**specification, "Containers": [container]},
            ModelMetrics=first["ModelMetrics"],
            CustomerMetadataProperties=first["CustomerMetadataProperties"],
            ModelApprovalStatus="PendingManualApproval",
        )
        return str(made["ModelPackageArn"])

    def set_approval(self, arn: str, status: str) -> None:
        self.bay.client("sagemaker").update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription="by the fault suite"
        )

    def approval(self, arn: str) -> tuple[str, str]:
        """Approval status and its description."""
        described = self.bay.client("sagemaker").describe_model_package(ModelPackageName=arn)
        return described["ModelApprovalStatus"], described.get("ApprovalDescription", "")

    def describe(self, endpoint: str = ENDPOINT) -> dict[str, Any]:
        described: dict[str, Any] = self.bay.client("sagemaker").describe_endpoint(EndpointName=endpoint)
        return described

    def wait_in_service(self, endpoint: str, seconds: float = 300) -> dict[str, Any]:
        return self.wait(
            lambda: self.describe(endpoint), lambda d: d["EndpointStatus"] in ("InService", "Failed"), seconds
        )

    def wait_served(self, name: str, endpoint: str = ENDPOINT, seconds: float = 300) -> None:
        """Until the endpoint rests and a healthy artifact, by its name, gives the answers."""
        client, photo = self.client(), next(iter(self.photos.items()))

        def rests() -> tuple[str, str]:
            return self.describe(endpoint)["EndpointStatus"], ask(client, endpoint, *photo).version

        self.wait(rests, lambda seen: seen == ("InService", self.fingerprints[name]), seconds)

    @staticmethod
    def wait(look: Callable[[], Any], condition: Callable[[Any], bool], seconds: float = 300) -> Any:
        """What `look` gives once it meets the condition; the test fails after `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition(seen := look()):
            assert time.monotonic() < deadline, f"after {seconds:.0f} s it is still {seen}"
            time.sleep(0.1)
        return seen

    def server_pids(self, endpoint: str = ENDPOINT) -> list[int]:
        """The launchers of an endpoint's model servers: what serves descends from one, and ends with it."""
        endpoints = self.bay.folder / ".loadingbay" / "cloud" / "endpoints" / endpoint
        return [int(file.read_text().split()[0]) for file in endpoints.glob("*/*/i-*/process")]

    def cloud_pid(self) -> int:
        return int((self.bay.folder / ".loadingbay" / "cloud" / "localcloud.pid").read_text().split()[0])

    def lost_captures(self, answered: list[Asked], prefix: str = ENDPOINT) -> int:
        """How many acknowledged answers are in no capture file, once all had time to arrive."""
        wanted = {one.id for one in answered}
        deadline = time.monotonic() + 120
        while (lost := wanted - self._captured(prefix)) and time.monotonic() < deadline:
            time.sleep(0.5)
        return len(lost)

    def _captured(self, endpoint: str) -> set[str]:
        """The inference ids of all captured requests of an endpoint."""
        bucket, prefix = self.bay.outputs()["DataCaptureUri"].removeprefix("s3://").split("/", 1)
        s3, found = self.bay.client("s3"), set()
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/{endpoint}/"):
            for listed in page.get("Contents", []):
                if listed["Key"] not in self._read:
                    lines = s3.get_object(Bucket=bucket, Key=listed["Key"])["Body"].read().splitlines()
                    self._read[listed["Key"]] = {json.loads(line)["eventMetadata"].get("inferenceId") for line in lines}
                found |= self._read[listed["Key"]]
        return found

    _read: dict[str, set[str]] = field(default_factory=dict)

    def record(self, fault: str, load: Load, endpoint: str = ENDPOINT, note: str = "") -> Row:
        """The row of what happened under this load; the table has it whatever the test thinks of it."""
        answered = load.answered()
        row = Row(
            fault=fault,
            requests=len(load.asked),
            failed=len(load.failed()),
            wrong=sum(self.known.wrong(one) for one in answered),
            captures_lost=self.lost_captures(answered, endpoint),
            gap=round(load.gap(), 2),
            slowest=round(load.slowest(), 2),
            note=note,
        )
        self.table.rows.append(row)
        return row


@pytest.fixture(scope="session")
def site(
    bay: Any, story: dict[str, Any], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Site]:
    """The bay after one whole run, with the answers that its version and a healthy variant give to its photos."""
    assert story["model_package_arn"].endswith("/1")
    folder = tmp_path_factory.mktemp("faults")
    s3 = bay.client("s3")

    def read(uri: str) -> bytes:
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    stage = bay.steps(story["pipeline_execution_arn"])["Stage"]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
    described = bay.client("sagemaker").describe_processing_job(ProcessingJobName=stage)
    outputs = {o["OutputName"]: o["S3Output"]["S3Uri"] for o in described["ProcessingOutputConfig"]["Outputs"]}
    labels = json.loads(read(f"{outputs['photos']}/labels.json"))
    photos = {name: read(f"{outputs['photos']}/{name}") for name in labels}
    container = bay.versions()[1]["InferenceSpecification"]["Containers"][0]
    files = variants.read(read(container["ModelDataUrl"]))
    known, fingerprints = _known(folder, photos, {"good": files, "warmer": variants.warmer(files)})
    made, began = Site(bay, photos, files, known, fingerprints, folder), time.monotonic()
    yield made
    target = os.environ.get("FAULTS_REPORT")
    if target and not request.session.testsfailed:
        made.table.write(Path(target), (time.monotonic() - began) / 60, SAME)


def _known(folder: Path, photos: dict[str, bytes], healthy: dict[str, variants.Files]) -> tuple[Known, dict[str, str]]:
    """Ask healthy artifacts about the photos, outside of any endpoint: what they must answer in one."""
    (folder / "photos").mkdir()
    for name, photo in photos.items():
        (folder / "photos" / name).write_bytes(photo)
    for label, files in healthy.items():
        for name, content in files.items():
            path = folder / label / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    command: list[Path | str] = [
        ROOT / ".venv-image/bin/python",
        "-B",
        Path(__file__).with_name("answers.py"),
        folder / "photos",
    ]
    said = subprocess.run(
        [*command, *(folder / label for label in healthy)], check=True, stdout=subprocess.PIPE, text=True
    )
    answers = json.loads(said.stdout.splitlines()[-1])
    return Known(answers), dict(zip(healthy, answers, strict=True))
