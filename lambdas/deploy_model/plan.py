"""What DeployModel decides: from the trigger, the approved versions and the endpoints to a list of actions. Pure.

The endpoint converges to the newest approved version, and a version comes to it only after it was verified on a trial
endpoint, which exists for that long. Names are made from the version and from what it is deployed with, so "is it
live?" is one comparison of names, an action done twice is harmless, and going back reuses what exists. The order of
events, or how often they come, does not matter: a plan is made from the state that was read when one arrived.

Once the right version serves, the version that is to be its shadow gets copies of its requests. A shadow begins and
ends by an update of its own, so what fails in it is never the fault of the version that answers, or the other way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from .actions import (
    Action,
    CreateEndpoint,
    CreateEndpointConfig,
    CreateModel,
    DeleteEndpoint,
    DeleteStored,
    ForgetAttempt,
    NoteApproval,
    NoteUnverified,
    RecordDeployment,
    RejectShadow,
    RejectVersion,
    ScaleEndpoint,
    UpdateEndpoint,
    VerifyVersion,
)
from .state import (
    Current,
    Endpoint,
    Settings,
    Version,
    config_name,
    live_config_name,
    shadow_config_name,
    shadow_number,
    trial_config_name,
    version_number,
)
from .trigger import Kind, Trigger

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


class Outcome(StrEnum):
    """What the plan means to whoever reads the log."""

    NOTHING_APPROVED = "nothing approved"  # and nothing served: the state before the first approval
    LIVE = "live"
    VERIFY = "verify"
    DEPLOY = "deploy"
    SHADOW = "shadow"  # the right version serves; its shadow begins or ends
    WAIT = "wait"  # an endpoint is busy; its state change brings the next event
    TRY_AGAIN = "try again"  # an endpoint is being deleted, which brings no event: plan again in a moment
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
    Outcome.SHADOW,
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


def plan_deployment(trigger: Trigger, current: Current, settings: Settings) -> Plan:
    """The actions that bring the endpoint to the newest approved version.

    A version that was tried and failed loses its approval, with the reason, and the next newest takes its turn: so
    nothing is tried for ever. Where nothing says that the version is at fault (SageMaker had no machine for it, or
    someone changed the endpoint by hand) it keeps its approval, and is tried again by the schedule, not by the
    endpoint's own events: those come with each attempt. The trigger decides one thing only: whether a version is to be
    tried once more.
    """
    plan = _converge(trigger, current, settings)
    actions, trial = plan.actions, current.trial
    if trial is not None and plan.outcome in _TRIAL_IS_OVER and trial.status in SETTLED | {"Failed"}:
        over = DeleteEndpoint(settings.trial_name)
        # The account's quota may have no machine beside the trial's. A rejection is written down before anything else.
        first = plan.outcome in {Outcome.DEPLOY, Outcome.SHADOW}
        actions = (over, *actions) if first else (*actions, over)
    bookkeeping = _bookkeeping(trigger, current, settings)
    pruning = _pruning(current, settings) if plan.outcome is Outcome.LIVE and trial is None else ()
    return Plan(plan.outcome, plan.because, (*bookkeeping, *actions, *pruning))


def _converge(trigger: Trigger, current: Current, settings: Settings) -> Plan:
    """Return the plan that brings the endpoint to the newest approved version."""
    endpoint, newest = current.endpoint, current.newest
    if newest is None:
        if endpoint is None:
            return Plan(
                Outcome.NOTHING_APPROVED, f"No version of {settings.package_group} is approved: nothing to deploy."
            )
        unapproved = Plan(
            Outcome.UNAPPROVED_SERVES,
            f"No version of {settings.package_group} is approved any more, and endpoint {settings.endpoint_name} stays "
            f"{endpoint.status} with {endpoint.config_name}: approve a version, or delete the endpoint.",
        )
        return _shadow(trigger, endpoint, current.shadow, unapproved, settings)

    wanted = config_name(newest, settings)
    if endpoint is not None:
        if endpoint.status == "Deleting":
            return Plan(Outcome.TRY_AGAIN, f"Endpoint {settings.endpoint_name} is being deleted.")
        if endpoint.status not in SETTLED | {"Failed"}:
            return Plan(
                Outcome.WAIT, f"Endpoint {settings.endpoint_name} is {endpoint.status}; its next state change decides."
            )
        if live_config_name(endpoint.config_name, settings) == wanted and endpoint.status == "InService":
            other = settings.scaling != endpoint.scaling
            scale = (ScaleEndpoint(endpoint.arn, settings.scaling),) if other else ()
            live = Plan(Outcome.LIVE, f"Version {newest.number} is live.", scale)
            return _shadow(trigger, endpoint, current.shadow, live, settings)
    if not newest.servable:
        why = _no_container(newest)
        return Plan(Outcome.FELL_BACK, why, (RejectVersion(newest.arn, why),))
    if newest.passed_as != wanted:
        return _verification(trigger, current, newest, wanted, settings)
    failed = None if endpoint is None else _failed(trigger, endpoint, wanted, newest)
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
    # A variant that scales by itself is not updated: it scales again once the new version is live.
    fixed = (ScaleEndpoint(endpoint.arn, "none"),) if endpoint.scaling != "none" else ()
    return Plan(
        Outcome.DEPLOY,
        f"Version {newest.number} takes the place of {endpoint.config_name}.",
        (
            *prepare,
            *fixed,
            UpdateEndpoint(
                wanted, endpoint.arn, watched=version_number(endpoint.config_name, settings) < newest.number
            ),
        ),
    )


def _no_container(version: Version) -> str:
    return f"Version {version.number} was registered without a container that could be served."


def _no_shadow(version: Version, settings: Settings) -> str:
    """Why the version cannot be a shadow, however often it is tried; "" if it can."""
    if settings.serverless_memory_mb:
        return "SageMaker has no shadow variants for serverless endpoints."
    return "" if version.servable else _no_container(version)


def _shadow(trigger: Trigger, endpoint: Endpoint, shadow: Version | None, resting: Plan, settings: Settings) -> Plan:
    """Begin or end a shadow beside what the endpoint serves; `resting` is the plan where neither is to be done."""
    live = live_config_name(endpoint.config_name, settings)
    number = version_number(live, settings)
    if shadow is not None and shadow.number == number:
        shadow = None  # it answers already: no approved version took its place
    wanted = shadow_config_name(live, shadow, settings) if shadow else live
    if endpoint.status != "InService" or not number:
        return resting
    if endpoint.config_name == wanted:
        copies = f" Version {shadow.number} gets copies of its requests." if shadow else ""
        return replace(resting, because=resting.because + copies)
    fixed = (ScaleEndpoint(endpoint.arn, "none"),) if endpoint.scaling != "none" else ()
    update = UpdateEndpoint(wanted, endpoint.arn)
    if shadow is None:
        before = shadow_number(endpoint.config_name, settings)
        return Plan(
            Outcome.SHADOW,
            f"Version {before} gets no more copies of the requests to version {number}.",
            (CreateEndpointConfig(live, live), *fixed, update),
        )
    if why := _no_shadow(shadow, settings):
        return replace(resting, because=why, actions=(*resting.actions, RejectShadow(shadow.arn, why)))
    if endpoint.attempted == wanted:
        said = endpoint.reason or "the endpoint gave no reason"
        why = f"Version {shadow.number} did not become a shadow: {said}"
        if _is_its_fault(endpoint):
            # Forgotten first: if the second fails it is tried once more, and not refused for ever.
            refused = (ForgetAttempt(endpoint.arn), RejectShadow(shadow.arn, why))
            return replace(resting, because=why, actions=(*resting.actions, *refused))
        if trigger.kind in {Kind.PACKAGE, Kind.ENDPOINT}:
            return replace(resting, because=f"{why}. It is tried again within the hour.")
    model = config_name(shadow, settings)
    return Plan(
        Outcome.SHADOW,
        f"Version {shadow.number} is to get copies of {shadow.share:.0%} of the requests to version {number}.",
        (
            CreateModel(model, shadow.arn, shadow.number),
            CreateEndpointConfig(wanted, live, shadow=model, share=shadow.share),
            *fixed,
            update,
        ),
    )


def _verification(trigger: Trigger, current: Current, newest: Version, wanted: str, settings: Settings) -> Plan:
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
    approved_now = trigger.approves(newest.arn)
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
    return _failed(trigger, trial, config, newest) or Plan(
        Outcome.TRY_AGAIN, f"Endpoint {name} has failed: it is made anew.", (DeleteEndpoint(name),)
    )


def _failed(trigger: Trigger, endpoint: Endpoint, wanted: str, newest: Version) -> Plan | None:
    """What follows when the endpoint was told to serve this version and does not; None where it is to be told again."""
    if endpoint.attempted != wanted or trigger.approves(newest.arn):
        return None
    why = f"Version {newest.number} did not come into service: {endpoint.reason or 'the endpoint gave no reason'}"
    if _is_its_fault(endpoint):
        return Plan(Outcome.FELL_BACK, why, (RejectVersion(newest.arn, why),))
    if trigger.kind in {Kind.PACKAGE, Kind.ENDPOINT}:
        return Plan(Outcome.STUCK, f"{why}. It stays approved, and is tried again within the hour.")
    return None


def _bookkeeping(trigger: Trigger, current: Current, settings: Settings) -> tuple[Action, ...]:
    """What the history has to learn: who approved, and what the endpoint serves now."""
    actions: list[Action] = []
    newest, endpoint = current.newest, current.endpoint
    if newest is not None and trigger.approves(newest.arn) and newest.decided_by not in {"", newest.approved_by}:
        actions.append(NoteApproval(newest.arn, newest.decided_by))
    if (
        endpoint is not None
        and endpoint.status == "InService"
        # Not by its time: SageMaker changes LastModifiedTime for more than another configuration.
        and endpoint.recorded.partition("@")[0] != endpoint.config_name
    ):
        number, shadow = (of(endpoint.config_name, settings) for of in (version_number, shadow_number))
        actions.append(RecordDeployment(endpoint.config_name, endpoint.since, number, endpoint.arn, shadow))
    return tuple(actions)


def _pruning(current: Current, settings: Settings) -> tuple[Action, ...]:
    """Delete what is stored of all but the newest `keep_versions` versions, the one that serves, and its shadow."""
    if not settings.keep_versions:
        return ()
    numbers = {name: version_number(name, settings) for name in current.stored}
    kept = sorted(set(numbers.values()), reverse=True)[: settings.keep_versions]
    config = current.endpoint.config_name if current.endpoint else ""
    serving, shadow = live_config_name(config, settings), shadow_number(config, settings)
    return tuple(
        DeleteStored(name) for name in sorted(numbers) if numbers[name] not in {*kept, shadow} and name != serving
    )


def _over(since: str, lasts: timedelta, now: datetime) -> bool:
    """Whether what began then and lasts so long is over; not where nothing says when it began."""
    return bool(since) and now - datetime.fromisoformat(since) > lasts


def _is_its_fault(endpoint: Endpoint) -> bool:
    """Whether the endpoint gives evidence that the version last tried cannot serve."""
    reason = endpoint.reason.lower()
    if any(said in reason for said in NOT_THE_VERSION):
        return False
    return bool(reason) or endpoint.status in {"Failed", "UpdateRollbackFailed"}
