"""Checks the role of each call that Step Functions, EventBridge and Lambda make to another service.

MiniStack makes these calls within the process, unsigned and unchecked; under `--enforce-iam` each is checked here
against the role of the state machine, of the rule's target, or of the function.
"""

from __future__ import annotations

import contextvars
import functools
import importlib
import inspect
import logging
from collections.abc import Callable
from typing import Any

from localcloud.iam.access import Need, NotAllowedError, Place, needs
from localcloud.ministack.emulator import Emulator
from localcloud.ministack.iam_evaluator import Evaluator
from localcloud.ministack.private_names import find_names
from localcloud.ministack.schedules import pipeline_request
from localcloud.settings import Settings

logger = logging.getLogger("localcloud")

_STATES, _EVENTS, _LAMBDA = "states.amazonaws.com", "events.amazonaws.com", "lambda.amazonaws.com"
_SCHEDULER = "scheduler.amazonaws.com"


def enforce_roles(evaluator: Evaluator, emulator: Emulator, settings: Settings) -> None:
    """Install the checks; call it after all integrations of Step Functions are registered."""
    roles = _Roles(evaluator, settings)
    _enforce_states(roles)
    _enforce_events(roles)
    _enforce_dead_letters(roles)
    _enforce_creation(roles, emulator)


class _Roles:
    def __init__(self, evaluator: Evaluator, settings: Settings) -> None:
        self.evaluator, self.settings = evaluator, settings
        self.place = Place(settings.account, settings.region)

    def check(self, role_arn: str, service: str, session: str, wanted: list[Need]) -> None:
        """Raise NotAllowedError unless `service`, acting as the role, is allowed all of `wanted`."""
        credentials = self.evaluator.assume(role_arn, service, session)
        try:
            for need in wanted:
                self.evaluator.require(credentials["AWS_ACCESS_KEY_ID"], need)
        finally:
            self.evaluator.forget(credentials["AWS_ACCESS_KEY_ID"])

    def arn(self, service: str, resource: str) -> str:
        """`resource` as an ARN of this account and region, unless it is one already."""
        if resource.startswith("arn:"):
            return resource
        return f"arn:aws:{service}:{self.settings.region}:{self.settings.account}:{resource}"


# Step Functions


def _enforce_states(roles: _Roles) -> None:
    """Check each task of a state machine, and what a Map reads and writes, against the machine's role."""
    states: Any = importlib.import_module("ministack.services.stepfunctions")
    find_names(
        states, "_execute_task", "_execute_map", "_call_lambda", "_SERVICE_DISPATCH", "_invoke_aws_sdk_integration",
        "_read_map_items", "_invoke_nested_start_execution", "_invoke_nested_start_execution_sync", "_state_machines",
        "_run_distributed_map", "_resolve_params_obj",
    )  # fmt: skip
    acting: contextvars.ContextVar[tuple[str, str]] = contextvars.ContextVar("acting")
    """Role ARN and session name of the execution that the current thread runs."""

    def as_execution(work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, which takes an `execution`, with `acting` set to the role of its state machine."""
        signature = inspect.signature(work)

        @functools.wraps(work)
        def run(*args: Any, **options: Any) -> Any:
            execution = signature.bind(*args, **options).arguments["execution"]
            machine = states._state_machines.get(_machine(execution)) or {}
            token = acting.set((machine.get("roleArn", ""), execution.get("name", "execution")))
            try:
                return work(*args, **options)
            finally:
                acting.reset(token)

        return run

    def checked(work: Callable[..., Any], wanted: Callable[..., list[Need]], error: str) -> Callable[..., Any]:
        """`work`, which fails with `error` unless the execution's role is allowed what `wanted` names."""

        @functools.wraps(work)
        def run(*args: Any, **options: Any) -> Any:
            role, session = acting.get()
            try:
                roles.check(role, _STATES, session[:64], wanted(*args))
            except NotAllowedError as denied:
                raise states._ExecutionError(error, f"{denied} (Status Code: 403)") from None
            return work(*args, **options)

        return run

    def map_needs(state: Any, value: Any, effective: Any, processor: Any, execution: Any, context: Any) -> list[Need]:
        """What the role must allow for a Map: to start its children or redrive them, and to write their results."""
        wanted = [Need("states:StartExecution", _machine(execution))]
        if redriven := state.get("MapRunArn"):
            children = redriven.replace(":mapRun:", ":execution:").rpartition(":")[0]
            wanted.append(Need("states:RedriveExecution", f"{children}:*"))
        writer = state.get("ResultWriter") or {}
        place = states._resolve_params_obj(writer.get("Parameters") or {}, effective, context)
        if place:
            prefix = "/".join(filter(None, [place.get("Prefix", "").strip("/"), "*"]))
            wanted.append(Need("s3:PutObject", f"arn:aws:s3:::{place.get('Bucket', '*')}/{prefix}"))
        return wanted

    states._execute_task, states._execute_map = as_execution(states._execute_task), as_execution(states._execute_map)
    states._run_distributed_map = checked(states._run_distributed_map, map_needs, "States.Permissions")
    for name in ("_call_lambda", "_send_event"):
        setattr(states, name, checked(
            getattr(states, name),
            lambda ref, _: [Need("lambda:InvokeFunction", _function(roles, ref))],
            # The error name that Step Functions has for every refusal by Lambda.
            "Lambda.AWSLambdaException",
        ))  # fmt: skip
    states._read_map_items = checked(
        states._read_map_items,
        lambda reader, effective, ctx: _reads(reader, lambda g: states._resolve_params_obj(g, effective, ctx)),
        "States.Permissions",
    )
    for name in ("_invoke_nested_start_execution", "_invoke_nested_start_execution_sync"):
        setattr(states, name, checked(
            getattr(states, name),
            lambda _, given: [Need("states:StartExecution", given.get("StateMachineArn", "*"))],
            "StepFunctions.AccessDeniedException",
        ))  # fmt: skip
    states._invoke_aws_sdk_integration = checked(
        states._invoke_aws_sdk_integration,
        lambda resource, given: _sdk(roles, resource, given),
        "States.Permissions",
    )
    for resource, work in list(states._SERVICE_DISPATCH.items()):
        error = "SQS.AmazonSQSException" if ":sqs:" in resource else "States.Permissions"
        states._SERVICE_DISPATCH[resource] = checked(work, lambda called, given: _sdk(roles, called, given), error)


def _machine(execution: dict[str, Any]) -> str:
    """The ARN of an execution's state machine; a Map's child has `machine/label`."""
    return str(execution["stateMachineArn"].partition("/")[0])


def _function(roles: _Roles, ref: str) -> str:
    return roles.arn("lambda", ref if ref.startswith("arn:") else f"function:{ref}")


def _reads(reader: dict[str, Any], resolve: Callable[[Any], Any]) -> list[Need]:
    """What the ItemReader of a Map must be allowed; `resolve` replaces its references."""
    given = resolve(reader.get("Parameters") or reader.get("Arguments") or {})
    bucket = given.get("Bucket", "*")
    if str(reader.get("Resource", "")).endswith("listObjectsV2"):
        return [Need("s3:ListBucket", f"arn:aws:s3:::{bucket}")]
    return [Need("s3:GetObject", f"arn:aws:s3:::{bucket}/{given.get('Key', '*')}")]


_S3_ACTIONS = {
    "ListObjectsV2": "ListBucket",
    "ListObjects": "ListBucket",
    "HeadObject": "GetObject",
    "CopyObject": "PutObject",
}


def _sdk(roles: _Roles, resource: str, given: Any) -> list[Need]:
    """What an integration `arn:aws:states:::sqs:sendMessage` or `...:::aws-sdk:s3:getObject` needs."""
    service, operation = resource.split(":::")[1].removeprefix("aws-sdk:").split(":")[:2]
    operation = operation[:1].upper() + operation.partition(".")[0][1:]
    given = given if isinstance(given, dict) else {}
    if service in ("sagemaker", "sagemakerruntime"):
        return needs(operation, given, roles.place)
    if service == "s3":
        place = f"arn:aws:s3:::{given.get('Bucket', '*')}"
        on_object = f"/{given['Key']}" if "Key" in given else ""
        return [Need(f"s3:{_S3_ACTIONS.get(operation, operation)}", place + on_object)]
    if service == "sqs" and "QueueUrl" in given:
        return [Need(f"sqs:{operation}", roles.arn("sqs", given["QueueUrl"].rpartition("/")[2]))]
    if service == "lambda":
        return [Need("lambda:InvokeFunction", _function(roles, given.get("FunctionName", "*")))]
    named = next((value for name, value in given.items() if name.endswith("Arn") and isinstance(value, str)), "*")
    return [Need(f"{_NAMESPACES.get(service, service)}:{operation}", named)]


_NAMESPACES = {"sfn": "states", "cloudwatchlogs": "logs", "eventbridge": "events"}

# EventBridge


def _enforce_events(roles: _Roles) -> None:
    """Check a rule's target: a state machine against the target's role, a function against its own policy."""
    events: Any = importlib.import_module("ministack.services.eventbridge")
    functions: Any = importlib.import_module("ministack.services.lambda_svc")
    find_names(events, "_invoke_target")
    find_names(functions, "function_policy_for_arn")
    invoke = events._invoke_target

    def allowed(target: dict[str, Any], rule: dict[str, Any], scheduled: bool) -> None:
        """NotAllowedError unless a rule or schedule may reach its target.

        By the target's role for pipelines and state machines and for all that a schedule does, by the function's policy
        for a Lambda function of a rule.
        """
        arn = target.get("Arn", "")
        request = pipeline_request(target)
        if scheduled or request is not None:
            # A schedule does everything in the name of its role, a rule only what has no policy of its own.
            service = _SCHEDULER if scheduled else _EVENTS
            roles.check(target.get("RoleArn", ""), service, "schedule", _target_needs(roles, arn, request))
        elif ":states:" in arn:
            role = target.get("RoleArn") or rule.get("RoleArn") or ""
            roles.check(role, _EVENTS, "events", [Need("states:StartExecution", arn)])
        elif ":lambda:" in arn:
            found = functions.function_policy_for_arn(arn)
            keys = {"aws:SourceArn": rule.get("Arn", ""), "aws:SourceAccount": roles.settings.account}
            need = Need("lambda:InvokeFunction", arn, keys)
            if found is None or not roles.evaluator.service_may(found[0], _EVENTS, need):
                raise NotAllowedError("AccessDeniedException", f"the policy of {arn} does not let {_EVENTS} invoke it")

    @functools.wraps(invoke)
    def checked(target: dict[str, Any], event: Any, rule: dict[str, Any], view: Any = None) -> None:
        """Invoke a rule's target if that is allowed; otherwise log that it has no effect."""
        try:
            allowed(target, rule, event.get("Source") == "aws.scheduler")
        except NotAllowedError as denied:
            logger.warning("EventBridge: %s has no effect: %s", rule.get("Name"), denied)
            return
        invoke(target, event, rule, view)

    events._invoke_target = checked


def _target_needs(roles: _Roles, arn: str, pipeline: dict[str, Any] | None) -> list[Need]:
    """What the role of a target must allow; `pipeline` is the request where it starts a SageMaker pipeline."""
    if pipeline is not None:
        return needs("StartPipelineExecution", pipeline, roles.place)
    actions = {
        "states": "states:StartExecution", "lambda": "lambda:InvokeFunction", "sqs": "sqs:SendMessage",
        "sns": "sns:Publish", "events": "events:PutEvents",
    }  # fmt: skip
    service = (arn.split(":")[2:3] or [""])[0]
    return [Need(actions.get(service, f"{service}:*"), arn)]


# Lambda


def _enforce_dead_letters(roles: _Roles) -> None:
    """Check the delivery of a failed asynchronous event to its dead-letter target against the function's role."""
    functions: Any = importlib.import_module("ministack.services.lambda_svc")
    find_names(functions, "_route_async_failure", "_functions")
    route = functions._route_async_failure

    @functools.wraps(route)
    def checked(target_arn: str, name: str, event: Any, result: Any) -> None:
        """Deliver a failed event if the function's role allows it; otherwise log that it is lost."""
        config = (functions._functions.get(name) or {}).get("config", {})
        action = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction"}.get(
            target_arn.split(":")[2], "events:PutEvents"
        )
        try:
            roles.check(config.get("Role", ""), _LAMBDA, name[:64], [Need(action, target_arn)])
        except NotAllowedError as denied:
            logger.warning("Lambda: the event that %s failed on is lost: %s", name, denied)
            return
        route(target_arn, name, event, result)

    functions._route_async_failure = checked


def _enforce_creation(roles: _Roles, emulator: Emulator) -> None:
    """Refuse a function whose role lacks what its configuration needs, when it is created or changed, as AWS does."""
    functions: Any = importlib.import_module("ministack.services.lambda_svc")
    find_names(functions, "_create_function", "_update_config", "_functions", "error_response_json")
    create, update = functions._create_function, functions._update_config

    def check(config: dict[str, Any]) -> None:
        """ValueError, in AWS's words, for the first action that is missing."""
        for need, words in creation_needs(config):
            try:
                roles.check(config.get("Role", ""), _LAMBDA, "creation", [need])
            except NotAllowedError as denied:
                if denied.code == "ValidationException":
                    raise ValueError("The role defined for the function cannot be assumed by Lambda.") from None
                raise ValueError(f"The provided execution role does not have permissions to call {words}") from None

    def refusal(config: dict[str, Any]) -> Any:
        try:
            check(config)
        except ValueError as error:
            return functions.error_response_json("InvalidParameterValueException", str(error), 400)
        return None

    @functools.wraps(create)
    def checked_create(data: dict[str, Any]) -> Any:
        return refusal(data) or create(data)

    @functools.wraps(update)
    def checked_update(name: str, data: dict[str, Any]) -> Any:
        before = (functions._functions.get(name) or {}).get("config", {})
        return refusal({**before, **data}) or update(name, data)

    functions._create_function, functions._update_config = checked_create, checked_update
    emulator.check_function = check


def creation_needs(config: dict[str, Any]) -> list[tuple[Need, str]]:
    """What the role of a function with this configuration must allow, each with the words of AWS's refusal.

    Source: Lambda's documentation of active tracing, of VPC access and of dead-letter queues, each of which names the
    actions that CreateFunction and UpdateFunctionConfiguration check.
    """
    wanted = []
    if (config.get("TracingConfig") or {}).get("Mode") == "Active":
        wanted.append((Need("xray:PutTraceSegments", "*"), "PutTraceSegments on XRAY"))
    if (config.get("VpcConfig") or {}).get("SubnetIds"):
        names = ("CreateNetworkInterface", "DescribeNetworkInterfaces", "DeleteNetworkInterface")
        wanted += [(Need(f"ec2:{name}", "*"), f"{name} on EC2") for name in names]
    target = str((config.get("DeadLetterConfig") or {}).get("TargetArn") or "")
    if ":sqs:" in target:
        wanted.append((Need("sqs:SendMessage", target), "SendMessage on SQS"))
    elif ":sns:" in target:
        wanted.append((Need("sns:Publish", target), "Publish on SNS"))
    return wanted
