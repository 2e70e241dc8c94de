"""A cloud that enforces IAM: whoever acts, acts within the policies of a role, and is told which action is missing."""

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import BUCKET, Kit

ACCOUNT = "arn:aws:iam::000000000000"
SAGEMAKER = "arn:aws:sagemaker:us-east-1:000000000000"
ALLOW_S3 = {"Action": "s3:*", "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]}
ALLOW_LOGS = {"Action": "logs:*", "Resource": "*"}
STEP = {"Action": ["sagemaker:CreateProcessingJob"], "Resource": f"{SAGEMAKER}:processing-job/*"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}
    )


def trust(service: str, **condition: Any) -> str:
    return document({"Principal": {"Service": service}, "Action": "sts:AssumeRole", **condition})


class Roles:
    """Roles with names of their own."""

    def __init__(self, cloud: Any) -> None:
        self.cloud, self.iam = cloud, cloud.client("iam")

    def make(
        self, *statements: dict[str, Any], service: str = "sagemaker.amazonaws.com", trusted: str = "", **members: Any
    ) -> str:
        """A role with these statements; its ARN."""
        name = f"role-{uuid.uuid4().hex[:8]}"
        policy = trusted or trust(service, Condition={"StringEquals": {"aws:SourceAccount": "000000000000"}})
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy, **members)
        if statements:
            self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
        return f"{ACCOUNT}:role/{name}"

    def allow_passing_itself(self, role: str, *statements: dict[str, Any]) -> None:
        passing: dict[str, Any] = {"Action": "iam:PassRole", "Resource": role}
        passing["Condition"] = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
        self.iam.put_role_policy(
            RoleName=role.rpartition("/")[2], PolicyName="p", PolicyDocument=document(passing, *statements)
        )

    def session(self, *statements: dict[str, Any], **members: Any) -> Callable[[str], Any]:
        """Clients of somebody who assumed a role with these statements."""
        trusted = document({"Principal": {"AWS": f"{ACCOUNT}:root"}, "Action": "sts:AssumeRole"})
        role = self.make(*statements, trusted=trusted, **members)
        given = self.cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
        return lambda service: self.client(
            service, given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
        )

    def client(self, service: str, key: str, secret: str, token: str | None = None) -> Any:
        return boto3.client(
            service, endpoint_url=self.cloud.url, region_name="us-east-1", aws_access_key_id=key,
            aws_secret_access_key=secret, aws_session_token=token,
            config=Config(retries={"max_attempts": 0}, inject_host_prefix=False, s3={"addressing_style": "path"}),
        )  # fmt: skip


@pytest.fixture
def roles(guarded_cloud: Any) -> Roles:
    return Roles(guarded_cloud)


@pytest.fixture
def kit(guarded_cloud: Any) -> Kit:
    return Kit(guarded_cloud)


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


# Callers of SageMaker


def test_the_accounts_owner_may_do_all(guarded_cloud: Any) -> None:
    assert "Endpoints" in guarded_cloud.client("sagemaker").list_endpoints()


def test_a_role_may_do_what_its_policy_allows_and_nothing_else(roles: Roles) -> None:
    sagemaker = roles.session({"Action": "sagemaker:List*", "Resource": "*"})("sagemaker")
    assert "Models" in sagemaker.list_models()
    code, message = refusal(lambda: sagemaker.describe_endpoint(EndpointName="bay"))
    assert code == "AccessDeniedException"
    assert message.startswith("User: arn:aws:sts::000000000000:assumed-role/role-")
    assert message.endswith(
        f"/me is not authorized to perform: sagemaker:DescribeEndpoint on resource: {SAGEMAKER}:endpoint/bay "
        "because no identity-based policy allows the sagemaker:DescribeEndpoint action"
    )


def test_an_explicit_deny_wins(roles: Roles) -> None:
    sagemaker = roles.session(
        {"Action": "sagemaker:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "sagemaker:ListModels", "Resource": "*"},
    )("sagemaker")
    assert "Endpoints" in sagemaker.list_endpoints()
    assert refusal(sagemaker.list_models)[1].endswith("with an explicit deny in an identity-based policy")


def test_a_boundary_bounds(roles: Roles) -> None:
    name = f"boundary-{uuid.uuid4().hex[:8]}"
    roles.iam.create_policy(
        PolicyName=name, PolicyDocument=document({"Action": "sagemaker:ListModels", "Resource": "*"})
    )
    session = roles.session({"Action": "sagemaker:*", "Resource": "*"}, PermissionsBoundary=f"{ACCOUNT}:policy/{name}")(
        "sagemaker"
    )
    assert "Models" in session.list_models()
    assert refusal(session.list_endpoints)[0] == "AccessDeniedException"


def test_a_role_cannot_be_handed_over_without_permission_to_pass_it(roles: Roles, kit: Kit) -> None:
    job = roles.make(ALLOW_S3)
    request = {"ProcessingJobName": kit.prefix, "RoleArn": job, **kit.processing("job", "")["Arguments"]}
    create = {"Action": "sagemaker:CreateProcessingJob", "Resource": f"{SAGEMAKER}:processing-job/*"}
    sagemaker = roles.session(create)("sagemaker")
    code, message = refusal(lambda: sagemaker.create_processing_job(**request))
    assert code == "AccessDeniedException"
    assert f"is not authorized to perform: iam:PassRole on resource: {job} because" in message
    elsewhere = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    other = roles.session(create, {"Action": "iam:PassRole", "Resource": job, "Condition": elsewhere})("sagemaker")
    assert "iam:PassRole" in refusal(lambda: other.create_processing_job(**request))[1]


def test_credentials_that_nobody_gave_are_refused(roles: Roles) -> None:
    code, _ = refusal(roles.client("sagemaker", "AKIAUNKNOWN000000000", "secret").list_models)
    assert code == "UnrecognizedClientException"


def test_a_wrong_signature_is_refused(roles: Roles) -> None:
    given = roles.session({"Action": "sagemaker:*", "Resource": "*"})("sagemaker")._request_signer._credentials
    for service, call in (("sagemaker", "list_models"), ("sagemaker-runtime", "invoke_endpoint")):
        forged = roles.client(service, given.access_key, "not the secret", given.token)
        request = {"EndpointName": "bay", "Body": b""} if call == "invoke_endpoint" else {}
        code, _ = refusal(partial(getattr(forged, call), **request))
        assert "Signature" in code


def test_a_request_without_a_signature_is_refused(guarded_cloud: Any) -> None:
    for path, headers in (("/", {"X-Amz-Target": "SageMaker.ListModels"}), ("/endpoints/bay/invocations", {})):
        answer = httpx.post(f"{guarded_cloud.url}{path}", content=b"{}", headers=headers, trust_env=False)
        assert answer.status_code in (400, 403)
        assert "Authentication Token" in answer.text


def test_an_endpoint_is_invoked_only_by_who_may(roles: Roles) -> None:
    runtime = roles.session({"Action": "sagemaker:InvokeEndpoint", "Resource": f"{SAGEMAKER}:endpoint/mine"})(
        "sagemaker-runtime"
    )
    code, message = refusal(lambda: runtime.invoke_endpoint(EndpointName="other", Body=b""))
    assert code == "AccessDeniedException"
    assert f"sagemaker:InvokeEndpoint on resource: {SAGEMAKER}:endpoint/other because" in message
    # Allowed, and so it learns that there is no such endpoint.
    assert refusal(lambda: runtime.invoke_endpoint(EndpointName="mine", Body=b""))[0] == "ValidationError"


# Jobs and steps


def test_a_jobs_files_are_read_and_written_in_its_roles_name(roles: Roles, kit: Kit) -> None:
    script = """
import boto3, pathlib
print(boto3.client("sts").get_caller_identity()["Arn"])
(pathlib.Path("/opt/ml/processing/out") / "a").write_text("a")
"""
    role = roles.make(ALLOW_S3, ALLOW_LOGS)
    name = kit.processing_job(script, RoleArn=role)
    assert kit.wait_job(name)["ProcessingJobStatus"] == "Completed"
    assert kit.get("out/job/a") == b"a"
    kit.wait_log(name, f"arn:aws:sts::000000000000:assumed-role/{role.rpartition('/')[2]}/SageMaker")


@pytest.mark.parametrize(("lacks", "says"), [("s3:GetObject", "cannot be downloaded"), ("s3:PutObject", "uploaded")])
def test_a_job_whose_role_lacks_an_action_fails_and_names_it(roles: Roles, kit: Kit, lacks: str, says: str) -> None:
    script = "open('/opt/ml/processing/out/a', 'w').write('a')"
    role = roles.make(ALLOW_S3, {"Effect": "Deny", "Action": lacks, "Resource": "*"})
    job = kit.wait_job(kit.processing_job(script, RoleArn=role))
    assert job["ProcessingJobStatus"] == "Failed"
    assert says in job["FailureReason"]
    assert (
        f'is not authorized to perform: {lacks} on resource: "arn:aws:s3:::{BUCKET}/{kit.prefix}/'
        in job["FailureReason"]
    )


def test_what_a_job_calls_is_held_to_its_role(roles: Roles, kit: Kit) -> None:
    script = "import boto3; boto3.client('sqs').create_queue(QueueName='mine')"
    job = kit.wait_job(kit.processing_job(script, RoleArn=roles.make(ALLOW_S3)))
    assert job["ProcessingJobStatus"] == "Failed"
    assert "not authorized to perform: sqs:CreateQueue" in job["FailureReason"]


def test_credentials_of_a_job_are_worth_nothing_once_it_ended(roles: Roles, kit: Kit) -> None:
    script = """
import json, os, pathlib
names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
(pathlib.Path("/opt/ml/processing/out") / "keys").write_text(json.dumps([os.environ[name] for name in names]))
"""
    kit.wait_job(kit.processing_job(script, RoleArn=roles.make(ALLOW_S3)))
    kept = roles.client("s3", *json.loads(kit.get("out/job/keys")))
    assert refusal(lambda: kept.list_objects_v2(Bucket=BUCKET))[0] == "InvalidAccessKeyId"


def test_a_role_that_does_not_trust_sagemaker_runs_no_job(roles: Roles, kit: Kit) -> None:
    role = roles.make(ALLOW_S3, service="lambda.amazonaws.com")
    job = kit.wait_job(kit.processing_job("", RoleArn=role))
    assert (
        f"Could not assume role {role}. Please ensure that the role exists and allows principal" in job["FailureReason"]
    )


def test_a_role_that_trusts_sagemaker_of_another_account_runs_no_job(roles: Roles, kit: Kit) -> None:
    condition = {"StringEquals": {"aws:SourceAccount": "111111111111"}}
    role = roles.make(ALLOW_S3, trusted=trust("sagemaker.amazonaws.com", Condition=condition))
    assert "Could not assume role" in kit.wait_job(kit.processing_job("", RoleArn=role))["FailureReason"]


def test_an_image_that_the_role_may_not_pull_does_not_run(roles: Roles, kit: Kit) -> None:
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/bay:1"
    request = kit.processing("job", "")["Arguments"]
    request["AppSpecification"]["ImageUri"] = image
    kit.sm.create_processing_job(ProcessingJobName=kit.prefix, RoleArn=roles.make(ALLOW_S3), **request)
    reason = kit.wait_job(kit.prefix)["FailureReason"]
    assert "Cannot pull algorithm container" in reason
    assert "ecr:GetAuthorizationToken" in reason


def test_a_job_whose_role_may_not_write_logs_runs_without_one(roles: Roles, kit: Kit) -> None:
    name = kit.processing_job("print('words')", RoleArn=roles.make(ALLOW_S3))
    assert kit.wait_job(name)["ProcessingJobStatus"] == "Completed"
    time.sleep(0.5)  # lines are seen within 0.3 s
    assert kit.log(name) == []


def test_a_bucket_may_shut_a_role_out(roles: Roles, kit: Kit) -> None:
    bucket = f"shut-{uuid.uuid4().hex[:8]}"
    kit.s3.create_bucket(Bucket=bucket)
    kit.s3.put_bucket_policy(Bucket=bucket, Policy=document(
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*",
         "Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:sts::*:assumed-role/role-*"}}},
    ))  # fmt: skip
    s3 = roles.session({"Action": "s3:*", "Resource": "*"})("s3")
    code, message = refusal(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b""))
    assert (code, "with an explicit deny in a resource-based policy" in message) == ("AccessDenied", True)


def pipeline_role(roles: Roles, *statements: dict[str, Any]) -> str:
    role = roles.make()
    roles.allow_passing_itself(role, ALLOW_S3, ALLOW_LOGS, *statements)
    return role


def run(kit: Kit, role: str) -> dict[str, Any]:
    """The step of a pipeline of one, in the name of a role."""
    text = json.dumps({"Version": "2020-12-01", "Steps": [kit.processing("Work", "print('done')")]})
    kit.sm.create_pipeline(PipelineName=kit.prefix, PipelineDefinition=text, RoleArn=role)
    arn = kit.start()
    kit.wait(arn)
    return kit.steps(arn)["Work"]


def test_a_pipeline_runs_in_the_name_of_its_role(roles: Roles, kit: Kit) -> None:
    assert run(kit, pipeline_role(roles, STEP))["StepStatus"] == "Succeeded"


def test_a_step_that_the_role_may_not_start_fails_and_names_the_action(roles: Roles, kit: Kit) -> None:
    step = run(kit, pipeline_role(roles))
    assert step["StepStatus"] == "Failed"
    assert step["FailureReason"].startswith(
        "ClientError: Failed to invoke sagemaker:CreateProcessingJob. Error Details: "
    )
    assert "because no identity-based policy allows the sagemaker:CreateProcessingJob action" in step["FailureReason"]


def test_a_pipeline_whose_role_may_not_pass_itself_starts_no_job(roles: Roles, kit: Kit) -> None:
    assert "iam:PassRole" in run(kit, roles.make(ALLOW_S3, STEP))["FailureReason"]


# State machines and rules


def machine(roles: Roles, role: str, task: dict[str, Any]) -> dict[str, Any]:
    """The execution of a machine of one task, in the name of a role."""
    states = roles.cloud.client("stepfunctions")
    definition = {"StartAt": "Task", "States": {"Task": {"Type": "Task", "End": True, **task}}}
    arn = states.create_state_machine(
        name=f"m-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=role
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=arn)["executionArn"]
    deadline = time.monotonic() + 15
    while (described := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return dict(described)


def send(url: str) -> dict[str, Any]:
    return {"Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {"QueueUrl": url, "MessageBody": "m"}}


def test_a_task_is_done_in_the_name_of_the_machines_role(roles: Roles) -> None:
    name = f"q-{uuid.uuid4().hex[:8]}"
    url = roles.cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    allowed = {"Action": "sqs:SendMessage", "Resource": f"arn:aws:sqs:us-east-1:000000000000:{name}"}
    assert machine(roles, roles.make(allowed, service="states.amazonaws.com"), send(url))["status"] == "SUCCEEDED"
    refused = machine(roles, roles.make(service="states.amazonaws.com"), send(url))
    assert (refused["status"], refused["error"]) == ("FAILED", "SQS.AmazonSQSException")
    assert "because no identity-based policy allows the sqs:SendMessage action" in refused["cause"]


@pytest.mark.parametrize(
    ("resource", "parameters", "action"),
    [
        ("lambda:invoke", {"FunctionName": "f"}, "lambda:InvokeFunction"),
        ("aws-sdk:sagemakerruntime:invokeEndpoint", {"EndpointName": "e", "Body": "b"}, "sagemaker:InvokeEndpoint"),
        ("aws-sdk:s3:listObjectsV2", {"Bucket": "b"}, "s3:ListBucket"),
        ("states:startExecution", {"StateMachineArn": "arn:aws:states:::m"}, "states:StartExecution"),
    ],
)
def test_every_kind_of_task_is_asked_for(roles: Roles, resource: str, parameters: dict[str, str], action: str) -> None:
    task = {"Resource": f"arn:aws:states:::{resource}", "Parameters": parameters}
    assert (
        f"because no identity-based policy allows the {action} action"
        in machine(roles, roles.make(service="states.amazonaws.com"), task)["cause"]
    )


def test_a_rule_starts_a_machine_only_if_its_role_may(roles: Roles) -> None:
    states, events = roles.cloud.client("stepfunctions"), roles.cloud.client("events")
    passing = json.dumps({"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}})
    source, started = f"tests.{uuid.uuid4().hex[:8]}", {}
    for allowed in (True, False):
        arn = states.create_state_machine(
            name=f"m-{uuid.uuid4().hex[:8]}", definition=passing, roleArn=roles.make(service="states.amazonaws.com")
        )["stateMachineArn"]
        granted = [{"Action": "states:StartExecution", "Resource": arn}] if allowed else []
        events.put_rule(Name=f"r-{arn[-8:]}", EventPattern=json.dumps({"source": [source]}))
        target = {"Id": "t", "Arn": arn, "RoleArn": roles.make(*granted, service="events.amazonaws.com")}
        events.put_targets(Rule=f"r-{arn[-8:]}", Targets=[target])
        started[allowed] = arn
    events.put_events(Entries=[{"Source": source, "DetailType": "t", "Detail": "{}"}])
    deadline = time.monotonic() + 10
    while not states.list_executions(stateMachineArn=started[True])["executions"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert states.list_executions(stateMachineArn=started[False])["executions"] == []


def test_a_condition_on_the_source_of_an_event_is_kept(roles: Roles) -> None:
    bus = "arn:aws:events:us-east-1:000000000000:event-bus/default"
    said = {"events:source": "ours", "events:detail-type": "Said"}
    allowed = {"Action": "events:PutEvents", "Resource": bus, "Condition": {"StringEquals": said}}
    events = roles.session(allowed)("events")
    ours = {"Source": "ours", "DetailType": "Said", "Detail": "{}"}
    assert events.put_events(Entries=[ours])["FailedEntryCount"] == 0
    theirs = {**ours, "Source": "theirs"}
    for entries in ([theirs], [{**ours, "DetailType": "Other"}], [ours, theirs]):
        code, message = refusal(partial(events.put_events, Entries=entries))
        assert (code, "events:PutEvents" in message) == ("AccessDeniedException", True)


# What was decided


TRACED = {"TracingConfig": {"Mode": "Active"}}
IN_NETWORK = {"VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}
DEAD_LETTERS = {"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:dead"}}


@pytest.mark.parametrize(
    ("asks", "action", "words"),
    [
        (TRACED, "xray:PutTraceSegments", "PutTraceSegments on XRAY"),
        (IN_NETWORK, "ec2:*NetworkInterface*", "CreateNetworkInterface on EC2"),
        (DEAD_LETTERS, "sqs:SendMessage", "SendMessage on SQS"),
    ],
)
def test_a_function_whose_role_lacks_what_it_asks_for_is_refused(
    roles: Roles, asks: dict[str, Any], action: str, words: str
) -> None:
    name = f"asks-{uuid.uuid4().hex[:8]}"
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return 1\n")

    def create(*statements: dict[str, Any]) -> Any:
        return roles.cloud.client("lambda").create_function(
            FunctionName=name, Runtime="python3.11", Handler="app.handler", Code={"ZipFile": code.getvalue()},
            Role=roles.make(*statements, service="lambda.amazonaws.com"), **asks,
        )  # fmt: skip

    nothing = {"Action": "logs:*", "Resource": "*"}
    code_of_refusal, message = refusal(lambda: create(nothing))
    assert code_of_refusal == "InvalidParameterValueException"
    assert message == f"The provided execution role does not have permissions to call {words}"
    assert create({"Action": action, "Resource": "*"})["FunctionName"] == name


def test_a_stack_with_a_function_whose_role_may_not_trace_fails(roles: Roles) -> None:
    role = roles.make({"Action": "logs:*", "Resource": "*"}, service="lambda.amazonaws.com")
    properties = {
        "Runtime": "python3.11", "Handler": "index.handler", "Role": role, "Code": {"ZipFile": "def handler(*_): pass"},
        **TRACED,
    }  # fmt: skip
    template = {"Resources": {"Traced": {"Type": "AWS::Lambda::Function", "Properties": properties}}}
    stacks, name = roles.cloud.client("cloudformation"), f"traced-{uuid.uuid4().hex[:8]}"
    stacks.create_stack(StackName=name, TemplateBody=json.dumps(template), OnFailure="DO_NOTHING")
    deadline = time.monotonic() + 20
    while (stack := stacks.describe_stacks(StackName=name)["Stacks"][0])["StackStatus"] == "CREATE_IN_PROGRESS":
        assert time.monotonic() < deadline
        time.sleep(0.1)

    reasons = [
        event.get("ResourceStatusReason", "") for event in stacks.describe_stack_events(StackName=name)["StackEvents"]
    ]
    assert stack["StackStatus"] != "CREATE_COMPLETE"
    assert any("PutTraceSegments on XRAY" in reason for reason in reasons)


def test_decisions_are_noted_by_role(roles: Roles) -> None:
    session = roles.session({"Action": "sagemaker:ListModels", "Resource": "*"})("sagemaker")
    session.list_models()
    refusal(session.list_endpoints)
    noted = roles.cloud.ask("GET", "/_localcloud/access").json()
    last = noted["denied"][-1]
    assert (last["action"], last["resource"]) == ("sagemaker:ListEndpoints", "*")
    assert "sagemaker:ListModels" in noted["allowed"][last["role"]]


def test_a_cloud_that_does_not_enforce_says_so(cloud: Any) -> None:
    answer = cloud.ask("GET", "/_localcloud/access")
    assert answer.status_code == 404
    assert "--enforce-iam" in answer.json()["message"]


def test_what_a_condition_reads_from_s3_is_read_in_the_pipelines_name(roles: Roles, kit: Kit) -> None:
    result = kit.put("result.json", '{"accuracy": 0.9}')
    read = {"Std:JsonGet": {"S3Uri": result, "Path": "accuracy"}}
    check = {
        "Name": "Gate",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [{"Type": "GreaterThanOrEqualTo", "LeftValue": read, "RightValue": 0.5}],
            "IfSteps": [],
            "ElseSteps": [],
        },
    }
    text = json.dumps({"Version": "2020-12-01", "Steps": [check]})
    role = pipeline_role(roles)
    kit.sm.create_pipeline(PipelineName=kit.prefix, PipelineDefinition=text, RoleArn=role)
    arn = kit.start()
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    roles.allow_passing_itself(role, ALLOW_LOGS)
    arn = kit.start()
    kit.wait(arn)
    assert "not authorized to perform: s3:GetObject" in kit.steps(arn)["Gate"]["FailureReason"]
