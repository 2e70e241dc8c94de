"""The calls of a build to AWS, the IAM actions they need, and what the policies of the build role grant."""

import io
import json
import re
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from click.testing import CliRunner
from samtranslator.yaml_helper import yaml_parse

from loadingbay.stack.deploy import deploy
from loadingbay.target import Target
from pipelines import __main__ as pipelines
from tests.workflow.application import ROOT, as_list
from tests.workflow.dependencies import resolved

CICD = yaml_parse((ROOT / "workflow" / "cicd.yaml").read_text())["Resources"]
POLICIES = CICD["BuildRole"]["Properties"]["Policies"]
(PROMOTING,) = [policy["Fn::If"][1]["PolicyDocument"]["Statement"] for policy in POLICIES if "Fn::If" in policy]
MANAGED = [CICD[policy["Ref"]]["Properties"] for policy in CICD["BuildRole"]["Properties"]["ManagedPolicyArns"]]
# The build of a stage that trains has those without a condition; that of one that promotes has the others too.
SAID = [
    said
    for policy in [*POLICIES, *MANAGED]
    if "Fn::If" not in policy
    for said in resolved(policy["PolicyDocument"]["Statement"], holds=True)
]
STATEMENTS = [said for said in SAID if said["Effect"] == "Allow"]
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
"""A request: signing name of the service, operation, parameters."""


class Cloud:
    """Answers as an AWS where `answers` is what there is; an operation without an answer finds nothing."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.calls: list[Call] = []

    def client(self, service: str) -> Any:
        """A client whose requests are checked by botocore, noted, and answered by `answers`."""
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
    "ListModelPackages": {
        "ModelPackageSummaryList": [
            {
                "ModelPackageArn": PACKAGE,
                "ModelPackageVersion": 7,
                "ModelApprovalStatus": "Approved",
                "CreationTime": datetime.now(UTC),
            }
        ]
    },
    "DescribeModelPackage": {
        "ModelPackageArn": PACKAGE,
        "ModelPackageVersion": 7,
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
