"""A distributed Map: children with names of their own, and ResultWriter's files as AWS writes them."""

import json
from typing import Any

import pytest

from localcloud.ministack.map_runs import result_files
from tests.waiting import ended

ROLE = "arn:aws:iam::000000000000:role/map"
RUN = "arn:aws:states:us-east-1:000000000000:mapRun:bulk/photos:0123-4567"


def child(name: str, status: str, **members: Any) -> dict[str, Any]:
    """A child execution of a map run as MiniStack keeps it."""
    return {
        "executionArn": f"arn:aws:states:us-east-1:000000000000:execution:bulk/photos:{name}",
        "name": name,
        "status": status,
        "input": "{}",
        "inputDetails": {"included": True},
        "startDate": "2026-11-03T10:00:00.000Z",
        **members,
    }


def test_children_are_in_one_file_an_outcome_and_the_manifest_names_these() -> None:
    children = [child("a", "SUCCEEDED", output="1"), child("b", "FAILED", error="E", cause="c")]
    files, manifest = result_files(RUN, children, "results", "of/june/")
    assert manifest == "of/june/0123-4567/manifest.json"
    named = json.loads(files[manifest])
    assert (named["DestinationBucket"], named["MapRunArn"]) == ("results", RUN)
    for outcome, name in (("SUCCEEDED", "a"), ("FAILED", "b")):
        (file,) = named["ResultFiles"][outcome]
        assert file["Size"] == len(files[file["Key"]])
        (line,) = json.loads(files[file["Key"]])
        assert line["Name"] == name
    assert named["ResultFiles"]["PENDING"] == []


def test_a_run_without_children_has_a_manifest_and_no_other_file() -> None:
    files, manifest = result_files(RUN, [], "results", "")
    assert list(files) == [manifest] == ["0123-4567/manifest.json"]


@pytest.fixture(scope="module")
def photos(cloud: Any) -> str:
    """A bucket with three objects below `in/`; its name."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="map-photos")
    for name in ("a", "b", "c"):
        s3.put_object(Bucket="map-photos", Key=f"in/{name}", Body=b"x")
    return "map-photos"


def run(cloud: Any, bucket: str, name: str, states: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Runs a machine whose one state is a Map over the photos; the execution when it has ended."""
    state = {
        "Type": "Map",
        "Label": "photos",
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:listObjectsV2",
            "Parameters": {"Bucket": bucket, "Prefix": "in/"},
        },
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
            "StartAt": "Say",
            "States": states,
        },
        "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject",
            "Parameters": {"Bucket": bucket, "Prefix.$": "States.Format('out/{}', $$.Execution.Name)"},
        },
        "End": True,
        **members,
    }
    machines = cloud.client("stepfunctions")
    machine = machines.create_state_machine(
        name=name, roleArn=ROLE, definition=json.dumps({"StartAt": "All", "States": {"All": state}})
    )["stateMachineArn"]
    arn = machines.start_execution(stateMachineArn=machine, name="june", input="{}")["executionArn"]
    return ended(machines, arn)


SAY = {"Type": "Pass", "Parameters": {"name.$": "$$.Execution.Name", "key.$": "$.Key"}, "End": True}


def test_the_maps_output_is_an_address_and_the_answers_lie_there(cloud: Any, photos: str) -> None:
    done = run(cloud, photos, "map-answers", {"Say": SAY}, ResultPath="$.map")
    assert done["status"] == "SUCCEEDED"
    place = json.loads(done["output"])["map"]["ResultWriterDetails"]
    assert place["Bucket"] == photos
    assert place["Key"].startswith("out/june/")
    s3 = cloud.client("s3")
    manifest = json.load(s3.get_object(Bucket=photos, Key=place["Key"])["Body"])
    (file,) = manifest["ResultFiles"]["SUCCEEDED"]
    lines = json.load(s3.get_object(Bucket=photos, Key=file["Key"])["Body"])
    answers = [json.loads(line["Output"]) for line in lines]
    assert {answer["key"] for answer in answers} == {"in/a", "in/b", "in/c"}
    assert {answer["name"] for answer in answers} == {line["Name"] for line in lines}
    assert len({line["Name"] for line in lines}) == 3


def test_the_failures_are_written_although_the_run_fails(cloud: Any, photos: str) -> None:
    fail = {"Type": "Fail", "Error": "Broken", "Cause": "no photo"}
    done = run(cloud, photos, "map-failures", {"Say": fail}, ToleratedFailurePercentage=50)
    assert (done["status"], done["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    s3 = cloud.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=photos, Prefix="out/june/")["Contents"]]
    (key,) = [key for key in keys if key.endswith("/FAILED_0.json")]
    lines = json.load(s3.get_object(Bucket=photos, Key=key)["Body"])
    assert {(line["Error"], line["Cause"], line["Status"]) for line in lines} == {("Broken", "no photo", "FAILED")}


def test_results_that_cannot_be_written_fail_by_aws_name_for_it(cloud: Any, photos: str) -> None:
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "no-such-bucket", "Prefix": "x"}}
    done = run(cloud, photos, "map-nowhere", {"Say": SAY}, ResultWriter=writer)
    assert (done["status"], done["error"]) == ("FAILED", "States.ResultWriterFailed")
    assert "no-such-bucket" in done["cause"] or "NoSuchBucket" in done["cause"]
