"""A folder of photos in one run: uploaded, started, waited for, and read back from what the Map wrote."""
# ruff: noqa: N803 - AWS names its arguments so

import json

import pytest
from moto import mock_aws

from loadingbay.errors import UsageError, WorkError
from loadingbay.serving import bulk as module
from loadingbay.target import Target

BUCKET = "bulk-bucket"
STACK = {"BucketName": BUCKET, "BulkStateMachineArn": "arn:aws:states:x:y:stateMachine:bay-bulk"}


class StepFunctions:
    """Carries a bulk run out: writes these children below the run's prefix, and ends as told."""

    redrive = "REDRIVABLE"

    def __init__(self, s3, children, status="SUCCEEDED"):
        self.s3, self.children, self.status, self.looks, self.request = s3, children, status, 0, None

    def start_execution(self, **request):
        self.request = request
        place = f"bulk-results/{request['name']}/0123"
        by_status = {}
        for child in self.children:
            by_status.setdefault(child["Status"], []).append(child)
        files = {
            status: [{"Key": f"{place}/{status}_0.json", "Size": 1}] if status in by_status else []
            for status in ("SUCCEEDED", "FAILED", "PENDING")
        }
        for status, lines in by_status.items():
            self.s3.put_object(Bucket=BUCKET, Key=f"{place}/{status}_0.json", Body=json.dumps(lines))
        self.s3.put_object(Bucket=BUCKET, Key=f"{place}/manifest.json", Body=json.dumps({"ResultFiles": files}))
        return {"executionArn": f"arn:aws:states:x:y:execution:bay-bulk:{request['name']}"}

    def describe_execution(self, executionArn):
        self.looks += 1
        ended = {"status": self.status, "error": "States.Exceed", "redriveStatus": self.redrive}
        return {"status": "RUNNING"} if self.looks == 1 else ended

    def list_map_runs(self, executionArn):
        return {"mapRuns": [{"mapRunArn": "run"}]}

    def describe_map_run(self, mapRunArn):
        return {"itemCounts": {"succeeded": 3, "failed": 1, "total": 10}}


def routed(key, vehicle):
    """The line of a child execution that routed a photo."""
    return {
        "Status": "SUCCEEDED",
        "Input": json.dumps({"key": key}),
        "Output": json.dumps({"outcome": "routed", "vehicle": vehicle}),
    }


REVIEW = {"Status": "SUCCEEDED", "Input": json.dumps({"key": "r"}), "Output": json.dumps({"outcome": "review"})}
FAILED = {
    "Status": "FAILED",
    "Input": json.dumps({"key": "bulk/broken.png"}),
    "Error": "UnsupportedPhotoFormat",
    "Cause": json.dumps({"errorMessage": "broken.png is neither PNG nor JPEG"}),
}
TIMED_OUT = {"Status": "FAILED", "Input": json.dumps({"key": "slow"}), "Error": "States.Timeout", "Cause": ""}


@pytest.fixture
def target(monkeypatch):
    """A stage with one photo to classify, on moto's AWS."""
    monkeypatch.setattr("loadingbay.serving.bulk.time.sleep", lambda _: None)
    with mock_aws():
        target = Target("aws", None, "us-east-1")
        target.client("s3").create_bucket(Bucket=BUCKET)
        target.client("s3").put_object(Bucket=BUCKET, Key="bulk/june/a.png", Body=b"x")
        yield target


def classify(target, children, status="SUCCEEDED", **options):
    machine = StepFunctions(target.client("s3"), children, status)
    target.clients["stepfunctions"] = machine
    return module.classify(target, STACK, "bulk/june/", **options), machine


def test_every_photo_is_counted_by_what_became_of_it(target):
    children = [routed("a", "bicycle"), routed("b", "bicycle"), routed("c", "motorcycle"), REVIEW, FAILED, TIMED_OUT]
    done, machine = classify(target, children)
    assert (done.photos, done.routed, done.review) == (6, {"bicycle": 2, "motorcycle": 1}, 1)
    assert done.failed == {"bulk/broken.png": "broken.png is neither PNG nor JPEG", "slow": "States.Timeout"}
    assert json.loads(machine.request["input"]) == {"bucket": BUCKET, "prefix": "bulk/june/"}
    assert done.results == f"s3://{BUCKET}/bulk-results/{machine.request['name']}/"


def test_progress_is_told_while_it_runs(target):
    said = []
    classify(target, [REVIEW], waiting=said.append)
    assert said == ["4 of 10 classified, 1 failed"]


def test_a_run_that_failed_says_how_many_photos_did_and_why_one(target):
    with pytest.raises(WorkError, match=r"FAILED \(States.Exceed\): 1 of 2 photos failed; for example bulk/broken.png"):
        classify(target, [REVIEW, FAILED], status="FAILED")


@pytest.mark.parametrize("redrive", ["REDRIVABLE", "NOT_REDRIVABLE"])
def test_a_run_that_failed_and_can_be_redriven_names_the_command(target, monkeypatch, redrive):
    monkeypatch.setattr(StepFunctions, "redrive", redrive)
    with pytest.raises(WorkError) as told:
        classify(target, [FAILED], status="FAILED")
    command = "`aws stepfunctions redrive-execution --execution-arn arn:aws:states:x:y:execution:bay-bulk:bulk-"
    assert (command in str(told.value)) == (redrive == "REDRIVABLE")


def test_a_file_that_a_redriven_run_left_is_not_counted(target):
    class Redriven(StepFunctions):
        def start_execution(self, **request):
            old = f"bulk-results/{request['name']}/0123/FAILED_0.json"
            self.s3.put_object(Bucket=BUCKET, Key=old, Body=json.dumps([FAILED]))
            return super().start_execution(**request)

    target.clients["stepfunctions"] = Redriven(target.client("s3"), [routed("bulk/broken.png", "bicycle")])
    done = module.classify(target, STACK, "bulk/june/")
    assert (done.photos, done.routed, done.failed) == (1, {"bicycle": 1}, {})


def test_what_is_no_photo_counts_as_neither_classified_nor_failed(target):
    marker = {**routed("bulk/june/", "bicycle"), "Output": json.dumps({"outcome": "left out"})}
    done, _ = classify(target, [routed("a", "bicycle"), marker])
    assert (done.photos, done.routed, done.failed, done.left_out) == (1, {"bicycle": 1}, {}, 1)


def test_a_prefix_with_nothing_below_starts_nothing(target):
    with pytest.raises(UsageError, match=f"nothing lies below s3://{BUCKET}/bulk/july/"):
        module.classify(target, STACK, "bulk/july/")


def test_only_the_photos_of_a_folder_are_uploaded_under_their_paths(target, tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.PNG", "sub/b.jpeg", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    counts = []
    prefix = module.upload(target, tmp_path, BUCKET, done=counts.append)
    listed = target.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
    assert sorted(item["Key"].removeprefix(prefix) for item in listed) == ["a.PNG", "sub/b.jpeg"]
    assert counts == [1, 2]
    assert not prefix.startswith("incoming/"), "what arrives there is classified by itself"


def test_a_folder_without_photos_is_refused(target, tmp_path):
    with pytest.raises(UsageError, match=r"no \.png, \.jpg or \.jpeg below it"):
        module.upload(target, tmp_path, BUCKET)


@pytest.mark.parametrize("where", [f"s3://{BUCKET}/bulk/mine/", "bulk/mine/"])
def test_a_prefix_may_be_written_as_an_address(where):
    assert module.prefix_in(BUCKET, where) == "bulk/mine/"


@pytest.mark.parametrize("where", ["", "/", f"s3://{BUCKET}", f"s3://{BUCKET}/"])
def test_the_whole_bucket_is_not_classified_by_mistake(where):
    with pytest.raises(UsageError, match="names no photos: give a folder, or a prefix"):
        module.prefix_in(BUCKET, where)


def test_another_bucket_is_refused_with_the_way_to_copy():
    where = "s3://elsewhere/photos/"
    with pytest.raises(UsageError, match=f"own bucket: copy them there with `aws s3 cp --recursive {where}"):
        module.prefix_in(BUCKET, where)


def test_a_file_of_this_machine_is_told_with_the_command_for_it(target, tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(UsageError, match=r"a\.png is a file: `loadingbay classify` takes single photos"):
        module.classify(target, STACK, str(tmp_path / "a.png"))
