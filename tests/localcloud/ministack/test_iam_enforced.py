"""A cloud that enforces IAM: whoever acts, acts within the policies of a role, and is told which action is missing."""

import io
import json
import uuid
import zipfile
from functools import partial
from typing import Any

import httpx
import pytest

from tests.localcloud.ministack.iam_roles import ACCOUNT, ALLOW_S3, SAGEMAKER, Roles, document, refusal
from tests.localcloud.pipeline_kit import Kit
from tests.waiting import ended, soon

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


# State machines and rules


def machine(roles: Roles, role: str, state: dict[str, Any]) -> dict[str, Any]:
    """The execution of a machine of one state, a task if it says no other type, in the name of a role."""
    states = roles.cloud.client("stepfunctions")
    definition = {"StartAt": "Only", "States": {"Only": {"Type": "Task", "End": True, **state}}}
    arn = states.create_state_machine(
        name=f"m-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=role
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=arn)["executionArn"]
    return ended(states, execution)


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


def test_a_map_reads_its_items_in_the_name_of_the_machines_role(roles: Roles) -> None:
    bucket = f"b-{uuid.uuid4().hex[:8]}"
    s3 = roles.cloud.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="photo.png", Body=b"photo")
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
    child = {"ProcessorConfig": config, "StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    reader = {"Resource": "arn:aws:states:::s3:listObjectsV2", "Parameters": {"Bucket": bucket}}
    state = {"Type": "Map", "ItemReader": reader, "ItemProcessor": child}
    start = {"Action": "states:StartExecution", "Resource": "*"}
    read = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"}
    done = machine(roles, roles.make(start, read, service="states.amazonaws.com"), state)
    assert [one["Key"] for one in json.loads(done["output"])] == ["photo.png"]
    refused = machine(roles, roles.make(start, service="states.amazonaws.com"), state)
    assert "because no identity-based policy allows the s3:ListBucket action" in refused["cause"]


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
    assert soon(lambda: states.list_executions(stateMachineArn=started[True])["executions"])
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

    def status() -> str:
        return str(stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])

    assert soon(lambda: status() != "CREATE_IN_PROGRESS")
    reasons = [
        event.get("ResourceStatusReason", "") for event in stacks.describe_stack_events(StackName=name)["StackEvents"]
    ]
    assert status() != "CREATE_COMPLETE"
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
