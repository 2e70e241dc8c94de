"""Resources that are made, changed and removed while a local cloud is killed, and what each of them is afterwards."""

import base64
import hashlib
import io
import json
import random
import time
import zipfile
from typing import Any

from botocore.exceptions import ClientError

from tests.e2e.faults import kill_objects
from tests.e2e.faults.kill_kind import (
    ACCOUNT,
    BUCKET,
    FUNCTION,
    QUEUE,
    ROLE,
    ROLE_OF_POLICIES,
    SMALL,
    TOPIC,
    VERSIONED,
    Clients,
    Kind,
    StackError,
    Value,
    queue_arn,
    topic_arn,
)  # fmt: skip


def _topic(clients: Clients, name: str, old: Value, new: Value) -> None:
    sns = clients("sns")
    if new is None:
        sns.delete_topic(TopicArn=topic_arn(name))
    elif old is None:
        sns.create_topic(Name=name, Attributes={"DisplayName": new})
    else:
        sns.set_topic_attributes(TopicArn=topic_arn(name), AttributeName="DisplayName", AttributeValue=new)


def _read_topic(clients: Clients, name: str) -> Value:
    return clients("sns").get_topic_attributes(TopicArn=topic_arn(name))["Attributes"]["DisplayName"]


def _subscription_of(clients: Clients, name: str) -> str | None:
    listed = clients("sns").list_subscriptions_by_topic(TopicArn=topic_arn(TOPIC))["Subscriptions"]
    return next((one["SubscriptionArn"] for one in listed if one["Endpoint"] == queue_arn(name)), None)


def _subscription(clients: Clients, name: str, old: Value, new: Value) -> None:
    sns = clients("sns")
    policy = json.dumps({"id": [new]})
    if old is None:
        sns.subscribe(
            TopicArn=topic_arn(TOPIC), Protocol="sqs", Endpoint=queue_arn(name), Attributes={"FilterPolicy": policy}
        )
        return
    arn = _subscription_of(clients, name)
    if new is None:
        sns.unsubscribe(SubscriptionArn=arn)
    else:
        sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue=policy)


def _read_subscription(clients: Clients, name: str) -> Value:
    arn = _subscription_of(clients, name)
    if arn is None:
        return None
    found = clients("sns").get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    return json.loads(found["FilterPolicy"])["id"][0]


def _schedule(clients: Clients, name: str, old: Value, new: Value) -> None:
    scheduler = clients("scheduler")
    if new is None:
        scheduler.delete_schedule(Name=name)
        return
    (scheduler.create_schedule if old is None else scheduler.update_schedule)(
        Name=name, ScheduleExpression="rate(5 days)", FlexibleTimeWindow={"Mode": "OFF"}, Description=new,
        Target={"Arn": queue_arn(QUEUE), "RoleArn": ROLE},
    )  # fmt: skip


def archive(text: str) -> bytes:
    """A function's archive; its handler returns `text`."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        made.writestr(zipfile.ZipInfo("app.py"), f"def handler(event, context):\n    return {text!r}\n")
    return data.getvalue()


def _code(clients: Clients, name: str, old: Value, new: Value) -> None:
    functions = clients("lambda")
    if new is None:
        functions.delete_function(FunctionName=name)
    elif old is None:
        functions.create_function(
            FunctionName=name, Runtime="python3.11", Role=ROLE, Handler="app.handler", Code={"ZipFile": archive(new)}
        )
    else:
        functions.update_function_code(FunctionName=name, ZipFile=archive(new))


def _read_code(clients: Clients, name: str) -> Value:
    told = clients("lambda").get_function_configuration(FunctionName=name)["CodeSha256"]
    return next((text for text in _CODES if _sha256(archive(text)) == told), f"another code: {told}")


def _sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _mapping_of(clients: Clients, name: str) -> dict[str, Any] | None:
    listed = clients("lambda").list_event_source_mappings(EventSourceArn=queue_arn(name))["EventSourceMappings"]
    return next(iter(listed), None)


def _mapping(clients: Clients, name: str, old: Value, new: Value) -> None:
    functions = clients("lambda")
    if old is None:
        functions.create_event_source_mapping(
            FunctionName=FUNCTION, EventSourceArn=queue_arn(name), BatchSize=int(str(new)), Enabled=False
        )
        return
    uuid = (_mapping_of(clients, name) or {})["UUID"]
    if new is None:
        functions.delete_event_source_mapping(UUID=uuid)
    else:
        functions.update_event_source_mapping(UUID=uuid, BatchSize=int(new))


def _read_mapping(clients: Clients, name: str) -> Value:
    found = _mapping_of(clients, name)
    return None if found is None else str(found["BatchSize"])


def _role(clients: Clients, name: str, old: Value, new: Value) -> None:
    iam = clients("iam")
    if new is None:
        iam.delete_role(RoleName=name)
    elif old is None:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}", Description=new)
    else:
        iam.update_role(RoleName=name, Description=new)


def _policy_document(sid: str) -> str:
    allowed = {"Sid": sid, "Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


def _policy(clients: Clients, name: str, old: Value, new: Value) -> None:
    iam = clients("iam")
    if new is None:
        iam.delete_role_policy(RoleName=ROLE_OF_POLICIES, PolicyName=name)
    else:
        iam.put_role_policy(RoleName=ROLE_OF_POLICIES, PolicyName=name, PolicyDocument=_policy_document(new))


def _read_policy(clients: Clients, name: str) -> Value:
    found = clients("iam").get_role_policy(RoleName=ROLE_OF_POLICIES, PolicyName=name)["PolicyDocument"]
    return found["Statement"][0]["Sid"]


def _retention(clients: Clients, name: str, old: Value, new: Value) -> None:
    logs = clients("logs")
    if new is None:
        logs.delete_log_group(logGroupName=name)
        return
    if old is None:
        logs.create_log_group(logGroupName=name)
    logs.put_retention_policy(logGroupName=name, retentionInDays=int(new))


def _read_retention(clients: Clients, name: str) -> Value:
    groups = clients("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return next((str(group.get("retentionInDays", 0)) for group in groups if group["logGroupName"] == name), None)


def _alarm(clients: Clients, name: str, old: Value, new: Value) -> None:
    cloudwatch = clients("cloudwatch")
    if new is None:
        cloudwatch.delete_alarms(AlarmNames=[name])
        return
    cloudwatch.put_metric_alarm(
        AlarmName=name, MetricName="none", Namespace="kinds", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=float(new), ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
    )  # fmt: skip


def _read_alarm(clients: Clients, name: str) -> Value:
    listed = clients("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(int(listed[0]["Threshold"])) if listed else None


def _alarm_state(clients: Clients, name: str, old: Value, new: Value) -> None:
    if old is None:
        _alarm(clients, name, None, "5")
    state = "ALARM" if int(str(new)) % 2 else "OK"
    clients("cloudwatch").set_alarm_state(AlarmName=name, StateValue=state, StateReason=str(new))


def _read_alarm_state(clients: Clients, name: str) -> Value:
    listed = clients("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    if not listed:
        return None
    reason, state = listed[0].get("StateReason", ""), listed[0]["StateValue"]
    if not reason.isdigit():
        return "0"
    return reason if state == ("ALARM" if int(reason) % 2 else "OK") else f"{state} {reason}"


def _metric(clients: Clients, name: str, old: Value, new: Value) -> None:
    value = int(str(new)) - int(old or 0)
    clients("cloudwatch").put_metric_data(Namespace="kinds", MetricData=[{"MetricName": name, "Value": value}])


def _read_metric(clients: Clients, name: str) -> Value:
    now = time.time()
    points = clients("cloudwatch").get_metric_statistics(
        Namespace="kinds", MetricName=name, StartTime=now - 86_400 * 2, EndTime=now + 3_600, Period=86_400,
        Statistics=["Sum"],
    )["Datapoints"]  # fmt: skip
    return str(int(sum(point["Sum"] for point in points))) if points else None


def _template(value: str) -> str:
    queue = {
        "Type": "AWS::SQS::Queue",
        "Properties": {"QueueName": {"Ref": "AWS::StackName"}, "DelaySeconds": int(value)},
    }
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": value}}
    return json.dumps({"Resources": {"Queue": queue, "Topic": topic}})


def _stack_of(clients: Clients, name: str) -> dict[str, Any] | None:
    """A stack once it is not changing; None if it is not there."""
    deadline = time.monotonic() + 20
    while True:
        try:
            found: dict[str, Any] = clients("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        if not found["StackStatus"].endswith("_IN_PROGRESS"):
            return None if found["StackStatus"] == "DELETE_COMPLETE" else found
        if time.monotonic() > deadline:
            raise StackError(f"{name} stays {found['StackStatus']}")
        time.sleep(0.05)


def _stack(clients: Clients, name: str, old: Value, new: Value) -> None:
    cloudformation = clients("cloudformation")
    if new is None or old == "failed":
        cloudformation.delete_stack(StackName=name)
        if (left := _stack_of(clients, name)) is not None:
            raise StackError(f"{name} is {left['StackStatus']} after its deletion")
        old = None
    if new is not None:
        act = cloudformation.create_stack if old is None else cloudformation.update_stack
        act(StackName=name, TemplateBody=_template(new))
        left = _stack_of(clients, name)
        if left is None or not left["StackStatus"].endswith(("CREATE_COMPLETE", "UPDATE_COMPLETE")):
            raise StackError(f"{name} is {left and left['StackStatus']}: {left and left.get('StackStatusReason')}")


def _read_stack(clients: Clients, name: str) -> Value:
    found = _stack_of(clients, name)
    if found is None:
        return None
    if not found["StackStatus"].endswith("_COMPLETE"):
        return "failed"
    sqs = clients("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    delay = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])["Attributes"]["DelaySeconds"]
    listed = clients("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    topic = next(one["PhysicalResourceId"] for one in listed if one["LogicalResourceId"] == "Topic")
    shown = clients("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"]
    return delay if delay == shown else f"queue {delay}, topic {shown}"


def _experiment(clients: Clients, name: str, old: Value, new: Value) -> None:
    sagemaker = clients("sagemaker")
    if new is None:
        sagemaker.delete_experiment(ExperimentName=name)
    elif old is None:
        sagemaker.create_experiment(ExperimentName=name, Description=new)
    else:
        sagemaker.update_experiment(ExperimentName=name, Description=new)


def _rule(clients: Clients, name: str, old: Value, new: Value) -> None:
    events = clients("events")
    if new is None:
        events.remove_targets(Rule=name, Ids=["t"])
        events.delete_rule(Name=name)
        return
    events.put_rule(Name=name, EventPattern='{"source": ["none"]}', Description=new)
    events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": queue_arn(QUEUE)}])


def _read_rule(clients: Clients, name: str) -> Value:
    return clients("events").describe_rule(Name=name)["Description"]


def _machine(clients: Clients, name: str, old: Value, new: Value) -> None:
    states, arn = clients("stepfunctions"), f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:{name}"
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": new, "End": True}}})
    if new is None:
        states.delete_state_machine(stateMachineArn=arn)
    elif old is None:
        states.create_state_machine(name=name, definition=definition, roleArn=ROLE)
    else:
        states.update_state_machine(stateMachineArn=arn, definition=definition)


def _read_machine(clients: Clients, name: str) -> Value:
    arn = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:{name}"
    return json.loads(clients("stepfunctions").describe_state_machine(stateMachineArn=arn)["definition"])["States"][
        "A"
    ]["Result"]


_CODES = tuple("abcdefgh")
_NUMBERS = tuple(str(number) for number in range(1, 10_000))
KINDS: dict[str, Kind] = {
    **kill_objects.KINDS,
    "topics": Kind(_topic, _read_topic),
    "subscriptions": Kind(_subscription, _read_subscription),
    "schedules": Kind(_schedule, lambda clients, name: clients("scheduler").get_schedule(Name=name)["Description"]),
    "codes": Kind(_code, _read_code, values=_CODES),
    "mappings": Kind(_mapping, _read_mapping, values=tuple(str(number) for number in range(1, 11))),
    "roles": Kind(_role, lambda clients, name: clients("iam").get_role(RoleName=name)["Role"]["Description"]),
    "inline policies": Kind(_policy, _read_policy),
    "retention": Kind(_retention, _read_retention, between=("0",), values=("1", "3", "5", "7", "14", "30")),
    "alarms": Kind(_alarm, _read_alarm, values=SMALL),
    "alarm states": Kind(_alarm_state, _read_alarm_state, removed=False, between=("0",)),
    "metrics": Kind(_metric, _read_metric, removed=False),
    "stacks": Kind(_stack, _read_stack, between=("failed",), values=SMALL),
    "experiments": Kind(
        _experiment, lambda clients, name: clients("sagemaker").describe_experiment(ExperimentName=name)["Description"]
    ),
    "rules with targets": Kind(_rule, _read_rule),
    "machines": Kind(_machine, _read_machine),
}


def name_of(kind: str, number: int) -> str:
    """The name of a resource; each number is one client's."""
    return f"kinds-{kind.replace(' ', '-')}-{number}"


def prepare(clients: Clients, most: int) -> None:
    """Make what the resources of up to `most` clients belong to."""
    s3, sqs = clients("s3"), clients("sqs")
    for bucket in (BUCKET, VERSIONED, *(name_of("lifecycles", number) for number in range(most))):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
    sqs.create_queue(QueueName=QUEUE)
    for number in range(most):
        s3.put_object(Bucket=BUCKET, Key=name_of("object tags", number), Body=b"tagged")
        for kind in ("mappings", "subscriptions"):
            sqs.create_queue(QueueName=name_of(kind, number))
    clients("sns").create_topic(Name=TOPIC)
    clients("iam").create_role(RoleName=ROLE_OF_POLICIES, AssumeRolePolicyDocument="{}")
    _code(clients, FUNCTION, None, "a")


def change(clients: Clients, kind: str, name: str, allowed: set[Value], chance: random.Random) -> None:
    """Give a resource another value. `allowed` are the values that it may have: several until the answer is there."""
    what, old = KINDS[kind], next(iter(allowed))
    if kind == "metrics":
        new: Value = str(int(old or 0) + chance.randrange(1, 50))
    elif what.removed and old not in (None, "failed") and chance.random() < 0.25:
        new = None
    else:
        new = chance.choice([value for value in what.values or _NUMBERS if value != old])
    allowed |= {new, None if old == "failed" else old, *what.between}
    what.write(clients, name, old, new)
    allowed.clear()
    allowed.add(new)
