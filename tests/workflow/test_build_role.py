"""The build's role against the calls that the build really makes: boto3 is recorded, and each call looked up in IAM."""

import re

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.workflow.application import ROOT, as_list, expanded
from tests.workflow.build_calls import (
    ACCOUNT,
    BOUNDARY,
    CICD,
    FIRST_START,
    IMAGE,
    PACKAGE,
    PROMOTING,
    SAID,
    STATEMENTS,
    TRAINED,
    Cloud,
    deployment,
    granted,
    needed,
    promotion,
    run,
)
from tests.workflow.dependencies import resolved


@pytest.mark.parametrize(
    ("answers", "arguments", "last"),
    [
        (ACCOUNT, ["upsert"], "CreatePipeline"),
        (TRAINED, ["upsert"], "UpdatePipeline"),
        (FIRST_START, ["start", "InputData=s3://photos/cifar.tar.gz"], "StartPipelineExecution"),
        (TRAINED, ["start"], "StartPipelineExecution"),
    ],
    ids=["first upsert", "upsert", "first start", "start"],
)
def test_the_build_may_do_each_call_that_the_pipelines_commands_make(answers, arguments, last, monkeypatch):
    calls = run(Cloud(answers), monkeypatch, *arguments)
    assert calls[-1][1] == last
    assert [need for call in calls for need in needed(call) if not granted(*need)] == []


@pytest.mark.parametrize("there", [False, True], ids=["first deployment", "update"])
def test_the_build_may_do_each_call_that_a_deployment_makes(there):
    calls = deployment(there)
    operations = {operation for _, operation, _ in calls}
    assert {"CreateChangeSet", "ExecuteChangeSet", "PutObject"} <= operations
    assert ("CreateBucket" in operations) != there
    assert [need for call in calls for need in needed(call) if not granted(*need)] == []


def test_a_deployment_sends_what_is_too_long_for_a_request_by_s3():
    (request,) = [request for _, operation, request in deployment(there=True) if operation == "CreateChangeSet"]
    assert request["TemplateURL"].startswith("https://s3.us-east-1.amazonaws.com/loadingbay-artifacts-000000000000-")
    assert request["ChangeSetType"] == "UPDATE"
    assert set(request["Capabilities"]) >= {"CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"}


def test_the_build_may_do_each_call_that_the_images_script_makes():
    script = (ROOT / "workflow" / "image.sh").read_text()
    asked = {"".join(word.title() for word in name.split("-")) for name in re.findall(r"aws ecr ([a-z-]+)", script)}
    assert asked == {"GetLoginPassword", "DescribeImages"}
    repository = "arn:aws:ecr:us-east-1:000000000000:repository/loadingbay"
    # A login is an authorization token; a push uploads layers, looks whether they are there, and puts the image.
    pushing = (
        "BatchCheckLayerAvailability",
        "InitiateLayerUpload",
        "UploadLayerPart",
        "CompleteLayerUpload",
        "PutImage",
    )
    pulling = ("BatchGetImage", "GetDownloadUrlForLayer")
    assert all(granted(f"ecr:{action}", repository) for action in (*pushing, *pulling, "DescribeImages"))
    assert granted("ecr:GetAuthorizationToken", "*")


def test_a_start_compares_with_the_champion_and_so_reads_it(monkeypatch):
    called = {operation for _, operation, _ in run(Cloud(TRAINED), monkeypatch, "start")}
    assert {"ListModelPackages", "DescribeModelPackage", "DescribePipelineDefinitionForExecution"} <= called


def test_what_the_role_does_not_say_is_not_granted():
    assert granted("sagemaker:DescribeModelPackage", PACKAGE)
    assert not granted("sagemaker:DescribeModelPackage", PACKAGE.replace("loadingbay", "another"))
    assert not granted("sagemaker:UpdateModelPackage", PACKAGE)


def tagging(kind: str) -> set[str]:
    """The actions that CloudFormation's own schema of a resource names for its tags."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    # IAM has no action of the last name: PutBucketTagging covers it.
    return set(schema.get("tagging", {}).get("permissions", [])) - {"s3:DeleteBucketTagging"}


@pytest.mark.parametrize("kind", sorted({resource["Type"] for resource in expanded()["Resources"].values()}))
def test_the_build_may_tag_whatever_the_application_has_that_can_be_tagged(kind):
    """A stack's tags are handed down to all its resources: one that may not be tagged rolls the stack back."""
    given = {action for said in STATEMENTS for action in as_list(said["Action"])}
    assert tagging(kind) <= given


def test_the_schemas_name_actions_for_tags():
    assert "iam:UntagRole" in tagging("AWS::IAM::Role")


def test_every_role_is_passed_to_just_the_services_that_run_as_it():
    passed = [said for said in STATEMENTS if "iam:PassRole" in as_list(said["Action"])]
    services = {to for said in passed for to in as_list(said["Condition"]["StringEquals"]["iam:PassedToService"])}
    roles = [role["Properties"] for role in expanded()["Resources"].values() if role["Type"] == "AWS::IAM::Role"]
    trusted = {
        service
        for role in roles
        for said in role["AssumeRolePolicyDocument"]["Statement"]
        for service in as_list(said["Principal"]["Service"])
    }
    assert services == trusted


@pytest.mark.parametrize("account", ["000000000000", "111111111111"])
@pytest.mark.parametrize("named", [False, True])
def test_a_build_that_promotes_may_do_each_call_of_the_promotion(monkeypatch, named, account):
    wanted = f"arn:aws:sagemaker:us-east-1:{account}:model-package/staging/7" if named else ""
    calls = promotion(monkeypatch, wanted, account)
    operations = [operation for _, operation, _ in calls]
    assert operations.index("UpdateModelPackage") < operations.index("CreatePipeline")
    allowed = STATEMENTS + resolved(PROMOTING, holds=account != "000000000000")
    assert [need for call in calls for need in needed(call) if not granted(*need, allowed)] == []


def test_a_build_that_promotes_may_read_the_other_accounts_key_there():
    keys = [said for said in resolved(PROMOTING, holds=True) if "kms:Decrypt" in as_list(said["Action"])]
    assert [said["Resource"] for said in keys] == [{"Ref": "PromoteFromKeyArn"}]
    assert not [said for said in resolved(PROMOTING, holds=False) if "kms:Decrypt" in as_list(said["Action"])]


def test_a_build_that_trains_may_not_touch_another_stage(monkeypatch):
    refused = [need for call in promotion(monkeypatch) for need in needed(call) if not granted(*need)]
    bucket = "arn:aws:s3:::staging-000000000000-us-east-1"
    assert ("s3:GetObject", f"{bucket}/pipelines/staging/abc/train/job/output/model.tar.gz") in refused


def test_the_build_makes_and_changes_roles_within_the_boundary_only():
    for said in STATEMENTS:
        if {"iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"} & set(as_list(said["Action"])):
            assert said["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": {"Ref": "Boundary"}}}
    every = {action for said in STATEMENTS for action in as_list(said["Action"])}
    assert not every & {"iam:DeleteRolePermissionsBoundary", "iam:AttachRolePolicy", "iam:CreatePolicyVersion"}


def test_the_build_may_not_change_the_roles_of_its_own_stack():
    (denied,) = [said for said in SAID if said["Effect"] == "Deny"]
    changing = {action for said in STATEMENTS for action in as_list(said["Action"]) if action.startswith("iam:")}
    reading = {action for action in changing if action.startswith(("iam:Get", "iam:List"))} | {
        "iam:TagRole",
        "iam:UntagRole",
    }
    assert set(denied["Action"]) == changing - reading
    assert denied["Resource"]["Fn::Sub"].endswith(":role/${AWS::StackName}-*")


def test_the_boundary_allows_what_the_applications_roles_need_and_no_more():
    documents = [
        document
        for resource in expanded()["Resources"].values()
        if resource["Type"] in {"AWS::IAM::Role", "AWS::IAM::Policy"}
        for document in (
            [policy["PolicyDocument"] for policy in resolved(resource["Properties"].get("Policies", []), holds=True)]
            if resource["Type"] == "AWS::IAM::Role"
            else [resource["Properties"]["PolicyDocument"]]
        )
    ]
    wanted = {action for document in documents for said in document["Statement"] for action in as_list(said["Action"])}
    within = {action for said in BOUNDARY for action in as_list(said["Action"])}
    assert wanted == within
    assert [action for action in within if action.startswith(("iam:", "sts:"))] == ["iam:PassRole"]


def test_each_role_of_the_delivery_can_be_bounded_as_an_account_may_demand():
    roles = {name: resource["Properties"] for name, resource in CICD.items() if resource["Type"] == "AWS::IAM::Role"}
    bounded = {"Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]}
    assert {name: role.get("PermissionsBoundary") for name, role in roles.items()} == dict.fromkeys(roles, bounded)


def test_a_stage_that_promotes_is_monitored_by_the_image_that_it_serves(monkeypatch):
    (made,) = [request for _, operation, request in promotion(monkeypatch) if operation == "CreatePipeline"]
    assert made["PipelineName"] == "loadingbay-monitoring"
    (image,) = re.findall(r'"ImageUri":"([^"]+)"', made["PipelineDefinition"])
    assert image == IMAGE
