"""The network template has an endpoint for every API that is called from the application's private subnets."""

import re

from samtranslator.yaml_helper import yaml_parse

from tests.workflow.application import ROOT

RESOURCES = yaml_parse((ROOT / "workflow" / "network.yaml").read_text())["Resources"]
# The endpoint of each boto3 client, where it has another name.
ENDPOINTS = {"sagemaker": "sagemaker.api", "sagemaker-runtime": "sagemaker.runtime", "cloudwatch": "monitoring"}
# What Lambda, a job or an endpoint's instance calls in the role's name, or what boto3 asks for credentials and keys.
BESIDE = {"logs", "sqs", "sts", "kms", "ecr.api", "ecr.dkr", "xray", "monitoring"}


def served() -> set[str]:
    names = [r["Properties"]["ServiceName"]["Fn::Sub"] for r in RESOURCES.values() if "ServiceName" in r["Properties"]]
    return {name.removeprefix("com.amazonaws.${AWS::Region}.") for name in names}


def called() -> set[str]:
    code = "".join(path.read_text() for path in (ROOT / "lambdas").rglob("*.py"))
    clients = set(re.findall(r'boto3\.client\(\s*"([^"]+)"', code))
    assert {"s3", "sagemaker", "events"} <= clients
    return {ENDPOINTS.get(name, name) for name in clients}


def test_every_api_that_is_called_has_an_endpoint_and_no_other():
    assert served() == called() | BESIDE


def test_only_the_applications_security_group_may_call_an_endpoint():
    (ingress,) = RESOURCES["Callers"]["Properties"]["SecurityGroupIngress"]
    assert (ingress["FromPort"], ingress["ToPort"]) == (443, 443)
    assert "SourceSecurityGroupId" in ingress
    interfaces = [r["Properties"] for r in RESOURCES.values() if r["Properties"].get("VpcEndpointType") == "Interface"]
    assert all(each["SecurityGroupIds"] == [{"Ref": "Callers"}] for each in interfaces)
