"""SageMaker's resource types in CloudFormation stacks."""

import io
import json
import tarfile
from typing import Any

import pytest

from localcloud.api.shapes import service_model
from localcloud.ministack.sagemaker_types import typed
from tests.localcloud.pipeline_kit import ROLE, Kit, definition


@pytest.fixture(scope="module")
def kit(cloud: Any) -> Kit:
    return Kit(cloud)


def serving(kit: Kit, artifact: str) -> dict[str, Any]:
    """A template as AWS's project templates have it: a model, its configuration and its endpoint."""
    return {
        "Parameters": {"Count": {"Type": "Number", "Default": 1}},
        "Resources": {
            "Model": {
                "Type": "AWS::SageMaker::Model",
                "Properties": {
                    "PrimaryContainer": {"Image": "image", "ModelDataUrl": artifact},
                    "ExecutionRoleArn": ROLE,
                },
            },
            "Config": {
                "Type": "AWS::SageMaker::EndpointConfig",
                "Properties": {
                    "ProductionVariants": [
                        {
                            "InitialInstanceCount": {"Ref": "Count"},
                            "InitialVariantWeight": 1.0,
                            "InstanceType": "ml.m5.large",
                            "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
                            "VariantName": "AllTraffic",
                        }
                    ]
                },
            },
            "Endpoint": {
                "Type": "AWS::SageMaker::Endpoint",
                "Properties": {
                    "EndpointName": f"{kit.prefix}-endpoint",
                    "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
                },
            },
        },
        "Outputs": {
            "Endpoint": {"Value": {"Ref": "Endpoint"}},
            "Model": {"Value": {"Fn::GetAtt": ["Model", "ModelName"]}},
        },
    }


def deployed(kit: Kit, template: dict[str, Any], verb: str = "create") -> dict[str, str]:
    """Create or update the stack of this test; its outputs."""
    stacks = kit.cloud.client("cloudformation")
    getattr(stacks, f"{verb}_stack")(StackName=kit.prefix, TemplateBody=json.dumps(template))
    stacks.get_waiter(f"stack_{verb}_complete").wait(StackName=kit.prefix, WaiterConfig={"Delay": 1})
    (stack,) = stacks.describe_stacks(StackName=kit.prefix)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def removed(kit: Kit) -> None:
    stacks = kit.cloud.client("cloudformation")
    stacks.delete_stack(StackName=kit.prefix)
    stacks.get_waiter("stack_delete_complete").wait(StackName=kit.prefix, WaiterConfig={"Delay": 1})


def artifact(kit: Kit, name: str) -> str:
    """An empty artifact of a model."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz"):
        pass
    return kit.put(name, packed.getvalue())


def test_a_stack_serves_a_model_changes_it_and_takes_it_away(kit: Kit) -> None:
    template = serving(kit, artifact(kit, "one.tar.gz"))
    outputs = deployed(kit, template)
    name = f"{kit.prefix}-endpoint"
    assert outputs["Endpoint"] == f"arn:aws:sagemaker:us-east-1:000000000000:endpoint/{name}"
    assert kit.sm.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"

    template["Resources"]["Model"]["Properties"]["PrimaryContainer"]["ModelDataUrl"] = artifact(kit, "two.tar.gz")
    changed = deployed(kit, template, "update")
    assert changed["Model"] != outputs["Model"]
    config = kit.sm.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    (variant,) = kit.sm.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    assert variant["ModelName"] == changed["Model"]
    assert outputs["Model"] not in [m["ModelName"] for m in kit.sm.list_models(MaxResults=100)["Models"]]

    removed(kit)
    assert name not in [e["EndpointName"] for e in kit.sm.list_endpoints(MaxResults=100)["Endpoints"]]


def test_a_stack_has_a_pipeline_and_changes_it_in_place(cloud: Any) -> None:
    kit = Kit(cloud)
    body = definition({"Name": "End", "Type": "Fail", "Arguments": {"ErrorMessage": "one"}})
    properties = {
        "PipelineName": kit.prefix,
        "PipelineDefinition": {"PipelineDefinitionBody": body},
        "RoleArn": ROLE,
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    resource = {"Type": "AWS::SageMaker::Pipeline", "Properties": properties}
    template = {"Resources": {"Pipeline": resource}, "Outputs": {"Ref": {"Value": {"Ref": "Pipeline"}}}}
    assert deployed(kit, template) == {"Ref": kit.prefix}
    arn = kit.sm.describe_pipeline(PipelineName=kit.prefix)["PipelineArn"]
    assert kit.sm.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]

    kit.put("definition.json", body.replace("one", "two"))
    key = kit.uri("definition.json").split("/", 3)[3]
    place = {"Bucket": "kit-bucket", "Key": key}
    properties["PipelineDefinition"] = {"PipelineDefinitionS3Location": place}
    deployed(kit, template, "update")
    assert '"two"' in kit.sm.describe_pipeline(PipelineName=kit.prefix)["PipelineDefinition"]
    removed(kit)
    with pytest.raises(kit.sm.exceptions.ResourceNotFound):
        kit.sm.describe_pipeline(PipelineName=kit.prefix)


def test_a_pipeline_that_cannot_run_fails_its_stack_with_the_reason(cloud: Any) -> None:
    kit = Kit(cloud)
    properties = {"PipelineDefinition": {"PipelineDefinitionBody": "{}"}, "RoleArn": ROLE, "PipelineName": kit.prefix}
    template = {"Resources": {"Pipeline": {"Type": "AWS::SageMaker::Pipeline", "Properties": properties}}}
    stacks = cloud.client("cloudformation")
    stacks.create_stack(StackName=kit.prefix, TemplateBody=json.dumps(template), OnFailure="DO_NOTHING")
    with pytest.raises(Exception, match="CREATE_FAILED"):
        stacks.get_waiter("stack_create_complete").wait(StackName=kit.prefix, WaiterConfig={"Delay": 1})
    events = stacks.describe_stack_events(StackName=kit.prefix)["StackEvents"]
    assert any("Version is None" in event.get("ResourceStatusReason", "") for event in events)


def test_text_of_parameters_takes_the_types_of_the_request() -> None:
    shape = service_model("sagemaker").shape_for("ProductionVariant")
    given = {"InitialInstanceCount": "2", "InitialVariantWeight": "0.5", "ModelName": "m", "EnableSSMAccess": "true"}
    assert typed(shape, given) == {
        "InitialInstanceCount": 2,
        "InitialVariantWeight": 0.5,
        "ModelName": "m",
        "EnableSSMAccess": True,
    }
    assert typed(shape, {"InitialInstanceCount": "many"}) == {"InitialInstanceCount": "many"}
