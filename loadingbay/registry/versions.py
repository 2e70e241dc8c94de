"""Model versions: lists, approves and rejects them, and waits until the endpoint serves one."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.errors import NotFoundError, UsageError, WorkError
from loadingbay.registry import plan as deployments
from loadingbay.target import Target
from pipelines import aws

APPROVALS = {"PendingManualApproval": "pending", "Approved": "approved", "Rejected": "rejected"}
"""A version's approval to the word that people read."""
_PARALLEL = 8
_LOOKS_BEFORE_ASKING = 10  # whether the deployment is stuck


@dataclass(frozen=True)
class Version:
    """A version in the registry. `metadata` holds its figures and hashes as strings, see pipelines.figures.

    `origin` is the ARN of the pipeline execution that registered it, "" when the registry names none. `shadow` is the
    status of its stage as a shadow, "Approved" while it is to get copies of the requests, "" if it never was.
    """

    number: int
    arn: str
    approval: str
    created: datetime
    comment: str
    metadata: dict[str, str]
    evaluation: str
    origin: str = ""
    shadow: str = ""
    shadow_comment: str = ""

    def figure(self, name: str) -> float | None:
        """A figure of the metadata as a number, if it has one of that name."""
        try:
            return float(self.metadata[name])
        except (KeyError, ValueError):
            return None

    def document(self) -> dict[str, Any]:
        """The version as a JSON object, as `status --json` prints it."""
        return {
            "version": self.number,
            "model_package_arn": self.arn,
            "approval": self.approval,
            "created": self.created.isoformat(),
            "comment": self.comment,
            **({"shadow": self.shadow} if self.shadow else {}),
            **self.metadata,
        }


def versions(target: Target, limit: int | None = None) -> list[Version]:
    """The versions of the group, the highest number first, at most `limit`; none when there is no group yet."""
    return page(target, 0, limit)[0]


def page(target: Target, skip: int, limit: int | None) -> tuple[list[Version], int]:
    """At most `limit` versions after the first `skip`, the highest number first, and how many there are in all."""
    found = aws.packages(target.client("sagemaker"), target.stage)
    asked = found[skip : None if limit is None else skip + limit]
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="describe") as pool:
        return list(pool.map(lambda item: get(target, item["ModelPackageArn"]), asked)), len(found)


def get(target: Target, arn: str) -> Version:
    """The version with this ARN."""
    described = target.client("sagemaker").describe_model_package(ModelPackageName=arn)
    statistics = described.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {})
    stage = described.get("ModelLifeCycle", {})
    shadow = stage if stage.get("Stage") == aws.SHADOW_STAGE["Stage"] else {}
    return Version(
        number=described["ModelPackageVersion"],
        arn=described["ModelPackageArn"],
        approval=described["ModelApprovalStatus"],
        created=described["CreationTime"],
        comment=described.get("ApprovalDescription", ""),
        metadata=described.get("CustomerMetadataProperties", {}),
        evaluation=statistics.get("S3Uri", ""),
        origin=described.get("MetadataProperties", {}).get("GeneratedBy", ""),
        shadow=shadow.get("StageStatus", ""),
        shadow_comment=shadow.get("StageDescription", ""),
    )


def registered(target: Target, arn: str) -> Version | None:
    """The version with this ARN; None for "", and for one that was deleted from the registry, which may serve on."""
    try:
        return get(target, arn) if arn else None
    except ClientError as error:
        if not aws.is_missing(error):
            raise
        return None


def arn(target: Target, number: int) -> str:
    """The ARN of the version with this number, whether there is one or not."""
    place = f"{target.resolved_region}:{target.account}"
    return f"arn:{target.partition}:sagemaker:{place}:model-package/{target.stage}/{number}"


def number(arn: str) -> int:
    """The number of the version with this ARN; 0 for "", which is no version's."""
    return int(arn.rsplit("/", 1)[-1] or 0)


def numbered(target: Target, number: int) -> Version:
    """The version with this number. Raises NotFoundError, which names the newest, when there is none."""
    try:
        return get(target, arn(target, number))
    except ClientError as error:
        if not aws.is_missing(error):
            raise
    there = [str(version.number) for version in versions(target, limit=20)]
    known = f"the newest are {', '.join(there)}" if there else "none is registered yet: `loadingbay run` registers one"
    raise NotFoundError(f"there is no model version {number}: {known}")


def decide(target: Target, version: Version, *, approve: bool, comment: str) -> None:
    """Approves or rejects a model version in the registry; the resulting event triggers deployment or removal.

    UsageError when `comment` is longer than 1,024 characters or not one printable line.
    """
    check_comment(comment)
    ended: dict[str, Any] = {}
    if version.shadow == "Approved":  # it answers from now on, or not at all
        ended = {"ModelLifeCycle": {**aws.SHADOW_STAGE, "StageStatus": "Completed" if approve else "Rejected"}}
    target.client("sagemaker").update_model_package(
        ModelPackageArn=version.arn,
        ModelApprovalStatus="Approved" if approve else "Rejected",
        ApprovalDescription=comment,
        **ended,
    )


def check_comment(comment: str) -> None:
    """Raise UsageError when a comment is longer than 1,024 characters or not one printable line."""
    if len(comment) > 1024 or not comment.isprintable():
        raise UsageError(f"--comment has {len(comment)} characters: one line of at most 1,024 is kept")


def due(target: Target) -> Version | None:
    """The version that belongs in service: the newest approved one, if any is approved."""
    return next(iter(approved(target, limit=1)), None)


def approved(target: Target, limit: int | None = None) -> list[Version]:
    """The approved versions, the highest number first: the first one belongs in service, the second comes after it."""
    found = aws.approved_packages(target.client("sagemaker"), target.stage)
    return [get(target, item["ModelPackageArn"]) for item in found[:limit]]


def rollback(target: Target) -> tuple[Version, Version]:
    """(the version to reject, the approved one before it, which then takes its place).

    Raises UsageError when fewer than two are approved.
    """
    found = approved(target, limit=2)
    if not found:
        raise UsageError("no version is approved, so there is nothing to go back from: `loadingbay approve VERSION`")
    if len(found) == 1:
        raise UsageError(
            f"version {found[0].number} is the only approved one, so there is nothing to go back to: approve "
            "another one first, or `loadingbay reject` it; the endpoint then keeps what it serves"
        )
    return found[0], found[1]


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as it is, `changed` at that time. `serves` is the ARN of the model package in service, if it says.

    `shadow` is that of the one that gets copies of its requests, "" for none.
    """

    name: str
    status: str
    failure: str
    serves: str
    config: str = ""
    changed: datetime | None = None
    shadow: str = ""


def endpoint(target: Target, name: str) -> Endpoint | None:
    """The endpoint of that name, or None when there is none."""
    sagemaker = target.client("sagemaker")
    try:
        described = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if aws.is_missing(error):
            return None
        raise
    # An endpoint whose creation failed may be described without a configuration.
    config = described.get("EndpointConfigName", "")
    serves, shadow = _served(target, config) if config else ("", "")
    return Endpoint(
        name,
        described["EndpointStatus"],
        described.get("FailureReason", ""),
        serves,
        config,
        described.get("LastModifiedTime"),
        shadow,
    )


def served_classes(target: Target, name: str) -> list[str]:
    """The classes of the version that the endpoint serves; if it is not known, of the newest that is approved.

    Photos that an endpoint answered can be labelled after it is gone. Raises WorkError when no version was approved.
    """
    now = endpoint(target, name)
    found = (registered(target, now.serves) if now else None) or due(target)
    if found is None:
        raise WorkError(
            "no model was approved yet, so it is not known which classes to ask for: `loadingbay approve VERSION`"
        )
    return found.metadata["classes"].split()


def _served(target: Target, config_name: str) -> tuple[str, str]:
    """The ARNs of the model packages that a configuration serves, and has as its shadow; "" for what it has not."""
    try:
        config = target.client("sagemaker").describe_endpoint_config(EndpointConfigName=config_name)
    except ClientError as error:
        if aws.is_missing(error):
            return "", ""
        raise
    shadows = config.get("ShadowProductionVariants", [])
    return _package(target, config["ProductionVariants"][0]), _package(target, shadows[0]) if shadows else ""


def _package(target: Target, variant: dict[str, Any]) -> str:
    """The ARN of the model package that a variant serves; "" for one that names none, or whose model is gone."""
    try:
        model = target.client("sagemaker").describe_model(ModelName=variant["ModelName"])
    except ClientError as error:
        if aws.is_missing(error):
            return ""
        raise
    containers = [model.get("PrimaryContainer", {}), *model.get("Containers", [])]
    return next((c["ModelPackageName"] for c in containers if "ModelPackageName" in c), "")


def wait_until_served(
    target: Target,
    name: str,
    version: Version,
    *,
    waiting: Callable[[str], None] = lambda _: None,
    timeout: float | None = None,
) -> None:
    """Waits until the endpoint serves this version. `waiting` is told at each look how far it is.

    Raises WorkError when the version is rejected meanwhile (by its verification, or by someone) or deleted, when it is
    stuck, or when nothing has come of it after `timeout` seconds (default: 5 minutes on this machine, 45 on AWS,
    where an endpoint takes minutes to start, and two of them do).
    """
    deadline = time.monotonic() + (timeout or (300 if target.local else 2700))
    looks = 0
    while time.monotonic() < deadline:
        now = endpoint(target, name)
        if now and now.status == "InService" and now.serves == version.arn:
            return
        if now and now.status == "InService" and now.serves != version.arn and _overtaken(target, now, version):
            newer = now.serves.rsplit("/", 1)[-1]
            raise WorkError(
                f"version {version.number} is approved, but so is version {newer}, which is newer and in service: "
                f"`loadingbay reject {newer}` puts version {version.number} into service"
            )
        seen = registered(target, version.arn)
        if seen is None:
            raise WorkError(f"version {version.number} was deleted from the registry while it was deployed")
        if seen.approval == "Rejected":
            said = seen.comment or "no reason was given"
            if seen.metadata.get("verification") == "failed" and said.startswith("Version "):
                log = "; its log: `loadingbay logs verification`" if "did not come into service" in said else ""
                raise WorkError(f"version{said.removeprefix('Version')}{log}")
            raise WorkError(f"version {version.number} was rejected while it was deployed: {said}")
        looks += 1
        if looks % _LOOKS_BEFORE_ASKING == 0:
            why = _stuck(target, name)
            if why:
                raise WorkError(f"{why} The log: `loadingbay logs deploy_model`")
        waiting(how_far(target, name, version))
        time.sleep(target.interval)
    raise WorkError(
        f"the endpoint {name} does not serve version {version.number} yet: "
        "`loadingbay status` shows whether it does by now, `loadingbay logs deploy_model` what the deployment did"
    )


def _overtaken(target: Target, now: Endpoint, version: Version) -> bool:
    """Whether the endpoint serves the version that belongs in service, and that is a newer one than `version`."""
    belongs = due(target)
    return belongs is not None and belongs.number > version.number and now.serves == belongs.arn


def _stuck(target: Target, name: str) -> str:
    """Why the deployment is stuck; "" where it is not, or cannot be asked just now."""
    try:
        planned = deployments.plan(target, name)
    except WorkError:
        return ""
    return str(planned["because"]) if planned is not None and planned["outcome"] == "stuck" else ""


def how_far(target: Target, name: str, version: Version) -> str:
    """How far the endpoint is on its way to the version: its status while it changes, before that the verification."""
    now = endpoint(target, name)
    if now is None or now.status == "InService":
        trial = endpoint(target, aws.verification_endpoint(name))
        if trial is not None and trial.serves == version.arn and trial.status != "Deleting":
            return "being verified" if trial.status == "InService" else f"to be verified, {trial.status}"
        # Asked after the trial, which is deleted once the version has passed.
        passed = get(target, version.arn).metadata.get("verification") == "passed"
        return "verified, to be deployed" if passed else "waiting for the approval event"
    return now.status
