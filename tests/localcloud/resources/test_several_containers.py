"""Models of several containers: inference pipelines, direct invocation, and what is refused of them."""

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.resources.served import BUCKET, IMAGE, container, invoke, serve_model, wait_for
from tests.waiting import soon

ROLE = "arn:aws:iam::000000000000:role/any"


def pair(cloud: Any, name: str, *, hosts: tuple[str | None, str | None] = (None, None), **second: str) -> Any:
    first = container(cloud, f"{name}/a", hostname=hosts[0], name="first", content_type="application/json; v=1")
    return [first, container(cloud, f"{name}/b", hostname=hosts[1], name="second", **second)]


def test_the_answer_of_a_container_is_the_request_of_the_next(cloud: Any, runtime: Any, name: str) -> None:
    serve_model(cloud, name, Containers=pair(cloud, name))

    answer = invoke(runtime, name, b"1,2", ContentType="text/csv", Accept="text/plain", CustomAttributes="mine")

    before = json.loads(answer["before"])
    assert (before["model"], answer["model"]) == ("first", "second")
    assert (before["content_type"], answer["content_type"]) == ("text/csv", "application/json; v=1")
    # Between containers each answers with its own default, as on AWS.
    assert (before["accept"], answer["accept"]) == ("*/*", "text/plain")
    assert (before["attributes"], answer["attributes"]) == ("mine", "mine")
    assert before["server"] != answer["server"]


def test_each_container_has_a_log_stream_and_an_image(cloud: Any, runtime: Any, name: str) -> None:
    endpoint = serve_model(cloud, name, Containers=pair(cloud, name, hosts=("prepare", "predict")))
    invoke(runtime, name)

    assert len(endpoint["ProductionVariants"][0]["DeployedImages"]) == 2
    wanted = {"AllTraffic/i/prepare", "AllTraffic/i/predict"}

    def there() -> bool:
        found: set[str] = set()
        listed = cloud.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/sagemaker/Endpoints/{name}")
        for group in listed["logGroups"]:
            streams = cloud.client("logs").describe_log_streams(logGroupName=group["logGroupName"])["logStreams"]
            found |= {re.sub(r"i-\w+", "i", stream["logStreamName"]) for stream in streams}
        return wanted <= found

    assert soon(there)


def test_an_error_names_the_container_that_failed(cloud: Any, runtime: Any, name: str) -> None:
    serve_model(cloud, name, Containers=pair(cloud, name, raises="yes"))

    with pytest.raises(ClientError, match=r"server error \(500\) from container-2 with message") as error:
        invoke(runtime, name)
    assert error.value.response["OriginalStatusCode"] == 500


def test_a_container_that_dies_comes_back_with_the_others(cloud: Any, runtime: Any, name: str) -> None:
    serve_model(cloud, name, Containers=pair(cloud, name))

    with pytest.raises(ClientError, match="closed the connection before it answered"):
        invoke(runtime, name, b"die")

    assert invoke(runtime, name)["model"] == "second"


def test_a_container_that_does_not_start_is_named(cloud: Any, name: str) -> None:
    endpoint = serve_model(cloud, name, Containers=pair(cloud, name, fail="weights are missing"))

    assert endpoint["EndpointStatus"] == "Failed"
    said = "The container-2 container for production variant AllTraffic did not pass the ping health check."
    assert endpoint["FailureReason"].startswith(said)
    assert "weights are missing" in endpoint["FailureReason"]


def test_a_request_names_the_container_of_a_direct_model(cloud: Any, runtime: Any, name: str) -> None:
    containers = pair(cloud, name, hosts=("left", "right"))
    serve_model(cloud, name, Containers=containers, InferenceExecutionConfig={"Mode": "Direct"})

    assert invoke(runtime, name, TargetContainerHostname="left")["model"] == "first"
    assert invoke(runtime, name, TargetContainerHostname="right")["model"] == "second"
    with pytest.raises(ClientError, match="give TargetContainerHostname, one of left, right"):
        invoke(runtime, name)
    with pytest.raises(ClientError, match="Container middle of endpoint"):
        invoke(runtime, name, TargetContainerHostname="middle")
    with pytest.raises(ClientError, match="is not a multi-model endpoint"):
        invoke(runtime, name, TargetContainerHostname="left", TargetModel="a.tar.gz")
    described = cloud.client("sagemaker").describe_model(ModelName=name)
    assert described["InferenceExecutionConfig"] == {"Mode": "Direct"}


def test_a_pipeline_takes_no_container_name(cloud: Any, runtime: Any, name: str) -> None:
    serve_model(cloud, name, Containers=pair(cloud, name, hosts=("left", "right")))

    with pytest.raises(ClientError, match="not configured for direct invocation"):
        invoke(runtime, name, TargetContainerHostname="left")


def test_a_registered_pipeline_is_served_whole(cloud: Any, sagemaker: Any, runtime: Any, name: str) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    specification = {
        "Containers": pair(cloud, name),
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    package = sagemaker.create_model_package(ModelPackageGroupName=name, InferenceSpecification=specification)
    serve_model(cloud, name, Containers=[{"ModelPackageName": package["ModelPackageArn"]}])

    answer = invoke(runtime, name)
    assert (json.loads(answer["before"])["model"], answer["model"]) == ("first", "second")


def test_it_serves_again_after_an_update(cloud: Any, sagemaker: Any, runtime: Any, name: str) -> None:
    serve_model(cloud, name, Containers=pair(cloud, name))
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 2}
    sagemaker.create_endpoint_config(EndpointConfigName=f"{name}-two", ProductionVariants=[variant])
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-two")
    wait_for(sagemaker, name, "InService")

    assert {invoke(runtime, name)["model"] for _ in range(4)} == {"second"}


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (
            {"Containers": [{}, {"ContainerHostname": "b"}]},
            "every container of Containers a ContainerHostname, or none",
        ),
        ({"Containers": [{"ContainerHostname": "b"}, {"ContainerHostname": "b"}]}, "must be unique; given: b, b"),
        (
            {"Containers": [{}, {}], "InferenceExecutionConfig": {"Mode": "Direct"}},
            "InferenceExecutionConfig with Mode Direct needs two or more Containers",
        ),
        (
            {
                "Containers": [{"ContainerHostname": "a", "Mode": "MultiModel"}, {"ContainerHostname": "b"}],
                "InferenceExecutionConfig": {"Mode": "Direct"},
            },
            "no container can be of Mode MultiModel",
        ),
        ({"Containers": [{"Mode": "MultiModel"}, {"Mode": "MultiModel"}]}, "Only one container .* of Mode MultiModel"),
        ({"PrimaryContainer": {"MultiModelConfig": {"ModelCacheSetting": "Enabled"}}}, "MultiModelConfig is for"),
        (
            {"PrimaryContainer": {"Mode": "MultiModel", "ModelPackageName": "package"}},
            "Mode MultiModel needs ModelDataUrl",
        ),
        (
            {"PrimaryContainer": {"Mode": "MultiModel", "ModelDataUrl": f"s3://{BUCKET}/no/"}},
            "Could not find model data",
        ),
        ({"PrimaryContainer": {"InferenceSpecificationName": "other"}}, "InferenceSpecificationName"),
    ],
)
def test_create_model_refuses_by_name(
    cloud: Any, sagemaker: Any, name: str, members: dict[str, Any], sentence: str
) -> None:
    base = container(cloud, "any", name="any")
    for given in [*members.get("Containers", []), *filter(None, [members.get("PrimaryContainer")])]:
        for member, value in base.items():
            given.setdefault(member, value)

    with pytest.raises(ClientError, match=sentence):
        sagemaker.create_model(ModelName="refused", ExecutionRoleArn=ROLE, **members)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("pipeline", {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}),
        ("several", {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}),
        ("several", {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/answers"}}}),
        ("direct", {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/answers"}}}),
        ("pipeline", {"ShadowProductionVariants": []}),
    ],
)
def test_a_configuration_that_aws_does_not_have_is_refused(
    cloud: Any, sagemaker: Any, name: str, kind: str, config: dict[str, Any]
) -> None:
    model = f"not-{kind}-{len(str(config))}"
    members: dict[str, Any] = {"Containers": pair(cloud, model, hosts=("a", "b"))}
    if kind == "several":
        prefix = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/{model}/", "Mode": "MultiModel"}
        members = {"PrimaryContainer": prefix}
    if kind == "direct":
        members["InferenceExecutionConfig"] = {"Mode": "Direct"}
    sagemaker.create_model(ModelName=model, ExecutionRoleArn=ROLE, **members)
    machine = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    [member] = config
    variant = {"VariantName": "A", "ModelName": model, **(config if member == "ServerlessConfig" else machine)}
    further: dict[str, Any] = {} if member == "ServerlessConfig" else config
    if member == "ShadowProductionVariants":
        further = {member: [{**variant, "VariantName": "B"}]}

    with pytest.raises(ClientError, match=f"{member} is not supported with model"):
        sagemaker.create_endpoint_config(EndpointConfigName=model, ProductionVariants=[variant], **further)
