"""What DeployModel decides: pure. From the event, the approved versions and the endpoints to a list of actions.

The endpoint converges to the newest approved version, and a version comes to it only after it was verified on an
endpoint of its own, which lives for that long. Names are made from the version and from what it is deployed with, so
"is it live?" is one comparison of names, an action done twice is harmless, and going back reuses what is there. The
order of events, or how often they come, does not matter: only the state read when one arrives.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lambdas.deploy_model.actions import (
        Action,
        CreateEndpoint,
        CreateEndpointConfig,
        CreateModel,
        DeleteEndpoint,
        ForgetAttempt,
        NoteApproval,
        NoteUnverified,
        RecordDeployment,
        RejectVersion,
        UpdateEndpoint,
        VerifyVersion,
    )
else:
    from actions import (  # in Lambda this folder is the root
        Action,
        CreateEndpoint,
        CreateEndpointConfig,
        CreateModel,
        DeleteEndpoint,
        ForgetAttempt,
        NoteApproval,
        NoteUnverified,
        RecordDeployment,
        RejectVersion,
        UpdateEndpoint,
        VerifyVersion,
    )

PACKAGE_EVENT = "SageMaker Model Package State Change"
ENDPOINT_EVENT = "SageMaker Endpoint State Change"

# An endpoint can be updated or deleted in these states only, and deleted when it has failed.
SETTLED = {"InService", "OutOfService", "UpdateRollbackFailed"}

# A trial costs money. One whose verification can never be made is given up for a while, until a person has helped.
HOUR = timedelta(hours=1)
TRIAL_LASTS, TRIAL_RESTS = 2 * HOUR, 12 * HOUR

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
    """With what every version is deployed; a change of any of them deploys the live version anew.

    With `serverless_memory_mb` there are no instances, and none of what SageMaker does not offer without them: data
    capture, network isolation, a VPC, a key. `bake_seconds` and `rollback_alarms` say how the endpoint changes over,
    not what to.
    """

    endpoint_name: str
    package_group: str
    execution_role_arn: str
    instance_type: str
    instance_count: int
    capture_uri: str
    serverless_memory_mb: int = 0
    serverless_concurrency: int = 5
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    kms_key_arn: str = ""
    bake_seconds: int = 0
    rollback_alarms: tuple[str, ...] = ()

    @property
    def trial_name(self) -> str:
        """The endpoint on which a version is verified."""
        return f"{self.endpoint_name}-verify"


@dataclass(frozen=True)
class Version:
    """An approved model package; `created` (seconds) tells it from the same number in a group that was made anew.

    Known of the newest only: `passed_as`, the configuration name under which it passed verification; `approved_by`,
    who the registry remembers as its approver; `decided_by`, who changed it last, unless that was DeployModel;
    `given_up`, when its verification was last given up (ISO).
    """

    arn: str
    number: int
    created: int
    passed_as: str = ""
    approved_by: str = ""
    decided_by: str = ""
    given_up: str = ""


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as described; `attempted` is the configuration it was last told to take, `reason` why it failed.

    `since` is when it last changed (ISO), `recorded` the last `config_name@since` that the history has.
    """

    arn: str
    status: str
    config_name: str
    attempted: str = ""
    reason: str = ""
    since: str = ""
    recorded: str = ""


@dataclass(frozen=True)
class Current:
    """What is: the approved versions in any order, the endpoint, the one for verification, if they are there; `now`."""

    approved: tuple[Version, ...]
    endpoint: Endpoint | None
    trial: Endpoint | None
    now: datetime

    @property
    def newest(self) -> Version | None:
        """The approved version with the highest number."""
        return max(self.approved, key=lambda version: version.number, default=None)


class Outcome(StrEnum):
    """What the plan means to whoever reads the log."""

    NOTHING_APPROVED = "nothing approved"  # and nothing served: the state before the first approval
    LIVE = "live"
    VERIFY = "verify"
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


# With these the trial endpoint has nothing left to do.
_TRIAL_IS_OVER = {
    Outcome.NOTHING_APPROVED,
    Outcome.LIVE,
    Outcome.DEPLOY,
    Outcome.FELL_BACK,
    Outcome.UNAPPROVED_SERVES,
}


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
    how = {"bake_seconds", "rollback_alarms"}
    what = {name: value for name, value in asdict(settings).items() if name not in how}
    made_of = json.dumps([version.arn, version.number, version.created, what], sort_keys=True)
    digest = hashlib.sha256(made_of.encode()).hexdigest()[:10]
    return f"{settings.endpoint_name[:32].rstrip('-')}-v{version.number}-{digest}"


def trial_config_name(config: str) -> str:
    """The name of the configuration with which what `config` serves is verified."""
    return f"{config}-verify"


def plan_deployment(event: dict[str, Any], current: Current, settings: Settings) -> Plan:
    """The actions that bring the endpoint to the newest approved version.

    A version that was tried and failed loses its approval, with the reason, and the next newest takes its turn: so
    nothing is tried for ever. Where nothing says that it failed (SageMaker had no machine for it, or someone changed
    the endpoint by hand) it keeps its approval, and is tried again by the schedule, not by the endpoint's own events:
    those come with each attempt. The event decides one thing only: whether a version is to be tried once more.
    """
    plan = _converge(event, current, settings)
    actions, trial = plan.actions, current.trial
    if trial is not None and plan.outcome in _TRIAL_IS_OVER and trial.status in SETTLED | {"Failed"}:
        over = DeleteEndpoint(settings.trial_name)
        # The account's quota may have no machine beside the trial's. A rejection is written down before anything else.
        actions = (over, *actions) if plan.outcome is Outcome.DEPLOY else (*actions, over)
    return Plan(plan.outcome, plan.because, (*_bookkeeping(event, current, settings), *actions))


def _converge(event: dict[str, Any], current: Current, settings: Settings) -> Plan:
    endpoint, newest = current.endpoint, current.newest
    if newest is None:
        if endpoint is None:
            return Plan(
                Outcome.NOTHING_APPROVED, f"No version of {settings.package_group} is approved: nothing to deploy."
            )
        return Plan(
            Outcome.UNAPPROVED_SERVES,
            f"No version of {settings.package_group} is approved any more, and endpoint {settings.endpoint_name} stays "
            f"{endpoint.status} with {endpoint.config_name}: approve a version, or delete the endpoint.",
        )

    wanted = config_name(newest, settings)
    if endpoint is not None:
        if endpoint.status == "Deleting":
            return Plan(Outcome.TRY_AGAIN, f"Endpoint {settings.endpoint_name} is being deleted.")
        if endpoint.status not in SETTLED | {"Failed"}:
            return Plan(
                Outcome.WAIT, f"Endpoint {settings.endpoint_name} is {endpoint.status}; its next state change decides."
            )
        if endpoint.config_name == wanted and endpoint.status == "InService":
            return Plan(Outcome.LIVE, f"Version {newest.number} is live.")
    if newest.passed_as != wanted:
        return _verification(event, current, newest, wanted, settings)
    failed = None if endpoint is None else _failed(event, endpoint, wanted, newest)
    if failed is not None:
        return failed
    prepare = (CreateModel(wanted, newest.arn, newest.number), CreateEndpointConfig(wanted, wanted))
    if endpoint is None:
        return Plan(
            Outcome.DEPLOY,
            f"Version {newest.number} is the first to serve.",
            (*prepare, CreateEndpoint(settings.endpoint_name, wanted)),
        )
    if endpoint.status == "Failed":
        return Plan(
            Outcome.TRY_AGAIN,
            f"Endpoint {settings.endpoint_name} has failed: it is made anew.",
            (DeleteEndpoint(settings.endpoint_name),),
        )
    return Plan(
        Outcome.DEPLOY,
        f"Version {newest.number} takes the place of {endpoint.config_name}.",
        (*prepare, UpdateEndpoint(wanted, endpoint.arn, watched=_number(endpoint.config_name) < newest.number)),
    )


def _verification(event: dict[str, Any], current: Current, newest: Version, wanted: str, settings: Settings) -> Plan:
    """Bring the version into service on the trial endpoint, and have it verified there."""
    name, config = settings.trial_name, trial_config_name(wanted)
    trial, endpoint = current.trial, current.endpoint
    if trial is None:
        # Whoever decided since then wants it tried at once.
        if newest.given_up and not newest.decided_by and not _over(newest.given_up, TRIAL_RESTS, current.now):
            return Plan(
                Outcome.STUCK,
                f"Version {newest.number} could not be verified, and endpoint {name} was deleted at {newest.given_up}. "
                f"It stays approved, and is tried again {TRIAL_RESTS // HOUR} hours later, or when approved anew.",
            )
        # A version that was rejected has not passed any more: if it is here again, it was approved anew.
        again = endpoint is not None and endpoint.attempted == wanted
        return Plan(
            Outcome.VERIFY,
            f"Version {newest.number} is verified on endpoint {name} before it serves.",
            (
                *((ForgetAttempt(endpoint.arn),) if again and endpoint else ()),
                CreateModel(wanted, newest.arn, newest.number),
                CreateEndpointConfig(config, wanted, trial=True),
                CreateEndpoint(name, config),
            ),
        )
    if trial.status == "Deleting":
        return Plan(Outcome.TRY_AGAIN, f"Endpoint {name} is being deleted; then version {newest.number} is verified.")
    if trial.status not in SETTLED | {"Failed"}:
        return Plan(Outcome.WAIT, f"Endpoint {name} is {trial.status}; its next state change decides.")
    if trial.attempted != config:
        return Plan(
            Outcome.TRY_AGAIN,
            f"Endpoint {name} is made anew for version {newest.number}.",
            (DeleteEndpoint(name),),
        )
    approved_now = _is_about(event, newest)
    if trial.status == "InService" and _over(trial.since, TRIAL_LASTS, current.now) and not approved_now:
        return Plan(
            Outcome.STUCK,
            f"Version {newest.number} could not be verified on endpoint {name} for {TRIAL_LASTS // HOUR} hours: the "
            "endpoint, which costs money, is deleted. The version stays approved.",
            (NoteUnverified(newest.arn, current.now.isoformat(timespec="seconds")), DeleteEndpoint(name)),
        )
    if trial.status == "InService":
        return Plan(
            Outcome.VERIFY,
            f"Version {newest.number} is ready on endpoint {name}: its labelled photos are sent to it.",
            (VerifyVersion(newest.arn, wanted),),
        )
    return _failed(event, trial, config, newest) or Plan(
        Outcome.TRY_AGAIN, f"Endpoint {name} has failed: it is made anew.", (DeleteEndpoint(name),)
    )


def _failed(event: dict[str, Any], endpoint: Endpoint, wanted: str, newest: Version) -> Plan | None:
    """What follows when the endpoint was told to serve this version and does not; None where it is to be told again."""
    if endpoint.attempted != wanted or _is_about(event, newest):
        return None
    why = f"Version {newest.number} did not come into service: {endpoint.reason or 'the endpoint gave no reason'}"
    if _is_its_fault(endpoint):
        return Plan(Outcome.FELL_BACK, why, (RejectVersion(newest.arn, why),))
    if event.get("detail-type") in {PACKAGE_EVENT, ENDPOINT_EVENT}:
        return Plan(Outcome.STUCK, f"{why}. It stays approved, and is tried again within the hour.")
    return None


def _bookkeeping(event: dict[str, Any], current: Current, settings: Settings) -> tuple[Action, ...]:
    """What the history has to learn: who approved, and what the endpoint serves now."""
    actions: list[Action] = []
    newest, endpoint = current.newest, current.endpoint
    if newest is not None and _is_about(event, newest) and newest.decided_by not in {"", newest.approved_by}:
        actions.append(NoteApproval(newest.arn, newest.decided_by))
    if (
        endpoint is not None
        and endpoint.status == "InService"
        and endpoint.recorded != f"{endpoint.config_name}@{endpoint.since}"
    ):
        number = _number(endpoint.config_name)
        actions.append(RecordDeployment(endpoint.config_name, endpoint.since, number, endpoint.arn))
    return tuple(actions)


def _over(since: str, lasts: timedelta, now: datetime) -> bool:
    """Whether what began then and lasts so long is over; not where nothing says when it began."""
    return bool(since) and now - datetime.fromisoformat(since) > lasts


def _number(config: str) -> int:
    """The version in a name that `config_name` made; 0 for any other name."""
    ours = re.fullmatch(r".*-v(\d+)-[0-9a-f]{10}", config)
    return int(ours.group(1)) if ours else 0


def _is_about(event: dict[str, Any], version: Version) -> bool:
    return event.get("detail-type") == PACKAGE_EVENT and event.get("detail", {}).get("ModelPackageArn") == version.arn


def _is_its_fault(endpoint: Endpoint) -> bool:
    """Whether the endpoint gives evidence that the version last tried cannot serve."""
    reason = endpoint.reason.lower()
    if any(said in reason for said in NOT_THE_VERSION):
        return False
    return bool(reason) or endpoint.status in {"Failed", "UpdateRollbackFailed"}
