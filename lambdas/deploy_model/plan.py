"""What DeployModel decides: pure. From the event, the approved versions and the endpoint to a list of actions.

The endpoint converges to the newest approved version. Names are made from the version and from what it is deployed
with, so "is it live?" is one comparison of names, an action done twice is harmless, and going back reuses what is
there. The order of events, or how often they come, does not matter: only the state read when one arrives.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

PACKAGE_EVENT = "SageMaker Model Package State Change"
ENDPOINT_EVENT = "SageMaker Endpoint State Change"

# UpdateEndpoint is possible in these states only.
SETTLED = {"InService", "OutOfService", "UpdateRollbackFailed"}

# What SageMaker says when it had no machine to give, or failed itself: no fault of the version. In lower case.
NOT_THE_VERSION = (
    "insufficientinstancecapacity",
    "insufficient capacity",
    "compute capacity",
    "resourcelimitexceeded",
    "service limit",
    "quota",
    "throttlingexception",
    "request to service failed",
)


@dataclass(frozen=True)
class Settings:
    """With what every version is deployed; a change of any of them deploys the live version anew."""

    endpoint_name: str
    package_group: str
    execution_role_arn: str
    instance_type: str
    instance_count: int
    capture_uri: str


@dataclass(frozen=True)
class Version:
    """An approved model package; `created` (seconds) tells it from the same number in a group that was made anew."""

    arn: str
    number: int
    created: int


@dataclass(frozen=True)
class Endpoint:
    """The endpoint as described; `attempted` is the configuration it was last told to take, `reason` why it failed."""

    arn: str
    status: str
    config_name: str
    attempted: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Current:
    """What is: the approved versions in any order, and the endpoint, if there is one."""

    approved: tuple[Version, ...]
    endpoint: Endpoint | None


@dataclass(frozen=True)
class CreateModel:
    """A SageMaker model of the package's image and artifact."""

    name: str
    package_arn: str


@dataclass(frozen=True)
class CreateEndpointConfig:
    """One variant that serves the model of the same name, every request captured."""

    name: str


@dataclass(frozen=True)
class CreateEndpoint:
    """The endpoint, serving this configuration."""

    config_name: str


@dataclass(frozen=True)
class UpdateEndpoint:
    """The endpoint takes this configuration, without a gap in service."""

    config_name: str
    endpoint_arn: str


@dataclass(frozen=True)
class DeleteEndpoint:
    """Remove an endpoint whose creation failed: nothing else can be done with one."""


@dataclass(frozen=True)
class RejectVersion:
    """Withdraw the approval of a version that did not come into service, and say why in the registry."""

    package_arn: str
    reason: str


Action = CreateModel | CreateEndpointConfig | CreateEndpoint | UpdateEndpoint | DeleteEndpoint | RejectVersion


class Outcome(StrEnum):
    """What the plan means to whoever reads the log."""

    NOTHING_APPROVED = "nothing approved"  # and nothing served: the state before the first approval
    LIVE = "live"
    DEPLOY = "deploy"
    WAIT = "wait"  # the endpoint is busy; its state change brings the next event
    TRY_AGAIN = "try again"  # no event is sure to come: the caller has to ask again
    STUCK = "stuck"  # the newest approved version does not serve, and nothing says that this is its fault
    FELL_BACK = "fell back"  # the newest approved version was tried, and did not come into service
    UNAPPROVED_SERVES = "unapproved serves"  # the last approval was withdrawn

    @property
    def needs_a_person(self) -> bool:
        """Whether an approved version does not come into service, or someone left none approved."""
        return self in {Outcome.STUCK, Outcome.FELL_BACK, Outcome.UNAPPROVED_SERVES}


@dataclass(frozen=True)
class Plan:
    """What to do, in order, and why, in one sentence."""

    outcome: Outcome
    because: str
    actions: tuple[Action, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The plan for a person or a log."""
        actions = [{"action": type(action).__name__, **asdict(action)} for action in self.actions]
        return {"outcome": self.outcome.value, "because": self.because, "actions": actions}


def config_name(version: Version, settings: Settings) -> str:
    """The name of a version's model and endpoint configuration: at most 63 letters, digits and hyphens."""
    made_of = json.dumps([asdict(version), asdict(settings)], sort_keys=True)
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:10]
    return f"{settings.endpoint_name[:40].rstrip('-')}-v{version.number}-{digest}"


def plan_deployment(event: dict[str, Any], current: Current, settings: Settings) -> Plan:
    """The actions that bring the endpoint to the newest approved version.

    A version that was tried and failed loses its approval, with the reason, and the next newest takes its turn: so
    nothing is tried for ever. Where nothing says that it failed (SageMaker had no machine for it, or someone changed
    the endpoint by hand) it keeps its approval, and is tried again by the schedule, not by the endpoint's own events:
    those come with each attempt. The event decides one thing only: whether a version is to be tried once more.
    """
    endpoint = current.endpoint
    if not current.approved:
        if endpoint is None:
            return Plan(
                Outcome.NOTHING_APPROVED, f"No version of {settings.package_group} is approved: nothing to deploy."
            )
        return Plan(
            Outcome.UNAPPROVED_SERVES,
            f"No version of {settings.package_group} is approved any more, and endpoint {settings.endpoint_name} stays "
            f"{endpoint.status} with {endpoint.config_name}: approve a version, or delete the endpoint.",
        )

    newest = max(current.approved, key=lambda version: version.number)
    wanted = config_name(newest, settings)
    prepare = (CreateModel(wanted, newest.arn), CreateEndpointConfig(wanted))
    if endpoint is None:
        return Plan(
            Outcome.DEPLOY, f"Version {newest.number} is the first to serve.", (*prepare, CreateEndpoint(wanted))
        )
    if endpoint.status == "Deleting":
        return Plan(Outcome.TRY_AGAIN, f"Endpoint {settings.endpoint_name} is being deleted.")
    if endpoint.status not in SETTLED | {"Failed"}:
        return Plan(
            Outcome.WAIT, f"Endpoint {settings.endpoint_name} is {endpoint.status}; its next state change decides."
        )
    if endpoint.config_name == wanted and endpoint.status == "InService":
        return Plan(Outcome.LIVE, f"Version {newest.number} is live.")
    if endpoint.attempted == wanted and not _is_about(event, newest):
        why = f"Version {newest.number} did not come into service: {endpoint.reason or 'the endpoint gave no reason'}"
        if _is_its_fault(endpoint):
            return Plan(Outcome.FELL_BACK, why, (RejectVersion(newest.arn, why),))
        if event.get("detail-type") in {PACKAGE_EVENT, ENDPOINT_EVENT}:
            return Plan(Outcome.STUCK, f"{why}. It stays approved, and is tried again within the hour.")
    if endpoint.status == "Failed":
        return Plan(
            Outcome.TRY_AGAIN, f"Endpoint {settings.endpoint_name} has failed: it is made anew.", (DeleteEndpoint(),)
        )
    return Plan(
        Outcome.DEPLOY,
        f"Version {newest.number} takes the place of {endpoint.config_name}.",
        (*prepare, UpdateEndpoint(wanted, endpoint.arn)),
    )


def _is_about(event: dict[str, Any], version: Version) -> bool:
    return event.get("detail-type") == PACKAGE_EVENT and event.get("detail", {}).get("ModelPackageArn") == version.arn


def _is_its_fault(endpoint: Endpoint) -> bool:
    """Whether the endpoint gives evidence that the version last tried cannot serve."""
    reason = endpoint.reason.lower()
    if any(said in reason for said in NOT_THE_VERSION):
        return False
    return bool(reason) or endpoint.status in {"Failed", "UpdateRollbackFailed"}
