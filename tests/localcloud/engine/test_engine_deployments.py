"""EndpointConfig and Endpoint steps: a pipeline puts the model that it makes into service."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import ROLE, Kit
from tests.localcloud.resources.served import IMAGE, artifact, invoke
from tests.waiting import Gate, soon


def steps(kit: Kit, **files: str) -> list[dict[str, Any]]:
    """A model with these files, a configuration named after it, and the test's endpoint."""
    url = kit.put(f"{files.get('name', 'model')}.tar.gz", artifact(**files))
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": {"Get": "Steps.Make.ModelName"},
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    return [
        {
            "Name": "Make",
            "Type": "Model",
            "Arguments": {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": url}},
        },
        {
            "Name": "Configure",
            "Type": "EndpointConfig",
            "Arguments": {"EndpointConfigName": {"Get": "Steps.Make.ModelName"}, "ProductionVariants": [variant]},
            "CacheConfig": {"Enabled": True},
        },
        {
            "Name": "Deploy",
            "Type": "Endpoint",
            "Arguments": {
                "EndpointName": kit.prefix,
                "EndpointConfigName": {"Get": "Steps.Configure.EndpointConfigName"},
                "Tags": [],
            },
        },
        {"Name": "Say", "Type": "Fail", "Arguments": {"ErrorMessage": {"Get": "Steps.Deploy.EndpointStatus"}}},
    ]


def test_an_endpoint_is_created_and_then_updated(cloud: Any, kit: Kit) -> None:
    runtime = cloud.client("sagemaker-runtime")
    _, first = kit.run(*steps(kit, name="one"))
    assert first["Say"]["FailureReason"] == "InService", first
    assert invoke(runtime, kit.prefix)["model"] == "one"

    _, second = kit.run(*steps(kit, name="two"))
    endpoint = kit.sm.describe_endpoint(EndpointName=kit.prefix)
    kit.sm.delete_endpoint(EndpointName=kit.prefix)
    assert second["Deploy"]["Metadata"] == {"Endpoint": {"Arn": endpoint["EndpointArn"]}}
    assert second["Configure"]["Metadata"]["EndpointConfig"]["Arn"].endswith(f"/{endpoint['EndpointConfigName']}")
    assert first["Configure"]["Metadata"] != second["Configure"]["Metadata"]


def test_a_step_fails_with_the_reason_of_its_endpoint(kit: Kit) -> None:
    status, ended = kit.run(*steps(kit, fail="no such weights"))
    assert status == "Failed"
    assert f"Endpoint {kit.prefix} is Failed" in ended["Deploy"]["FailureReason"]


def test_a_taken_configuration_is_used_if_it_is_the_same(kit: Kit) -> None:
    kit.sm.create_model(
        ModelName=kit.prefix,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": kit.put("model.tar.gz", artifact())},
    )
    variant = {"VariantName": "A", "ModelName": kit.prefix, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    configure = {"Name": "Configure", "Type": "EndpointConfig"}
    arguments: dict[str, Any] = {"EndpointConfigName": kit.prefix, "ProductionVariants": [variant]}
    assert kit.run({**configure, "Arguments": arguments})[0] == "Succeeded"
    assert kit.run({**configure, "Arguments": arguments})[0] == "Succeeded"

    arguments["ProductionVariants"] = [{**variant, "InitialInstanceCount": 2}]
    _, ended = kit.run({**configure, "Arguments": arguments})
    assert "already existing endpoint configuration" in ended["Configure"]["FailureReason"]


def test_a_configuration_that_is_refused_is_refused_at_creation(kit: Kit) -> None:
    _, configure, _, _ = steps(kit)
    variant = {**configure["Arguments"]["ProductionVariants"][0], "ModelName": "any", "EnableSSMAccess": True}
    configure["Arguments"] = {"EndpointConfigName": "any", "ProductionVariants": [variant]}
    with pytest.raises(ClientError, match=r"Step 'Configure': .*EnableSSMAccess"):
        kit.pipeline(configure)


def test_a_deployment_that_is_under_way_is_waited_for(kit: Kit) -> None:
    # As after a restart of the cloud in the midst of it.
    gate = Gate()
    model = artifact(gate=str(gate.port))
    kit.sm.create_model(
        ModelName=kit.prefix,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": kit.put("model.tar.gz", model)},
    )
    variant = {"VariantName": "A", "ModelName": kit.prefix, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    kit.sm.create_endpoint_config(EndpointConfigName=kit.prefix, ProductionVariants=[variant])
    kit.sm.create_endpoint(EndpointName=kit.prefix, EndpointConfigName=kit.prefix)
    arguments = {"EndpointName": kit.prefix, "EndpointConfigName": kit.prefix}
    kit.pipeline({"Name": "Deploy", "Type": "Endpoint", "Arguments": arguments})
    arn = kit.start()
    assert soon(lambda: kit.steps(arn))
    assert kit.sm.describe_endpoint(EndpointName=kit.prefix)["EndpointStatus"] == "Creating"
    gate.open()
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Succeeded", kit.steps(arn)
    assert kit.sm.describe_endpoint(EndpointName=kit.prefix)["EndpointStatus"] == "InService"
    kit.sm.delete_endpoint(EndpointName=kit.prefix)
