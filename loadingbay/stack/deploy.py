"""Deploys the application template by CloudFormation change set: create it, update it, or see that nothing changed."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.errors import WorkError
from loadingbay.stack import local_cloud
from loadingbay.stack.local_cloud import ROOT
from loadingbay.stack.package import Package, package
from loadingbay.target import Target
from pipelines.sources import Source, fingerprint, upload_missing

TEMPLATE = ROOT / "workflow" / "template.yaml"
TIMEOUT = 1800.0  # seconds to wait for one change of the stack
UNCHANGED = "this very template and code are deployed"
# The fingerprint is an output of the stack. As a tag it would be put on every resource, and change them all each time.
SOURCE = "SourceHash"
# As CreateChangeSet names a parameter whose value the template does not allow.
_PARAMETER = re.compile(r"Parameter '?(\w+)'? ")
_BODY_LIMIT = 51_200  # bytes of a template inside a request; above, it goes by S3
_GOOD = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
_BEGUN = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"})
_UPDATABLE = _GOOD | {"UPDATE_ROLLBACK_COMPLETE"}


def outputs(target: Target, stack: str | None = None) -> dict[str, str]:
    """The outputs of a stack, by default the target's stage. Raises WorkError when it is not deployed."""
    stack = stack or target.stage
    found = _describe(target.client("cloudformation"), stack)
    if found is None or found["StackStatus"] == "REVIEW_IN_PROGRESS":
        raise WorkError(f"the stack {stack} is not deployed on {target.name}: `loadingbay deploy` deploys it")
    return _outputs(found)


def deploy(
    target: Target,
    *,
    parameters: Mapping[str, str] | None = None,
    stack: str | None = None,
    template: Path = TEMPLATE,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, str]:
    """Makes the stack, by default the target's stage, be what the template and the Lambdas' code say; its outputs.

    `parameters` override the template's defaults, or what an earlier deployment set; a new stack of the local cloud has
    some other defaults. Raises WorkError with the reason of the resource that failed first.
    """
    cloudformation, stack = target.client("cloudformation"), stack or target.stage
    source = _fingerprint(template, parameters or {})
    found = _settled(cloudformation, stack, target.interval)
    if found is not None:
        deployed = {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}.get(SOURCE)
        if deployed == source and found["StackStatus"] in _GOOD:
            return _outputs(found)
        if found["StackStatus"] not in _UPDATABLE | {"REVIEW_IN_PROGRESS"}:
            raise WorkError(
                f"the stack {stack} is in {found['StackStatus']} ({_reason(cloudformation, stack)}) and takes no "
                f"update: delete it with `aws cloudformation delete-stack --stack-name {stack}`, then deploy again"
            )
    creating = found is None or found["StackStatus"] == "REVIEW_IN_PROGRESS"
    known = {} if found is None or creating else {p["ParameterKey"]: p for p in found.get("Parameters", [])}
    bucket = artifacts_bucket(target)
    packed = _with_source(package(template, bucket), source)
    made_with = local_cloud.PARAMETERS if creating and target.local else {}
    given = _parameters(packed, _wanted(packed, stack, parameters or {}, made_with), known)
    # Nothing is changed before this line.
    _ensure_bucket(target, bucket)
    upload_missing(target.client("s3"), bucket, packed.objects, owner=target.account)
    say(f"{'creating' if creating else 'updating'} the stack {stack}")
    try:
        change_set = cloudformation.create_change_set(
            StackName=stack,
            ChangeSetName=f"loadingbay-{source[:16]}-{time.time_ns():x}",
            ChangeSetType="CREATE" if creating else "UPDATE",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=given,
            **_template(target, bucket, packed),
        )["Id"]
    except ClientError as error:
        message = error.response["Error"]["Message"]
        named = _PARAMETER.search(message)
        if named is None or named[1] not in known:
            raise
        value = (parameters or {}).get(named[1], known[named[1]].get("ParameterValue"))
        raise WorkError(
            f"{message}, and is {value!r}: `loadingbay deploy --parameter {named[1]}=VALUE` gives it another value"
        ) from error
    if _planned(cloudformation, change_set, stack, target.interval):
        cloudformation.execute_change_set(ChangeSetName=change_set, StackName=stack)
    done = _settled(cloudformation, stack, target.interval)
    if done is None or done["StackStatus"] not in _GOOD:
        raise WorkError(
            f"the stack {stack} could not be {'created' if creating else 'updated'}: {_reason(cloudformation, stack)}"
        )
    say(f"the stack {stack} was {'created' if creating else 'updated'}")
    return _outputs(done)


def status(target: Target, stack: str) -> str:
    """Return the stack's CloudFormation status; "" if it does not exist."""
    found = _describe(target.client("cloudformation"), stack)
    return str(found["StackStatus"]) if found else ""


def reason(target: Target, stack: str) -> str:
    """Return which resource failed first in the newest change of the stack, and why, as CloudFormation says it."""
    return _reason(target.client("cloudformation"), stack)


def artifacts_bucket(target: Target) -> str:
    """The bucket that packages go to; all stages of an account and region share it."""
    return f"loadingbay-artifacts-{target.account}-{target.resolved_region}"


def _fingerprint(template: Path, parameters: Mapping[str, str]) -> str:
    """Return a hash of template, code and parameters: everything that a deployment depends on."""
    code = fingerprint(template.parent, template.parent.parent / "lambdas")
    return hashlib.sha256(json.dumps([template.name, code, sorted(parameters.items())]).encode()).hexdigest()


def _describe(cloudformation: Any, stack: str) -> dict[str, Any] | None:
    """Return the stack as CloudFormation describes it; None when it does not exist or was deleted."""
    try:
        stacks: list[dict[str, Any]] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    return stacks[0] if stacks and stacks[0]["StackStatus"] != "DELETE_COMPLETE" else None


def _settled(cloudformation: Any, stack: str, interval: float) -> dict[str, Any] | None:
    """The stack once nothing is in progress. A change that someone else began is waited for, TIMEOUT at most."""
    deadline = time.monotonic() + TIMEOUT
    while (found := _describe(cloudformation, stack)) and found["StackStatus"].endswith("_IN_PROGRESS"):
        if found["StackStatus"] == "REVIEW_IN_PROGRESS":
            break
        if time.monotonic() > deadline:
            raise WorkError(
                f"the stack {stack} has been in {found['StackStatus']} for {TIMEOUT / 60:.0f} min: "
                f"`aws cloudformation describe-stack-events --stack-name {stack}` shows what it waits for; "
                f"then deploy again, or delete it with `aws cloudformation delete-stack --stack-name {stack}`"
            )
        time.sleep(interval)
    return found


def _outputs(stack: Mapping[str, Any]) -> dict[str, str]:
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", []) if item["OutputKey"] != SOURCE}


def _with_source(packed: Package, source: str) -> Package:
    """The package with the fingerprint among the template's outputs."""
    document = json.loads(packed.template)
    output = {"Description": "What this stack was deployed from.", "Value": source}
    document["Outputs"] = {**document.get("Outputs", {}), SOURCE: output}
    return Package(json.dumps(document, sort_keys=True, separators=(",", ":")), packed.objects)


def _parameters(packed: Package, wanted: Mapping[str, str], known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parameters of the change set: those wanted, and of the others the values that the stack has.

    WorkError if the template has no parameter of that name, or one without a default has no value.
    """
    declared = json.loads(packed.template).get("Parameters", {})
    unknown = sorted(set(wanted) - set(declared))
    if unknown:
        raise WorkError(f"the template has no parameter {unknown[0]}: it has {', '.join(sorted(declared))}")
    kept = [name for name in declared if name in known and name not in wanted]
    missing = [name for name in declared if "Default" not in declared[name] and name not in {*kept, *wanted}]
    if missing:
        about = declared[missing[0]].get("Description", "").rstrip(".")
        raise WorkError(
            f"the template's parameter {missing[0]} has no default{f' ({about})' if about else ''}: "
            f"give it with --parameter {missing[0]}=..."
        )
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in wanted.items()] + [
        {"ParameterKey": name, "UsePreviousValue": True} for name in kept
    ]


def _wanted(packed: Package, stack: str, wanted: Mapping[str, str], made_with: Mapping[str, str]) -> dict[str, str]:
    """The wanted parameters; also `Name`, the stack's, and those of `made_with` that the template declares.

    The stack's name is that of all it has: then a second stack is a second stage.
    """
    declared = json.loads(packed.template).get("Parameters", {})
    others = {"Name": stack, **made_with}
    return {**{name: value for name, value in others.items() if name in declared}, **wanted}


def _template(target: Target, bucket: str, packed: Package) -> dict[str, str]:
    """The template as an argument of CreateChangeSet."""
    if len(packed.template.encode()) <= _BODY_LIMIT:
        return {"TemplateBody": packed.template}
    source = Source("template.json", packed.template.encode())
    upload_missing(target.client("s3"), bucket, (source,), owner=target.account)
    base = target.endpoint_url or f"https://s3.{target.resolved_region}.amazonaws.com"
    return {"TemplateURL": f"{base}/{bucket}/{source.key}"}


def _planned(cloudformation: Any, change_set: str, stack: str, interval: float) -> bool:
    """Waits until the change set is worked out; False when there is nothing to change."""
    while True:
        now = cloudformation.describe_change_set(ChangeSetName=change_set, StackName=stack)
        if now["Status"] == "CREATE_COMPLETE":
            return True
        if now["Status"] == "FAILED":
            reason = now.get("StatusReason", "no reason given")
            if "DescribeEvents" in reason:
                reason = _finding(cloudformation, stack) or reason
            cloudformation.delete_change_set(ChangeSetName=change_set, StackName=stack)
            if "didn't contain changes" in reason or "No updates are to be performed" in reason:
                return False
            raise WorkError(f"CloudFormation refuses the template of {stack}: {reason}")
        time.sleep(interval)


def _reason(cloudformation: Any, stack: str) -> str:
    """Which resource failed first in the newest change, and why."""
    reason = "no reason given"
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack):
        for event in page["StackEvents"]:  # newest first
            status, said = event["ResourceStatus"], event.get("ResourceStatusReason", "")
            if "DescribeEvents" in said:  # a validation before the first resource: its findings are elsewhere
                return _finding(cloudformation, stack) or said
            if status.endswith("_FAILED") and "cancelled" not in said.lower():
                reason = f"{event['LogicalResourceId']}: {said or status}"
            if event["LogicalResourceId"] == stack and status in _BEGUN:
                return reason
    return reason


def _finding(cloudformation: Any, stack: str) -> str:
    """What CloudFormation's validation of the newest change found first, "" when it says nothing."""
    for event in cloudformation.describe_events(StackName=stack)["OperationEvents"]:
        if event.get("EventType") == "VALIDATION_ERROR":
            return f"{event.get('LogicalResourceId', stack)}: {event.get('ValidationStatusReason', 'no reason given')}"
    return ""


def _ensure_bucket(target: Target, bucket: str) -> None:
    """Creates the bucket for packages unless it is there: private, encrypted by S3's default."""
    s3 = target.client("s3")
    try:
        # Whoever knows the name could have made it first, and would be sent our code.
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=target.account)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 403:
            raise WorkError(
                f"the bucket {bucket} is there but belongs to another account, or may not be read"
            ) from error
        if status != 404:
            raise
    else:
        return
    region = target.resolved_region
    # us-east-1 is the one region that must not be named here.
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=bucket, **place)
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
