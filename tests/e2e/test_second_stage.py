"""A second stage beside the first takes over its approved version, and classifies a folder of photos in one run."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import soon

PRODUCTION = "bay-production"


@pytest.fixture(scope="module")
def production(bay: Any, story: dict[str, Any]) -> Iterator[str]:
    """A second stack, to which the version of the first is promoted; the ARN of the version there."""
    parameters = ("--parameter", "ImageRepository=loadingbay", "--parameter", "LatencyMilliseconds=60000")
    bay.cli("--stage", PRODUCTION, "deploy", *parameters)
    promoted = promote(bay)
    assert promoted.returncode == 0, promoted.stderr
    sagemaker = bay.client("sagemaker")
    served = soon(lambda: [e for e in sagemaker.list_endpoints()["Endpoints"] if is_served(e)], bay.timeout)
    assert served, f"the endpoint {PRODUCTION} did not come into service"
    yield promoted.stdout.split()[-1]
    bay.cli("--stage", PRODUCTION, "destroy", "--yes")


def is_served(endpoint: dict[str, Any]) -> bool:
    return (endpoint["EndpointName"], endpoint["EndpointStatus"]) == (PRODUCTION, "InService")


def promote(bay: Any) -> subprocess.CompletedProcess[str]:
    """Promote the first stage's newest approved version to the second stage, as CI/CD does."""
    here = {"AWS_ENDPOINT_URL": bay.url, "AWS_ACCESS_KEY_ID": "000000000000", "AWS_SECRET_ACCESS_KEY": bay.secret}
    return subprocess.run(
        [sys.executable, "-m", "pipelines", "promote", "--from", "loadingbay", "--stage", PRODUCTION],
        env={**os.environ, **here, "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_the_second_stage_serves_the_very_model_of_the_first(bay, story, production):
    made = bay.client("sagemaker").describe_model_package(ModelPackageName=production)
    assert (
        made["CustomerMetadataProperties"]["promoted_from"].rsplit(":", 1)[-1].startswith("model-package/loadingbay/")
    )
    assert made["CustomerMetadataProperties"]["threshold"] == f"{story['threshold']:.4f}"
    assert promote(bay).stdout.split()[-1] == production, "promoted twice, it is there once"


def test_a_folder_of_photos_is_classified_in_one_run(bay, story, production, tmp_path):
    kept = sorted((Path(bay.folder) / "runs" / "latest" / "photos").glob("*.png"))[:30]
    for photo in kept:
        (tmp_path / photo.name).write_bytes(photo.read_bytes())
    (tmp_path / "broken.png").write_text("no photo")
    done = json.loads(bay.cli("--stage", PRODUCTION, "bulk", tmp_path, "--json").stdout)
    assert (done["status"], done["photos"]) == ("SUCCEEDED", 31)
    assert sum(done["routed"].values()) + done["review"] == 30
    ((key, said),) = done["failed"].items()
    assert key.endswith("/broken.png")
    assert "is neither PNG nor JPEG" in said
    answers = succeeded(bay, done["results"])
    assert len({answer["inference_id"] for answer in answers}) == 30


def succeeded(bay: Any, results: str) -> list[dict[str, Any]]:
    """The outputs of a bulk run's successful child executions, by the address of its results."""
    bucket, prefix = results.removeprefix("s3://").split("/", 1)
    s3 = bay.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
    (file,) = [key for key in keys if key.endswith("/SUCCEEDED_0.json")]
    return [json.loads(line["Output"]) for line in json.load(s3.get_object(Bucket=bucket, Key=file)["Body"])]


def test_a_run_in_which_too_many_photos_fail_says_so_and_keeps_the_answers(bay, production, tmp_path):
    (tmp_path / "broken.png").write_text("no photo")
    refused = bay.cli("--stage", PRODUCTION, "bulk", tmp_path, check=False)
    assert refused.returncode == 1
    assert "1 of 1 photos failed; for example" in refused.stderr
