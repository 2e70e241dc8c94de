"""The story within the roles of the template, IAM enforced; and which step fails without a permission, and says so."""

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadingbay.serving.photos import FOR_REVIEW
from tests.fakes.signing import signed
from tests.waiting import ended, soon

pytestmark = pytest.mark.apart

_MISSING = "without it S3 answers 403, not 404, for what is not there"
_REGION = "SageMaker looks for the bucket's region"
_ALARMS = "SageMaker reads the alarms that roll an update back"
_LARGE = "a file that is sent in parts"
_DELIVERY = "Step Functions sends its log; MiniStack keeps none"
_TRACE = "MiniStack traces nothing"
_SCALING = "an endpoint that scales by itself"
_FOLLOWED = "SageMaker Pipelines asks how the job is; the local engine is told"
_TAGGED = "SageMaker Pipelines tags what it creates"
_LASTING = "violations that last, and enough labels"
_PRUNED = "once an hour what older versions left is pruned"
# Granted, and not asked for in this story: why the role needs it all the same. By the role's logical name, "" is any.
UNASKED = {
    "": {
        "logs:CreateLogStream": "of a Lambda: MiniStack writes its log itself",
        "logs:PutLogEvents": "of a Lambda: MiniStack writes its log itself",
        "logs:CreateLogDelivery": _DELIVERY,
        "logs:GetLogDelivery": _DELIVERY,
        "logs:UpdateLogDelivery": _DELIVERY,
        "logs:DeleteLogDelivery": _DELIVERY,
        "logs:ListLogDeliveries": _DELIVERY,
        "logs:PutResourcePolicy": _DELIVERY,
        "logs:DescribeResourcePolicies": _DELIVERY,
        "logs:DescribeLogGroups": _DELIVERY,
        "xray:PutTraceSegments": _TRACE,
        "xray:PutTelemetryRecords": _TRACE,
        "xray:GetSamplingRules": _TRACE,
        "xray:GetSamplingTargets": _TRACE,
        "cloudwatch:PutMetricData": "of a container: the local cloud writes SageMaker's metrics itself",
    },
    "PipelineRole": {
        "s3:AbortMultipartUpload": _LARGE,
        "s3:GetBucketLocation": _REGION,
        "sagemaker:DescribeProcessingJob": _FOLLOWED,
        "sagemaker:DescribeTrainingJob": _FOLLOWED,
        "sagemaker:StopProcessingJob": "an execution that is stopped stops its jobs",
        "sagemaker:StopTrainingJob": "an execution that is stopped stops its jobs",
        "sagemaker:AddTags": _TAGGED,
        "sagemaker:ListTags": _TAGGED,
    },
    "EndpointRole": {
        "s3:GetBucketLocation": _REGION,
        "s3:ListBucket": _MISSING,
        "cloudwatch:DescribeAlarms": _ALARMS,
    },
    "SerializeImageRole": {
        "s3:ListBucket": _MISSING,
        "s3:GetObjectVersion": "the event of a photo that arrives names its version on AWS; MiniStack's does not",
    },
    "ClassifyImageRole": {
        "s3:ListBucket": _MISSING,
        "s3:GetObject": "a photo that is too large to travel inline",
        "s3:GetObjectVersion": "a photo that is too large to travel inline",
    },
    "BulkInferenceRole": {
        "s3:AbortMultipartUpload": _LARGE,
        "s3:ListMultipartUploadParts": _LARGE,
        "s3:GetObject": "Step Functions reads the results that it has begun to write",
        "sqs:SendMessage": "a photo that the model is not sure about; there may be none among four",
        "states:DescribeExecution": "Step Functions follows the children",
        "states:RedriveExecution": "a bulk that is redriven redrives the children that failed",
        "states:StopExecution": "a Map that fails stops its children",
    },
    "DeployModelRole": {
        "sagemaker:ListEndpointConfigs": "removing what a shadow or a version left that is long out of service",
        "cloudwatch:DescribeAlarms": _ALARMS,
        "sagemaker:UpdateModelPackage": "a version that cannot serve is rejected",
        "sagemaker:DeleteEndpoint": "an endpoint that failed is made anew",
        "application-autoscaling:DeregisterScalableTarget": _SCALING,
        "application-autoscaling:PutScalingPolicy": _SCALING,
        "application-autoscaling:RegisterScalableTarget": _SCALING,
        "cloudwatch:DeleteAlarms": _SCALING,
        "cloudwatch:PutMetricAlarm": _SCALING,
        "sagemaker:UpdateEndpointWeightsAndCapacities": _SCALING,
        "sagemaker:DescribeEndpointConfig": _SCALING,
        "sagemaker:DeleteEndpointConfig": _PRUNED,
        "sagemaker:DeleteModel": _PRUNED,
        "sagemaker:ListModels": _PRUNED,
        "sqs:SendMessage": "an event that could not be handled is a dead letter",
    },
    "VerifyEndpointRole": {"s3:ListBucket": _MISSING},
    "MonitoringRole": {
        "s3:AbortMultipartUpload": _LARGE,
        "s3:GetBucketLocation": _REGION,
        "sagemaker:DescribeProcessingJob": _FOLLOWED,
        "sagemaker:StopProcessingJob": "an execution that is stopped stops its jobs",
        "sagemaker:AddTags": _TAGGED,
        "sagemaker:ListTags": _TAGGED,
    },
    "MonitoringTimerRole": {"sagemaker:StartPipelineExecution": "the schedule's hour does not come in the story"},
    "WatchStreamRole": {
        "sns:Publish": "violations that last, over three periods",
        "sqs:SendMessage": "accepted photos of which nobody has said what they show",
    },
    "RetrainRole": {
        "sagemaker:DescribePipelineExecution": _LASTING,
        "sagemaker:StartPipelineExecution": _LASTING,
        "s3:PutObject": _LASTING,
        "sqs:SendMessage": "an event that could not be handled is a dead letter",
    },
    "WriteModelCardRole": {
        "s3:ListBucket": _MISSING,
        "sqs:SendMessage": "an event that could not be handled is a dead letter",
    },
}


class Guarded:
    """A bay that enforces IAM, and its roles."""

    def __init__(self, bay: Any) -> None:
        self.bay, self.iam = bay, bay.client("iam")
        paginator = bay.client("cloudformation").get_paginator("list_stack_resources")
        listed = [r for page in paginator.paginate(StackName="loadingbay") for r in page["StackResourceSummaries"]]
        self.roles = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in listed
            if resource["ResourceType"] == "AWS::IAM::Role"
        }

    def policies(self, role: str) -> dict[str, dict[str, Any]]:
        """The documents of a role by their names."""
        names = self.iam.list_role_policies(RoleName=self.roles[role])["PolicyNames"]
        return {
            name: self.iam.get_role_policy(RoleName=self.roles[role], PolicyName=name)["PolicyDocument"]
            for name in names
        }

    def put(self, role: str, name: str, document: dict[str, Any]) -> None:
        text = json.dumps(document)
        self.iam.put_role_policy(RoleName=self.roles[role], PolicyName=name, PolicyDocument=text)

    @contextmanager
    def without(self, role: str, action: str) -> Iterator[None]:
        """Take one action from a role, and give it back."""
        before = self.policies(role)
        changed = {
            name: {**document, "Statement": list(remaining(document, action))} for name, document in before.items()
        }
        assert changed != before, f"{role} has no {action}"
        try:
            for name, document in changed.items():
                if document["Statement"]:
                    self.put(role, name, document)
                else:
                    self.iam.delete_role_policy(RoleName=self.roles[role], PolicyName=name)
            yield
        finally:
            for name, document in before.items():
                self.put(role, name, document)

    def access(self) -> dict[str, Any]:
        """What was allowed and denied so far."""
        url = f"{self.bay.url}/_localcloud/access"
        headers = signed(self.bay.secret, "GET", url)
        noted: dict[str, Any] = httpx.get(url, headers=headers, trust_env=False).json()
        return noted

    def denials(self, role: str) -> list[str]:
        return [denial["action"] for denial in self.access()["denied"] if denial["role"] == self.roles[role]]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def remaining(document: dict[str, Any], action: str) -> Iterator[dict[str, Any]]:
    """The statements of a policy without an action."""
    for statement in as_list(document["Statement"]):
        actions = [kept for kept in as_list(statement["Action"]) if kept != action]
        if actions:
            yield {**statement, "Action": actions}


@pytest.fixture(scope="module")
def guarded(bay: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    made = bay.another(tmp_path_factory.mktemp("guarded"), bay.data)
    made.up("--enforce-iam")
    yield made
    made.cli("down")


@pytest.fixture(scope="module")
def told(guarded: Any) -> dict[str, Any]:
    """The summary of a whole run of one epoch."""
    summary: dict[str, Any] = guarded.run("--approve", "--epochs", "1", "--minimum-accuracy", "0")
    return summary


@pytest.fixture(scope="module")
def roles(guarded: Any, told: dict[str, Any]) -> Guarded:
    return Guarded(guarded)


@pytest.fixture(scope="module")
def folder(roles: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four of the story's photos."""
    made = tmp_path_factory.mktemp("folder")
    for photo in sorted((roles.bay.folder / "runs" / "latest" / "photos").glob("*.png"))[:4]:
        shutil.copy(photo, made)
    return made


@pytest.fixture(scope="module")
def transformed(roles: Guarded, folder: Path) -> dict[str, Any]:
    """What `loadingbay transform` says of the photos of the folder."""
    for photo in folder.iterdir():
        roles.bay.client("s3").upload_file(str(photo), roles.bay.outputs()["BucketName"], f"bulk/mine/{photo.name}")
    said: dict[str, Any] = json.loads(roles.bay.cli("transform", "bulk/mine/", "--json").stdout)
    return said


@pytest.fixture(scope="module")
def story_access(roles: Guarded, folder: Path, transformed: dict[str, Any]) -> dict[str, Any]:
    """What was allowed and denied in the story.

    The run, the photos of a folder by both ways of many, a photo that arrives by itself, monitoring, a second version.
    """
    assert transformed["photos"] == 4
    roles.bay.cli("bulk", folder)
    states, machine = roles.bay.client("stepfunctions"), roles.bay.outputs()["InferenceStateMachineArn"]
    before = len(states.list_executions(stateMachineArn=machine)["executions"])
    photo = next(folder.iterdir())
    roles.bay.client("s3").upload_file(str(photo), roles.bay.outputs()["BucketName"], "incoming/photo.png")
    assert soon(lambda: len(states.list_executions(stateMachineArn=machine)["executions"]) > before)
    sagemaker = roles.bay.client("sagemaker")
    arn = sagemaker.start_pipeline_execution(PipelineName="loadingbay-monitoring")["PipelineExecutionArn"]
    ended, failure = ended_as(sagemaker, arn)
    assert ended == "Succeeded", failure
    assert "the drift alarm is off" in roles.bay.cli("retrain", "--dry-run").stdout
    roles.bay.cli("approve", register_again(sagemaker))
    return roles.access()


def register_again(sagemaker: Any) -> int:
    """Register the first version's artifact once more, as a second version; its number."""
    (first,) = sagemaker.list_model_packages(ModelPackageGroupName="loadingbay")["ModelPackageSummaryList"]
    version = sagemaker.describe_model_package(ModelPackageName=first["ModelPackageArn"])
    copied = {name: version[name] for name in ("ModelPackageGroupName", "InferenceSpecification", "ModelMetrics")}
    made = sagemaker.create_model_package(**copied, ModelApprovalStatus="PendingManualApproval")
    return int(made["ModelPackageArn"].rsplit("/", 1)[1])


def ended_as(sagemaker: Any, arn: str) -> tuple[str, str]:
    """An execution's status once it ended, and why it failed."""

    def described() -> dict[str, Any]:
        found: dict[str, Any] = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        return found if found["PipelineExecutionStatus"] != "Executing" else {}

    found = soon(described, 300)
    assert found, f"{arn} did not end"
    return found["PipelineExecutionStatus"], found.get("FailureReason", "")


def classify(roles: Guarded, told: dict[str, Any]) -> dict[str, Any]:
    """An execution of the inference machine for one of the story's photos, once it ended."""
    states, machine = roles.bay.client("stepfunctions"), roles.bay.outputs()["InferenceStateMachineArn"]
    key = f"{uuid.uuid4().hex}.png"
    photo = next((roles.bay.folder / "runs" / "latest" / "photos").glob("*.png"))
    roles.bay.client("s3").upload_file(str(photo), roles.bay.outputs()["BucketName"], key)
    given = json.dumps({"bucket": roles.bay.outputs()["BucketName"], "key": key})
    arn = states.start_execution(stateMachineArn=machine, input=given)["executionArn"]
    execution = ended(states, arn)
    history = states.get_execution_history(executionArn=arn)["events"]
    entered = [e["stateEnteredEventDetails"]["name"] for e in history if "stateEnteredEventDetails" in e]
    return {**execution, "last": entered[-1]}


def start(roles: Guarded, told: dict[str, Any], **parameters: str) -> dict[str, dict[str, Any]]:
    """Run the story's pipeline again with changes; its steps."""
    sagemaker = roles.bay.client("sagemaker")
    before = sagemaker.list_pipeline_parameters_for_execution(
        PipelineExecutionArn=told["pipeline_execution_arn"], MaxResults=50
    )["PipelineParameters"]
    given = {parameter["Name"]: parameter["Value"] for parameter in before} | parameters
    arn = sagemaker.start_pipeline_execution(
        PipelineName="loadingbay", PipelineParameters=[{"Name": name, "Value": value} for name, value in given.items()]
    )["PipelineExecutionArn"]
    ended_as(sagemaker, arn)
    steps: dict[str, dict[str, Any]] = roles.bay.steps(arn)
    return steps


def test_the_whole_story_is_told_within_the_roles(told: dict[str, Any], story_access: dict[str, Any]) -> None:
    assert len(told["executions"]) >= 40
    assert {execution["error"] for execution in told["executions"]} <= {None, *FOR_REVIEW}
    assert Path(told["report"]).name == "report.png"
    assert story_access["denied"] == []


def test_no_role_is_granted_what_the_story_does_not_ask_for(roles: Guarded, story_access: dict[str, Any]) -> None:
    unasked = {}
    for role, physical in roles.roles.items():
        statements = [s for document in roles.policies(role).values() for s in as_list(document["Statement"])]
        granted = {action for statement in statements for action in as_list(statement["Action"])}
        known = set(UNASKED[""]) | set(UNASKED.get(role, {}))
        unasked[role] = sorted(granted - set(story_access["allowed"].get(physical, [])) - known)
    assert {role: actions for role, actions in unasked.items() if actions} == {}


def test_a_transform_job_answers_as_the_endpoint_does(
    roles: Guarded, folder: Path, transformed: dict[str, Any]
) -> None:
    assert transformed["version"] == 1
    bucket, prefix = transformed["results"].removeprefix("s3://").split("/", 1)
    runtime = roles.bay.client("sagemaker-runtime")
    for photo in folder.iterdir():
        answer = runtime.invoke_endpoint(EndpointName="loadingbay", Body=photo.read_bytes(), ContentType="image/png")
        asked = json.load(answer["Body"])["predictions"]
        found = json.load(roles.bay.client("s3").get_object(Bucket=bucket, Key=f"{prefix}{photo.name}.out")["Body"])
        assert found["predictions"][0]["label"] == asked[0]["label"]
        assert found["predictions"][0]["probabilities"] == pytest.approx(asked[0]["probabilities"], abs=1e-5)


@pytest.mark.parametrize(
    ("role", "action", "state"),
    [
        ("SerializeImageRole", "s3:GetObject", "SerializeImage"),
        ("ClassifyImageRole", "sagemaker:InvokeEndpoint", "ClassifyImage"),
    ],
)
def test_a_photo_is_not_classified_without(
    roles: Guarded, told: dict[str, Any], role: str, action: str, state: str
) -> None:
    with roles.without(role, action):
        execution = classify(roles, told)
    assert (execution["status"], execution["last"]) == ("FAILED", state)
    assert f"{roles.roles[role]}/" in execution["cause"]
    assert f"is not authorized to perform: {action} on resource: " in execution["cause"]
    assert f"because no identity-based policy allows the {action} action" in execution["cause"]


@pytest.mark.parametrize(
    ("action", "step", "changes"),
    [
        ("sagemaker:CreateProcessingJob", "Stage", {"Seed": "2"}),
        ("iam:PassRole", "Stage", {"Seed": "2"}),
        ("s3:ListBucket", "Stage", {"Seed": "2"}),
        ("s3:PutObject", "Stage", {"Seed": "2"}),
        ("sagemaker:CreateTrainingJob", "Train", {"LearningRate": "0.02"}),
        ("sagemaker:CreateModelPackage", "Register", {}),
    ],
)
def test_the_pipeline_stops_without(
    roles: Guarded, told: dict[str, Any], action: str, step: str, changes: dict[str, str]
) -> None:
    with roles.without("PipelineRole", action):
        steps = start(roles, told, **changes)
    failed = {name: done for name, done in steps.items() if done["StepStatus"] == "Failed"}
    assert list(failed) == [step]
    reason = failed[step]["FailureReason"]
    assert f"{roles.roles['PipelineRole']}/SageMaker is not authorized to perform: {action} on resource: " in reason
    assert f"because no identity-based policy allows the {action} action" in reason


@pytest.mark.parametrize("action", ["sagemaker:ListModelPackages", "sagemaker:DescribeEndpoint"])
def test_nothing_is_deployed_without(roles: Guarded, action: str) -> None:
    functions = roles.bay.client("lambda")
    with roles.without("DeployModelRole", action):
        answer = functions.invoke(FunctionName="loadingbay-deploy-model", Payload=b"{}")
    assert "FunctionError" in answer
    message = json.loads(answer["Payload"].read())["errorMessage"]
    assert f"not authorized to perform: {action} on resource: arn:aws:sagemaker:" in message
    assert "FunctionError" not in functions.invoke(FunctionName="loadingbay-deploy-model", Payload=b"{}")


def test_answers_are_not_captured_without(roles: Guarded, told: dict[str, Any]) -> None:
    with roles.without("EndpointRole", "s3:PutObject"):
        classify(roles, told)
        assert soon(lambda: "s3:PutObject" in roles.denials("EndpointRole"))
