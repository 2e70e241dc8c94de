"""Serverless variants: what is refused as on AWS, and one at work."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.api import ApiError
from localcloud.containers import ContainerSpec
from localcloud.serving import serverless
from localcloud.serving.deployment import Deployment, VariantSpec
from tests.localcloud.resources.served import artifact, wait_for
from tests.waiting import Gate

CONFIG = {"MemorySizeInMB": 2048, "MaxConcurrency": 2}
VARIANT = {"VariantName": "AllTraffic", "ModelName": "model", "ServerlessConfig": CONFIG}
BUCKET = "models-of-serverless-tests"


def request(**changes: Any) -> dict[str, Any]:
    return {"ProductionVariants": [{**VARIANT, **changes}]}


def test_a_serverless_variant_needs_no_instances() -> None:
    serverless.check_config(request(), {"model": {}})


@pytest.mark.parametrize(
    ("asked", "model", "sentence"),
    [
        ({"ProductionVariants": [VARIANT, {**VARIANT, "VariantName": "B"}]}, {}, "one production variant"),
        ({**request(), "ShadowProductionVariants": [VARIANT]}, {}, "no shadow variant"),
        ({**request(), "DataCaptureConfig": {"EnableCapture": True}}, {}, "Data capture is not supported"),
        ({**request(), "DataCaptureConfig": {}}, {}, "Data capture is not supported"),
        ({**request(), "VpcConfig": {"Subnets": ["a"]}}, {}, "VpcConfig is not supported"),
        (request(), {"VpcConfig": {"Subnets": ["a"]}}, "VpcConfig is not supported"),
        (request(), {"EnableNetworkIsolation": True}, "'model' has EnableNetworkIsolation"),
        (request(InstanceType="ml.m5.large"), {}, "takes no InstanceType"),
        (request(InitialInstanceCount=1), {}, "takes no InitialInstanceCount"),
        (request(ServerlessConfig={**CONFIG, "MemorySizeInMB": 1500}), {}, "enum value set: .1024, 2048"),
        (request(ServerlessConfig={**CONFIG, "ProvisionedConcurrency": 3}), {}, "ProvisionedConcurrency is 3, more"),
    ],
)
def test_what_serverless_endpoints_do_not_have_is_refused_by_name(
    asked: dict[str, Any], model: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ApiError, match=sentence):
        serverless.check_config(asked, {"model": model})


def deployment(serverless: dict[str, Any] | None) -> Deployment:
    """A deployment of one variant with this ServerlessConfig, or on instances."""
    variant = VariantSpec(
        containers=[ContainerSpec(image="image:1")],
        variant_name="AllTraffic",
        weight=1.0,
        count=1,
        serverless=serverless,
        resolution_time=0.0,
    )
    return Deployment(endpoint_config_name="config", variants=[variant], directory="d", start_time=0.0)


def test_serverless_may_become_instances_but_not_the_other_way() -> None:
    instances, without = deployment(serverless=None), deployment(serverless=CONFIG)

    serverless.check_update(without, instances)
    with pytest.raises(ApiError, match="cannot be updated to a serverless one"):
        serverless.check_update(instances, without)


def test_a_serverless_endpoint_throttles_beyond_its_concurrency(cloud: Any) -> None:
    sagemaker, name = cloud.client("sagemaker"), "serverless"
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=artifact(name="one"))
    sagemaker.create_model(
        ModelName=name, PrimaryContainer={"Image": "image:1", "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
    )
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[{**VARIANT, "ModelName": name}])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    described = wait_for(sagemaker, name, "InService", "Failed")

    def ask(body: bytes) -> str:
        try:
            cloud.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body)
        except ClientError as error:
            return f"{error.response['Error']['Code']} {error.response['ResponseMetadata']['HTTPStatusCode']}"
        return "answered"

    with ThreadPoolExecutor(2) as pool, Gate() as gate:
        taken = [pool.submit(ask, b"wait %d" % gate.port) for _ in range(2)]
        gate.arrived(2)
        refused = [ask(b"photo") for _ in range(2)]
        gate.open()
        answered = [request.result() for request in taken]

    assert described["EndpointStatus"] == "InService"
    assert described["ProductionVariants"][0]["CurrentServerlessConfig"] == CONFIG
    assert "CurrentInstanceCount" not in described["ProductionVariants"][0]
    assert refused == ["ThrottlingException 400"] * 2
    assert answered == ["answered"] * 2
    assert ask(bytes(serverless.MOST_BYTES + 1)).endswith("413")
    with pytest.raises(ClientError, match="is serverless"):
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredWeight": 1}]
        )
    sagemaker.delete_endpoint(EndpointName=name)
