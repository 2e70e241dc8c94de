"""Deployment by change set: create, update, nothing to do, and what went wrong in one sentence."""
# ruff: noqa: N803 - AWS names its arguments so

import json

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from loadingbay.errors import WorkError
from loadingbay.stack.deploy import deploy, outputs
from loadingbay.target import Target

QUEUE = {
    "Parameters": {"Stage": {"Type": "String", "Default": "one"}},
    "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "deploy-test"}}},
    "Outputs": {"Url": {"Value": {"Ref": "Queue"}}, "Stage": {"Value": {"Ref": "Stage"}}},
}


class CloudFormation:
    """Change sets as AWS carries them out, for one stack; `fails` is the event of a resource that cannot be made.

    (Stacks made by moto's change sets have no outputs.)
    """

    def __init__(self):
        self.stack, self.planned, self.fails, self.events = None, None, None, []

    def describe_stacks(self, StackName):
        if self.stack is None:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        return {"Stacks": [self.stack]}

    def create_change_set(self, **request):
        template = json.loads(request.get("TemplateBody") or "{}") or request["TemplateURL"]
        given = {p["ParameterKey"]: p for p in request["Parameters"]}
        before = {p["ParameterKey"]: p["ParameterValue"] for p in (self.stack or {}).get("Parameters", [])}
        values = {}
        for name, declared in (template.get("Parameters", {}) if isinstance(template, dict) else {}).items():
            parameter = given.get(name, {})
            kept = before[name] if parameter.get("UsePreviousValue") else declared["Default"]
            values[name] = parameter.get("ParameterValue", kept)
        assert (request["ChangeSetType"] == "CREATE") == (self.stack is None)
        self.planned = {
            "StackName": request["StackName"],
            "Template": template,
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in values.items()],
            "Outputs": [
                {"OutputKey": k, "OutputValue": values.get(k, o["Value"])} for k, o in _declared(template).items()
            ],
        }
        return {"Id": "change-set"}

    def describe_change_set(self, **_):
        if self.stack and self.planned["Template"] == self.stack["Template"] and self.planned == self.stack:
            return {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
        return {"Status": "CREATE_COMPLETE"}

    def execute_change_set(self, **_):
        kind = "UPDATE" if self.stack else "CREATE"
        self.events.insert(0, {"LogicalResourceId": "loadingbay", "ResourceStatus": f"{kind}_IN_PROGRESS"})
        status = f"{kind}_COMPLETE"
        if self.fails:
            self.events.insert(0, self.fails)
            status = "ROLLBACK_COMPLETE" if kind == "CREATE" else "UPDATE_ROLLBACK_COMPLETE"
        self.stack = self.planned | {"StackStatus": status}

    def delete_change_set(self, **_):
        self.planned = None

    def get_paginator(self, _):
        return self

    def paginate(self, **_):
        yield {"StackEvents": self.events}


def _declared(template):
    outputs = template.get("Outputs", {}) if isinstance(template, dict) else {}
    return {name: output for name, output in outputs.items() if name != "Url"}


@pytest.fixture
def cloudformation():
    return CloudFormation()


@pytest.fixture
def target(cloudformation):
    """A stage whose CloudFormation is a double, the rest moto's AWS."""
    with mock_aws():
        target = Target("aws", None, "eu-central-1")
        target.clients["cloudformation"] = cloudformation
        yield target


@pytest.fixture
def template(tmp_path):
    """The file of a template with one queue, in a folder like the project's."""
    (tmp_path / "workflow").mkdir()
    (tmp_path / "lambdas").mkdir()
    path = tmp_path / "workflow" / "template.yaml"
    path.write_text(json.dumps(QUEUE))
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("loadingbay.stack.deploy.time.sleep", lambda _: None)


def test_a_stack_that_is_not_there_is_created(target, template):
    assert deploy(target, template=template) == {"Stage": "one"}
    assert outputs(target) == {"Stage": "one"}


def test_the_same_template_again_makes_no_change_set(target, template, cloudformation):
    deploy(target, template=template)
    cloudformation.planned = None
    said = []
    assert deploy(target, template=template, say=said.append) == {"Stage": "one"}
    assert cloudformation.planned is None
    assert said == []


def test_no_tag_is_put_on_all_resources_only_to_remember_the_source(target, template, cloudformation):
    asked = []
    create = cloudformation.create_change_set
    cloudformation.create_change_set = lambda **request: asked.append(request) or create(**request)
    deploy(target, template=template)
    assert "Tags" not in asked[0]


def test_a_changed_lambda_updates_the_stack(target, template):
    deploy(target, template=template)
    (template.parent.parent / "lambdas" / "app.py").write_text("changed = True\n")
    said = []
    deploy(target, template=template, say=said.append)
    assert said == ["updating the stack loadingbay", "the stack loadingbay was updated"]


def test_a_parameter_is_kept_by_the_next_deployment(target, template):
    deploy(target, template=template, parameters={"Stage": "two"})
    assert deploy(target, template=template) == {"Stage": "two"}


@pytest.mark.parametrize(("local", "expected"), [(True, "1"), (False, "300")])
def test_only_a_stack_of_the_local_cloud_is_made_with_a_short_watch(
    target, template, cloudformation, monkeypatch, local, expected
):
    watched = {**QUEUE, "Parameters": {"BakeSeconds": {"Type": "Number", "Default": "300"}}, "Outputs": {}}
    template.write_text(json.dumps(watched))
    monkeypatch.setattr(Target, "local", local)

    def made_with():
        return {p["ParameterKey"]: p["ParameterValue"] for p in cloudformation.stack["Parameters"]}

    deploy(target, template=template)
    assert made_with() == {"BakeSeconds": expected}
    deploy(target, template=template, parameters={"BakeSeconds": "60"})
    template.write_text(json.dumps({**watched, "Metadata": {}}))
    deploy(target, template=template)
    assert made_with() == {"BakeSeconds": "60"}, "what somebody chose is kept"


def test_a_kept_value_that_is_refused_now_names_the_command(target, template, cloudformation):
    deploy(target, parameters={"Stage": "0.5"}, template=template)

    def refuses(**_):
        message = "Parameter 'Stage' must be a whole number"
        raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "CreateChangeSet")

    cloudformation.create_change_set = refuses
    (template.parent.parent / "lambdas" / "new.py").write_text("", encoding="utf-8")
    told = "must be a whole number, and is '0.5': `loadingbay deploy --parameter Stage=VALUE`"
    with pytest.raises(WorkError, match=told):
        deploy(target, template=template)


def test_an_unknown_parameter_names_those_there_are(target, template, cloudformation):
    with pytest.raises(WorkError, match="the template has no parameter Stagee: it has Stage"):
        deploy(target, template=template, parameters={"Stagee": "two"})
    assert cloudformation.planned is None


def test_the_bucket_for_packages_is_private(target, template):
    deploy(target, template=template)
    bucket = f"loadingbay-artifacts-{target.account}-eu-central-1"
    block = target.client("s3").get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    location = target.client("s3").get_bucket_location(Bucket=bucket)
    assert location["LocationConstraint"] == "eu-central-1"


def test_outputs_of_a_stack_that_is_not_deployed_say_how_to_deploy_it(target):
    with pytest.raises(WorkError, match=r"the stack loadingbay is not deployed .* `loadingbay deploy`"):
        outputs(target)


def test_a_resource_that_cannot_be_made_is_named_with_its_reason(target, template, cloudformation):
    cloudformation.fails = {
        "LogicalResourceId": "Queue",
        "ResourceStatus": "CREATE_FAILED",
        "ResourceStatusReason": "the name is taken",
    }
    with pytest.raises(WorkError, match="the stack loadingbay could not be created: Queue: the name is taken"):
        deploy(target, template=template)


def test_what_cloudformation_finds_before_the_first_resource_is_told(target, template, cloudformation):
    cloudformation.fails = {
        "LogicalResourceId": "loadingbay",
        "ResourceStatus": "CREATE_FAILED",
        "ResourceStatusReason": "Validation failed with 1 error(s). Call DescribeEvents to retrieve the full list.",
    }
    found = {"LogicalResourceId": "Bucket", "ValidationStatusReason": "a bucket of that name exists"}
    cloudformation.describe_events = lambda **_: {
        "OperationEvents": [{"EventType": "STACK_EVENT"}, {"EventType": "VALIDATION_ERROR", **found}]
    }
    with pytest.raises(WorkError, match="could not be created: Bucket: a bucket of that name exists"):
        deploy(target, template=template)


def test_an_update_that_was_rolled_back_is_a_failure_and_is_tried_again(target, template, cloudformation):
    deploy(target, template=template)
    (template.parent.parent / "lambdas" / "app.py").write_text("changed = True\n")
    cloudformation.fails = {"LogicalResourceId": "Queue", "ResourceStatus": "UPDATE_FAILED"}
    with pytest.raises(WorkError, match="could not be updated: Queue"):
        deploy(target, template=template)
    cloudformation.fails = None
    said = []
    deploy(target, template=template, say=said.append)
    assert "the stack loadingbay was updated" in said


def test_a_stack_in_rollback_complete_says_why_and_what_to_do(target, template, cloudformation):
    cloudformation.stack = {"StackName": "loadingbay", "StackStatus": "ROLLBACK_COMPLETE"}
    cloudformation.events = [
        {"LogicalResourceId": "Role", "ResourceStatus": "CREATE_FAILED", "ResourceStatusReason": "creation cancelled"},
        {"LogicalResourceId": "Bucket", "ResourceStatus": "CREATE_FAILED", "ResourceStatusReason": "it exists"},
        {"LogicalResourceId": "loadingbay", "ResourceStatus": "CREATE_IN_PROGRESS"},
        {"LogicalResourceId": "Older", "ResourceStatus": "CREATE_FAILED", "ResourceStatusReason": "of another time"},
    ]
    with pytest.raises(WorkError) as refused:
        deploy(target, template=template)
    assert "ROLLBACK_COMPLETE (Bucket: it exists)" in str(refused.value)
    assert "delete-stack --stack-name loadingbay" in str(refused.value)
    assert cloudformation.planned is None


def test_a_template_above_the_limit_of_a_request_goes_by_s3(target, template, cloudformation):
    template.write_text(json.dumps(QUEUE | {"Metadata": {str(n): "long " * 4000 for n in range(4)}}))
    deploy(target, template=template)
    url = cloudformation.stack["Template"]
    assert url.startswith(f"https://s3.eu-central-1.amazonaws.com/loadingbay-artifacts-{target.account}-eu-central-1/")
    key = url.split("/", 4)[4]
    bucket = f"loadingbay-artifacts-{target.account}-eu-central-1"
    assert target.client("s3").head_object(Bucket=bucket, Key=key)["ContentLength"] > 51_200


def test_a_stack_of_another_name_is_another_stage(target, cloudformation, tmp_path):
    named = {**QUEUE, "Parameters": {"Name": {"Type": "String", "Default": "loadingbay"}}, "Outputs": {}}
    file = tmp_path / "workflow" / "template.yaml"
    file.parent.mkdir()
    file.write_text(json.dumps(named))
    deploy(target, stack="bay-two", template=file)
    assert cloudformation.stack["Parameters"] == [{"ParameterKey": "Name", "ParameterValue": "bay-two"}]
