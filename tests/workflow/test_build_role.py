"""The build's role against the calls that the build really makes: boto3 is recorded, and each call looked up in IAM."""

import io
import json
import re
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from click.testing import CliRunner
from samtranslator.yaml_helper import yaml_parse

from loadingbay.stack.deploy import deploy
from loadingbay.target import Target
from pipelines import __main__ as pipelines
from tests.workflow.application import ROOT, as_list, expanded
from tests.workflow.dependencies import resolved

CICD = yaml_parse((ROOT / "workflow" / "cicd.yaml").read_text())["Resources"]
POLICIES = CICD["BuildRole"]["Properties"]["Policies"]
MANAGED = [CICD[policy["Ref"]]["Properties"] for policy in CICD["BuildRole"]["Properties"]["ManagedPolicyArns"]]
# The build of a stage that trains has those without a condition; that of one that promotes has the others too.
SAID = [
    said
    for policy in [*POLICIES, *MANAGED]
    if "Fn::If" not in policy
    for said in resolved(policy["PolicyDocument"]["Statement"], holds=True)
]
STATEMENTS = [said for said in SAID if said["Effect"] == "Allow"]
(PROMOTING,) = [policy["Fn::If"][1]["PolicyDocument"]["Statement"] for policy in POLICIES if "Fn::If" in policy]
BOUNDARY = CICD["Boundary"]["Properties"]["PolicyDocument"]["Statement"]
FILLED_IN = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "000000000000",
    "AWS::URLSuffix": "amazonaws.com",
    "Stage": "loadingbay",
    "PromoteFrom": "staging",
    "PromoteFromAccount": "111111111111",
    "PromoteFromKeyArn": "arn:aws:kms:us-east-1:111111111111:key/0123",
}

SAGEMAKER = "arn:aws:sagemaker:us-east-1:000000000000"
EXECUTION = f"{SAGEMAKER}:pipeline/loadingbay/execution/abcdefghijkl"
PACKAGE = f"{SAGEMAKER}:model-package/loadingbay/7"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/staging@sha256:0123"
PIPELINE_ROLE = "arn:aws:iam::000000000000:role/loadingbay-PipelineRole-1A2B3C"
OUTPUTS = {
    "BucketName": "loadingbay-000000000000-us-east-1",
    "PipelineRoleArn": PIPELINE_ROLE,
    "MonitoringRoleArn": PIPELINE_ROLE.replace("PipelineRole", "MonitoringRole"),
    "WatchStreamArn": "arn:aws:lambda:us-east-1:000000000000:function:loadingbay-watch-stream",
    "ModelPackageGroupName": "loadingbay",
    "ImageRepositoryUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/loadingbay",
}

Call = tuple[str, str, dict[str, Any]]


class Cloud:
    """Answers as an AWS where `answers` is what there is; an operation without an answer finds nothing."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.calls: list[Call] = []

    def client(self, service: str) -> Any:
        made = boto3.client(
            service, region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )
        made.meta.events.register("before-parameter-build", self._note)
        made.meta.events.register("before-call", self._answer)
        return made

    def _note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls.append((model.service_model.signing_name, model.name, dict(params)))

    def _answer(self, model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        found = self.answers.get(model.name)
        found = found() if callable(found) else found
        status = 404 if found is None else 400 if "Error" in found else 200
        about = {"ResponseMetadata": {"HTTPStatusCode": status}}
        nothing = {"Error": {"Code": "ResourceNotFound", "Message": "There is none."}}
        return AWSResponse("", status, {}, None), {**about, **(nothing if found is None else found)}


ACCOUNT = {
    "GetCallerIdentity": {"Account": "000000000000"},
    "DescribeStacks": {
        "Stacks": [{"Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items()]}]
    },
    **{operation: {} for operation in ("PutObject", "CreatePipeline", "UpdatePipeline")},
    "DescribeImages": {"imageDetails": [{"imageDigest": "sha256:0123"}]},
    "StartPipelineExecution": {"PipelineExecutionArn": EXECUTION},
    "ListPipelineExecutions": {"PipelineExecutionSummaries": []},
    "ListModelPackages": {"ModelPackageSummaryList": []},
}
TRAINED = {
    **ACCOUNT,
    "DescribePipeline": {"PipelineDefinition": "{}", "RoleArn": PIPELINE_ROLE},
    "HeadObject": {},
    "ListPipelineExecutions": {"PipelineExecutionSummaries": [{"PipelineExecutionArn": EXECUTION}]},
    "ListPipelineParametersForExecution": {
        "PipelineParameters": [
            {"Name": "InputData", "Value": "s3://loadingbay-000000000000-us-east-1/data/x"},
            {"Name": "LabelledPhotos", "Value": "s3://loadingbay-000000000000-us-east-1/labelled/none.manifest"},
        ]
    },
    "ListModelPackages": {"ModelPackageSummaryList": [{"ModelPackageArn": PACKAGE, "ModelPackageVersion": 7}]},
    "DescribeModelPackage": {
        "MetadataProperties": {"GeneratedBy": EXECUTION},
        "InferenceSpecification": {"Containers": [{"ModelDataUrl": "s3://photos/model.tar.gz"}]},
    },
    "DescribePipelineDefinitionForExecution": {"PipelineDefinition": "{}"},
}
FIRST_START = {**ACCOUNT, "DescribePipeline": TRAINED["DescribePipeline"]}


def run(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[Call]:
    """What `python -m pipelines` calls; the SDK, which builds without a call, is not imported for it."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(pipelines, "_client", cloud.client)
    monkeypatch.setattr("pipelines.builds.Builder.definition", lambda *_: json.dumps({"Version": "new"}))
    done = CliRunner().invoke(pipelines.main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return cloud.calls


def needed(call: Call) -> list[tuple[str, str]]:
    """The IAM actions and resources behind a call."""
    service, operation, request = call
    match service, operation:
        case "sts", "GetCallerIdentity":
            return []  # everybody may
        case "s3", "ListObjectsV2":
            return [("s3:ListBucket", f"arn:aws:s3:::{request['Bucket']}")]
        case "s3", "CreateBucket":
            return [("s3:CreateBucket", f"arn:aws:s3:::{request['Bucket']}")]
        case "s3", "PutPublicAccessBlock":
            return [("s3:PutBucketPublicAccessBlock", f"arn:aws:s3:::{request['Bucket']}")]
        case "s3", "HeadBucket":
            return [("s3:ListBucket", f"arn:aws:s3:::{request['Bucket']}")]
        case "s3", "HeadObject":
            bucket = f"arn:aws:s3:::{request['Bucket']}"
            # Without the second S3 answers 403, and not 404, for what is not there.
            return [("s3:GetObject", f"{bucket}/{request['Key']}"), ("s3:ListBucket", bucket)]
        case "s3", _:
            return [(f"s3:{operation}", f"arn:aws:s3:::{request['Bucket']}/{request['Key']}")]
        case "ecr", _:
            repository = request["repositoryName"]
            return [(f"ecr:{operation}", f"arn:aws:ecr:us-east-1:000000000000:repository/{repository}")]
        case "cloudformation", "CreateChangeSet":
            transform = "arn:aws:cloudformation:us-east-1:aws:transform/Serverless-2016-10-31"
            stack = f"arn:aws:cloudformation:us-east-1:000000000000:stack/{request['StackName']}/1f2e"
            return [("cloudformation:CreateChangeSet", stack), ("cloudformation:CreateChangeSet", transform)]
        case "cloudformation", _:
            stack = f"arn:aws:cloudformation:us-east-1:000000000000:stack/{request['StackName']}/1f2e"
            return [(f"cloudformation:{operation}", stack)]
        case "sagemaker", _:
            named = ("PipelineExecutionArn", "ModelPackageName", "ModelPackageArn")
            arns = [request[name] for name in named if name in request]
            arns += [f"{SAGEMAKER}:pipeline/{request['PipelineName']}"] if "PipelineName" in request else []
            group = request.get("ModelPackageGroupName", "")
            arns += [group if ":" in group else f"{SAGEMAKER}:model-package-group/{group}"] if group else []
            passed = [("iam:PassRole", request["RoleArn"])] if "RoleArn" in request else []
            return [(f"sagemaker:{operation}", arns[0]), *passed]
    raise AssertionError(f"what does {service}:{operation} need?")


def granted(action: str, resource: str, statements: list[dict[str, Any]] = STATEMENTS) -> bool:
    return any(
        action in as_list(said["Action"]) and any(fnmatchcase(resource, arn(of)) for of in as_list(said["Resource"]))
        for said in statements
    )


def arn(resource: Any) -> str:
    """A statement's resource with the parameters filled in; that of another resource of the template is none."""
    if isinstance(resource, dict) and "Ref" in resource:
        return FILLED_IN.get(resource["Ref"], "other")
    text = resource if isinstance(resource, str) else resource.get("Fn::Sub", "")
    text, given = (text, {}) if isinstance(text, str) else text
    known = {**FILLED_IN, **{name: arn(value) for name, value in given.items()}}
    return re.sub(r"\$\{([\w:]+)\}", lambda found: known.get(found[1], "other"), text)


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


STACK = {
    "StackName": "loadingbay", "StackStatus": "CREATE_COMPLETE", "CreationTime": datetime(2026, 11, 3, tzinfo=UTC),
    "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items()],
}  # fmt: skip


def deployment(there: bool) -> list[Call]:
    """What `loadingbay deploy` calls, the first time or once the stack and the bucket for packages are there."""
    deployed = [there]

    def stacks() -> dict[str, Any]:
        if deployed[0]:
            return {"Stacks": [STACK]}
        return {"Error": {"Code": "ValidationError", "Message": "Stack with id loadingbay does not exist"}}

    def executed() -> dict[str, Any]:
        deployed[0] = True
        return {}

    cloud = Cloud(
        {
            "GetCallerIdentity": {"Account": "000000000000"},
            "DescribeStacks": stacks,
            "CreateChangeSet": {"Id": "arn:aws:cloudformation:us-east-1:000000000000:changeSet/c/1"},
            "DescribeChangeSet": {"Status": "CREATE_COMPLETE"},
            "ExecuteChangeSet": executed,
            **{name: {} for name in ("CreateBucket", "PutPublicAccessBlock", "PutObject")},
            **({"HeadBucket": {}} if there else {}),
        }
    )
    target = Target("aws", None, "us-east-1")
    services = ("cloudformation", "s3", "sts")
    target.clients.update({service: cloud.client(service) for service in services})
    deploy(target)
    return cloud.calls


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


def test_every_role_is_passed_to_named_services_only_and_to_all_that_run_as_one():
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


def promotion(monkeypatch: pytest.MonkeyPatch, wanted: str = "", account: str = "000000000000") -> list[Call]:
    """What `python -m pipelines promote` calls when there is a version to promote, of a stage in this account."""
    bucket = f"staging-{account}-us-east-1"
    execution = f"s3://{bucket}/pipelines/staging/abc"
    version = {
        "ModelPackageArn": f"arn:aws:sagemaker:us-east-1:{account}:model-package/staging/7",
        "ModelPackageGroupName": "staging",
        "ModelPackageVersion": 7,
        "ModelApprovalStatus": "Approved",
        "CustomerMetadataProperties": {"verification": "passed"},
        "InferenceSpecification": {
            "Containers": [{"Image": IMAGE, "ModelDataUrl": f"{execution}/train/job/output/model.tar.gz"}]
        },
        "ModelMetrics": {
            "ModelQuality": {
                "Statistics": {
                    "ContentType": "application/json",
                    "S3Uri": f"{execution}/evaluate/evaluation/evaluation.json",
                }
            }
        },
    }
    cloud = Cloud(
        {
            "GetCallerIdentity": {"Account": "000000000000"},
            "ListModelPackages": {"ModelPackageSummaryList": [{"ModelPackageArn": version["ModelPackageArn"]}]},
            "DescribeModelPackage": version,
            "ListObjectsV2": {"Contents": [{"Key": "pipelines/staging/abc/evaluate/evaluation/evaluation.json"}]},
            "GetObject": lambda: {"Body": io.BytesIO(b"{}")},
            "PutObject": {},
            "CreateModelPackage": {"ModelPackageArn": PACKAGE},
            "UpdateModelPackage": {},
            "CreatePipeline": {},
        }
    )
    monkeypatch.setattr(pipelines, "_outputs", own_outputs)
    named = ["--version", wanted] if wanted else []
    named += ["--from-account", account] if account != "000000000000" else []
    return run(cloud, monkeypatch, "promote", "--from", "staging", "--stage", "loadingbay", *named)


def own_outputs(stack: str) -> dict[str, str]:
    assert stack == "loadingbay", "a stack of another account cannot be read"
    return OUTPUTS


@pytest.mark.parametrize("account", ["000000000000", "111111111111"])
@pytest.mark.parametrize("named", [False, True])
def test_a_build_that_promotes_may_do_each_call_of_the_promotion(monkeypatch, named, account):
    wanted = f"arn:aws:sagemaker:us-east-1:{account}:model-package/staging/7" if named else ""
    calls = promotion(monkeypatch, wanted, account)
    operations = [operation for _, operation, _ in calls]
    assert operations.index("UpdateModelPackage") < operations.index("CreatePipeline")
    allowed = STATEMENTS + resolved(PROMOTING, holds=account != "000000000000")
    assert [need for call in calls for need in needed(call) if not granted(*need, allowed)] == []


def test_a_build_that_promotes_from_another_account_may_read_its_key_only_there():
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
