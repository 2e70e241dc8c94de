"""What is left after kill -9 and after a graceful stop, and what goes on at the next start."""

import json
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from tests.localcloud.conftest import gone, outside
from tests.localcloud.resources.served import artifact
from tests.localcloud.restarts import LAST
from tests.waiting import Gate, message, soon

BUCKET = "kept"
VARIANT = {"VariantName": "AllTraffic", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}


def put_model(cloud: Any, name: str, /, **files: str) -> None:
    """A model with these files, and an endpoint configuration that captures all, of the same name."""
    s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=artifact(**files))
    sagemaker.create_model(
        ModelName=name, PrimaryContainer={"Image": "image:1", "ModelDataUrl": f"s3://{BUCKET}/{name}.tar.gz"}
    )
    capture = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/captures",
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[{**VARIANT, "ModelName": name}], DataCaptureConfig=capture
    )


def wait_in_service(cloud: Any, name: str) -> None:
    cloud.client("sagemaker").get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})


def invoke(cloud: Any, name: str, **members: str) -> dict[str, Any]:
    answer = cloud.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"photo", **members)
    body: dict[str, Any] = json.loads(answer["Body"].read())
    return body


def captured_ids(cloud: Any, endpoint: str) -> list[str]:
    s3 = cloud.client("s3")
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"captures/{endpoint}/").get("Contents", [])
    keys = [found["Key"] for found in listed]
    lines = [line for key in keys for line in s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().splitlines()]
    return sorted(json.loads(line)["eventMetadata"]["inferenceId"] for line in lines)


GROUPS = [f"group-{number}" for number in range(3)]


def resources(cloud: Any) -> Generator[None, None, None]:
    """Resources of several services."""
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "of-stack"}}}}
    stacks = cloud.client("cloudformation")
    stacks.create_stack(StackName="kept", TemplateBody=json.dumps(template))
    stacks.get_waiter("stack_create_complete").wait(StackName="kept", WaiterConfig={"Delay": 1})
    yield
    for name in GROUPS:
        cloud.client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    cloud.client("sqs").create_queue(QueueName="kept")
    cloud.client("events").put_rule(Name="kept", EventPattern=json.dumps({"source": ["a"]}))
    cloud.client("iam").create_role(RoleName="kept", AssumeRolePolicyDocument="{}")
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    cloud.client("s3").put_object(Bucket=BUCKET, Key="kept", Body=b"bytes", ContentType="image/png")


@pytest.mark.restarted(resources, "kill")
def test_after_a_kill_everything_that_was_acknowledged_is_there(restarted: tuple[Any, None]) -> None:
    cloud = restarted[0]
    sagemaker = cloud.client("sagemaker")
    listed = sagemaker.list_model_package_groups(NameContains="group-")["ModelPackageGroupSummaryList"]
    assert [group["ModelPackageGroupName"] for group in listed] == GROUPS
    with pytest.raises(ClientError, match="already exists"):
        sagemaker.create_model_package_group(ModelPackageGroupName=GROUPS[1])
    names = {url.rpartition("/")[2] for url in cloud.client("sqs").list_queues()["QueueUrls"]}
    assert names >= {"kept", "of-stack"}
    assert cloud.client("events").describe_rule(Name="kept")
    assert cloud.client("iam").get_role(RoleName="kept")
    stored = cloud.client("s3").get_object(Bucket=BUCKET, Key="kept")
    assert (stored["Body"].read(), stored["ContentType"]) == (b"bytes", "image/png")
    assert (
        cloud.client("cloudformation").describe_stacks(StackName="kept")["Stacks"][0]["StackStatus"]
        == "CREATE_COMPLETE"
    )


def endpoint(cloud: Any, name: str) -> str:
    """An endpoint of this name, in service, whose model says `kept`; the name."""
    put_model(cloud, name, name="kept")
    cloud.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait_in_service(cloud, name)
    return name


def server(cloud: Any) -> int:
    """The process of an endpoint's server."""
    return outside(invoke(cloud, endpoint(cloud, "kept"))["server"])


@pytest.mark.restarted(server, "kill")
def test_an_endpoint_serves_again_after_a_kill_and_its_old_server_is_gone(restarted: tuple[Any, int]) -> None:
    cloud, old = restarted
    answer = invoke(cloud, "kept")

    assert answer["model"] == "kept"
    assert outside(answer["server"]) != old
    assert gone(old)


def test_a_deployment_that_a_kill_cut_off_is_finished(own_cloud: Any) -> None:
    cloud = own_cloud()
    put_model(cloud, "old", name="old")
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_endpoint(EndpointName="kept", EndpointConfigName="old")
    wait_in_service(cloud, "kept")
    with Gate() as gate:
        put_model(cloud, "new", name="new", gate=str(gate.port))
        sagemaker.update_endpoint(EndpointName="kept", EndpointConfigName="new")
        cloud.kill()

        cloud = own_cloud()
        during = invoke(cloud, "kept")["model"]
    wait_in_service(cloud, "kept")

    assert during == "old"
    assert invoke(cloud, "kept")["model"] == "new"


def captures(cloud: Any) -> Generator[None, None, list[str]]:
    """The ids of captured requests, sorted."""
    name, ids = endpoint(cloud, "captured"), [f"{number:02d}" for number in range(10)]
    yield
    for identifier in ids:
        invoke(cloud, name, InferenceId=identifier)
    return ids


@pytest.mark.restarted(captures, "stop")
def test_no_acknowledged_capture_is_lost_on_a_graceful_stop(restarted: tuple[Any, list[str]]) -> None:
    cloud, ids = restarted
    assert captured_ids(cloud, "captured") == ids


@pytest.mark.restarted(captures, "kill")
def test_captures_that_a_kill_left_on_disk_are_sent_once_at_the_next_start(restarted: tuple[Any, list[str]]) -> None:
    cloud, ids = restarted
    assert soon(lambda: len(captured_ids(cloud, "captured")) >= len(ids))

    assert captured_ids(cloud, "captured") == ids


def approval(cloud: Any) -> Generator[str, None, str]:
    """An approval that a rule sends to a queue; the version's ARN."""
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="approved")
    package = str(sagemaker.create_model_package(ModelPackageGroupName="approved")["ModelPackageArn"])
    queue = cloud.client("sqs").create_queue(QueueName="approved")["QueueUrl"]
    arn = cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    pattern = {"detail": {"ModelApprovalStatus": ["Approved"]}}
    cloud.client("events").put_rule(Name="approved", EventPattern=json.dumps(pattern))
    cloud.client("events").put_targets(Rule="approved", Targets=[{"Id": "1", "Arn": arn}])
    yield LAST
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    return package


@pytest.mark.restarted(approval, "kill")
def test_an_approval_is_told_again_after_a_kill(restarted: tuple[Any, str]) -> None:
    cloud, package = restarted
    url = cloud.client("sqs").get_queue_url(QueueName="approved")["QueueUrl"]
    assert json.loads(message(cloud.client("sqs"), url))["resources"] == [package]


def left_by_a_stop(cloud: Any) -> Generator[None, None, tuple[int | None, bool, bool]]:
    """The exit code of a cloud with an endpoint, and whether its note is there and its server gone when it ended."""
    process = server(cloud)
    yield
    yield
    return cloud.process.returncode, (cloud.home / "localcloud.pid").exists(), gone(process)


@pytest.mark.restarted(left_by_a_stop, "stop")
def test_a_stopped_cloud_leaves_no_process_and_no_pid_file(restarted: tuple[Any, tuple[int, bool, bool]]) -> None:
    assert restarted[1] == (0, False, True)


def test_health_names_process_home_and_port(cloud: Any) -> None:
    with urllib.request.urlopen(f"{cloud.url}/_localcloud/health") as answer:  # noqa: S310 - our own http:
        health = json.load(answer)

    assert health["status"] == "ok"
    assert (health["pid"], Path(health["home"]), health["port"]) == (cloud.process.pid, cloud.home, cloud.port)


def test_what_does_not_fit_on_the_disk_is_not_acknowledged(own_cloud: Any) -> None:
    cloud = own_cloud()
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="key", Body=b"small")
    process = psutil.Process(cloud.process.pid)
    unlimited = process.rlimit(psutil.RLIMIT_FSIZE)
    # The kernel refuses to let a file grow beyond this, as it refuses on a full disk.
    process.rlimit(psutil.RLIMIT_FSIZE, (1_000_000, unlimited[1]))

    with pytest.raises(ClientError, match=r"could not be written: File too large") as error:
        s3.put_object(Bucket=BUCKET, Key="key", Body=bytes(2_000_000))
    process.rlimit(psutil.RLIMIT_FSIZE, unlimited)
    s3.put_object(Bucket=BUCKET, Key="large", Body=bytes(2_000_000))
    cloud.kill()
    cloud = own_cloud()

    assert error.value.response["Error"]["Code"] == "InsufficientStorage"
    s3 = cloud.client("s3")
    assert s3.get_object(Bucket=BUCKET, Key="key")["Body"].read() == b"small"
    assert s3.head_object(Bucket=BUCKET, Key="large")["ContentLength"] == 2_000_000


def bucket_of_a_stack(cloud: Any) -> None:
    """A bucket with versions, deleted with its stack."""
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "gone-with-its-stack"}}
    stacks = cloud.client("cloudformation")
    stacks.create_stack(StackName="short-lived", TemplateBody=json.dumps({"Resources": {"Bucket": bucket}}))
    stacks.get_waiter("stack_create_complete").wait(StackName="short-lived", WaiterConfig={"Delay": 1})
    versioned = {"Status": "Enabled"}
    cloud.client("s3").put_bucket_versioning(Bucket="gone-with-its-stack", VersioningConfiguration=versioned)
    made = cloud.client("s3").put_object(Bucket="gone-with-its-stack", Key="photos/one", Body=b"bytes")
    cloud.client("s3").delete_object(Bucket="gone-with-its-stack", Key="photos/one", VersionId=made["VersionId"])
    stacks.delete_stack(StackName="short-lived")
    stacks.get_waiter("stack_delete_complete").wait(StackName="short-lived", WaiterConfig={"Delay": 1})


@pytest.mark.restarted(bucket_of_a_stack, "stop")
def test_a_bucket_that_went_with_its_stack_does_not_come_back(restarted: tuple[Any, None]) -> None:
    names = [bucket["Name"] for bucket in restarted[0].client("s3").list_buckets()["Buckets"]]
    assert "gone-with-its-stack" not in names
