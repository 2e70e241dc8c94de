"""The short form of the story of drift: a camera changes, the alarm rings, and a training starts by itself.

`make drift` tells the whole story, to the new version and its picture.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from loadingbay.story.drift import cameras

MINUTES = 3  # of the period: answers to other tests' photos are older


def until(what: str, look: Any, seconds: float) -> Any:
    """What `look` returns once it is true; the test fails when that takes longer."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:.0f} s"
        time.sleep(0.3)
    return found


def watched(bay: Any) -> None:
    """One period of monitoring, started by hand instead of by the schedule."""
    sagemaker = bay.client("sagemaker")
    arn = sagemaker.start_pipeline_execution(
        PipelineName="loadingbay-monitoring",
        PipelineParameters=[{"Name": "WindowHours", "Value": str(MINUTES / 60)}],
    )["PipelineExecutionArn"]

    def ended() -> str:
        status = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"]
        return "" if status == "Executing" else str(status)

    assert until("the end of monitoring", ended, 90) == "Succeeded"


@pytest.fixture(scope="module")
def drifted(bay: Any, story: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> int:
    """The photos of the run as a camera out of focus at night takes them, classified and labelled; how many."""
    place = tmp_path_factory.mktemp("drifted")
    for file in sorted((Path(bay.folder) / "runs" / "latest" / "photos").glob("*.png")):
        blurred = cameras.taken(file.read_bytes(), "out-of-focus")
        (place / file.name).write_bytes(cameras.taken(blurred, "night"))
    said = json.loads(bay.cli("classify", *sorted(place.glob("*.png")), "--json").stdout)
    (place / "labels.csv").write_text(
        "".join(f"{one['inference_id']},{Path(one['photo']).name.rpartition('-')[0]}\n" for one in said)
    )
    stored = json.loads(bay.cli("label", "--file", place / "labels.csv", "--json").stdout)
    assert stored == {"stored": len(said), "unknown": []}
    return len(said)


def test_a_camera_that_changed_leads_to_a_training_by_itself(bay: Any, drifted: int) -> None:
    s3, bucket = bay.client("s3"), bay.outputs()["BucketName"]
    watched(bay)
    watched(bay)
    told = json.loads(s3.get_object(Bucket=bucket, Key="monitoring/periods.json")["Body"].read())
    assert {"brightness", "sharpness", "accepted_share"} <= set(told["sentences"])
    assert told["sentences"]["brightness"].startswith("brightness fell from ")

    def begun() -> Any:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"retraining/{told['alarm']}.json").get("Contents")
        said = json.loads(s3.get_object(Bucket=bucket, Key=listed[0]["Key"])["Body"].read()) if listed else {}
        return said if said.get("execution") else None

    record = until("a training", begun, 60)
    assert len(record["photos"]) == drifted
    sagemaker = bay.client("sagemaker")
    execution = sagemaker.describe_pipeline_execution(PipelineExecutionArn=record["execution"])
    assert execution["PipelineExecutionDescription"].endswith(f"; {drifted} new labels")
    # What it is trained with is listed; tests of the retrained version are in tests/processing.
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=record["execution"], ClientRequestToken="x" * 32)
    assert "trained already" in bay.cli("retrain", "--dry-run").stdout
