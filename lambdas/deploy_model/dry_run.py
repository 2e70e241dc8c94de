"""The dry run: the plans that would follow one another if all goes well. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import actions
from .plan import Plan, plan_deployment
from .state import Current, Endpoint, Settings
from .trigger import Kind, Trigger

MAX_PLANS = 8


def course(event: Trigger, current: Current, settings: Settings) -> list[Plan]:
    """The plans from now until there is nothing left to do: at least one, at most MAX_PLANS."""
    plans = [plan_deployment(event, current, settings)]
    while len(plans) < MAX_PLANS and plans[-1].actions:
        current = _after(current, plans[-1], settings)
        plans.append(plan_deployment(Trigger(Kind.ENDPOINT), current, settings))
    return plans


def _after(current: Current, plan: Plan, settings: Settings) -> Current:
    """The state once the plan is carried out and the endpoints have come to rest."""
    for action in plan.actions:
        match action:
            case actions.CreateEndpoint(name, config):
                made = Endpoint("", "InService", config, attempted=config, recorded=f"{config}@")
                current = _with(current, name, made, settings)
            case actions.UpdateEndpoint(config, _, _) if current.endpoint is not None:
                updated = replace(
                    current.endpoint, config_name=config, attempted=config, status="InService", reason="", since="",
                    recorded=f"{config}@",
                )  # fmt: skip
                current = replace(current, endpoint=updated)
            case actions.ForgetAttempt(_) if current.endpoint is not None:
                current = replace(current, endpoint=replace(current.endpoint, attempted=""))
            case actions.DeleteEndpoint(name):
                current = _with(current, name, None, settings)
            case actions.VerifyVersion(arn, config):
                current = _changed(current, arn, passed_as=config)
            case actions.NoteApproval(arn, who):
                current = _changed(current, arn, approved_by=who)
            case actions.NoteUnverified(arn, at):
                current = _changed(current, arn, given_up=at, decided_by="")
            case actions.RejectVersion(arn, _):
                left = tuple(version for version in current.approved if version.arn != arn)
                current = replace(current, approved=left)
            case actions.RejectShadow(_, _):
                current = replace(current, shadow=None)
            case actions.ScaleEndpoint(_, scaling) if current.endpoint is not None:
                current = replace(current, endpoint=replace(current.endpoint, scaling=scaling))
            case actions.DeleteStored(name):
                current = replace(current, stored=tuple(other for other in current.stored if other != name))
            case actions.RecordDeployment(config, since, _, _, _) if current.endpoint is not None:
                current = replace(current, endpoint=replace(current.endpoint, recorded=f"{config}@{since}"))
    return current


def _with(current: Current, name: str, endpoint: Endpoint | None, settings: Settings) -> Current:
    """The state with this endpoint in place of the one of that name; None for its deletion."""
    return replace(current, trial=endpoint) if name == settings.trial_name else replace(current, endpoint=endpoint)


def _changed(current: Current, arn: str, **known: Any) -> Current:
    """The state with other values in one of the approved versions."""
    versions = tuple(replace(each, **known) if each.arn == arn else each for each in current.approved)
    return replace(current, approved=versions)
