"""Three classes with no change of code, and a search for their learning rate, in a bay of their own with few photos."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import LEAST

pytestmark = pytest.mark.apart

CLASSES = ("bicycle", "motorcycle", "pickup_truck")
QUICK = ("--classes", ",".join(CLASSES), "--epochs", "3", "--minimum-accuracy", "0.4", "--target-precision", "0.5")


@pytest.fixture(scope="module")
def small(bay: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A bay whose archive holds 240 drawn photos of three classes, and 90 to test with."""
    from loadingbay.data.samples import write_archive

    archive = tmp_path_factory.mktemp("three") / "three.tar.gz"
    write_archive(archive, train=240, test=90, kinds=CLASSES)
    made = bay.another(tmp_path_factory.mktemp("small"), archive)
    made.up()
    yield made
    made.cli("down")


@pytest.fixture(scope="module")
def three(small: Any) -> dict[str, Any]:
    """The summary of a run that trained, approved and classified with three classes."""
    summary: dict[str, Any] = json.loads(small.cli("run", "--data", small.data, "--json", "--approve", *QUICK).stdout)
    return summary


def test_three_classes_train_are_evaluated_and_registered(small: Any, three: dict[str, Any]) -> None:
    version = small.versions()[1]
    assert version["CustomerMetadataProperties"]["classes"].split() == list(CLASSES)
    uri = version["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    evaluation = json.load(small.client("s3").get_object(Bucket=bucket, Key=key)["Body"])
    confusion = evaluation["multiclass_classification_metrics"]["confusion_matrix"]
    assert set(confusion) == set(CLASSES)
    assert {name: sum(row.values()) for name, row in confusion.items()} == dict.fromkeys(CLASSES, 30)
    assert three["accuracy"] > 0.5  # of three classes a third is chance, and this is two deviations more
    assert 1 / 3 < three["threshold"] <= 1


def test_photos_of_each_class_are_routed_to_the_bay_of_the_vehicle_seen(small: Any, three: dict[str, Any]) -> None:
    routed = {e["vehicle"] for e in three["executions"] if e["status"] == "SUCCEEDED"}
    assert routed == set(CLASSES)
    sent = [e for e in three["executions"] if e["status"] == "SUCCEEDED"]
    seen = next(e["photo"] for e in sent if e["vehicle"] == "pickup_truck")
    photo = Path(small.folder) / "runs" / "latest" / "photos" / seen
    (outcome,) = json.loads(small.cli("classify", "--json", photo).stdout)
    assert (outcome["vehicle"], outcome["loading_bay"]) == ("pickup_truck", "Bay 3, ramp")


def test_a_search_registers_the_best_from_the_cache(small: Any, three: dict[str, Any]) -> None:
    before = small.versions()
    # What is shown here is the search, not how good its winner is.
    tune = ("tune", "--data", small.data, "--json", "--trials", "2", "--learning-rate", "0.05:0.2",
            *QUICK, *LEAST, "--champion-tolerance", "1")  # fmt: skip
    found = json.loads(small.cli(*tune, "--register").stdout)
    first, second = found["trials"]
    assert first["out_of_fold"]["nll"] <= second["out_of_fold"]["nll"]
    assert 0.1 in {trial["parameters"]["LearningRate"] for trial in found["trials"]}
    for trial in found["trials"]:
        assert set(small.steps(trial["pipeline_execution_arn"])) == {"Stage", "Train"}
    (number,) = set(small.versions()) - set(before)
    assert found["version"]["version"] == number
    registered = small.versions()[number]
    assert registered["ModelApprovalStatus"] == "PendingManualApproval"
    steps = small.steps(registered["MetadataProperties"]["GeneratedBy"])
    assert [name for name in ("Stage", "Train", "Evaluate") if "CacheHitResult" in steps[name]] == ["Stage", "Train"]

    again = json.loads(small.cli(*tune).stdout)
    assert [t["pipeline_execution_arn"] for t in again["trials"]] == [
        t["pipeline_execution_arn"] for t in found["trials"]
    ]
