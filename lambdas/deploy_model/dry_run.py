"""What a dry run shows: the plans that follow one another if all goes well. Pure, as plan.py is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lambdas.deploy_model import actions
    from lambdas.deploy_model import plan as planning
else:
    import actions
    import plan as planning  # in Lambda this folder is the root

_MOST = 8


def course(event: dict[str, Any], current: planning.Current, settings: planning.Settings) -> list[planning.Plan]:
    """The plans from now until there is nothing left to do, at least one."""
    plans = [planning.plan_deployment(event, current, settings)]
    while len(plans) < _MOST and plans[-1].actions:
        current = _after(current, plans[-1], settings)
        plans.append(planning.plan_deployment({"detail-type": planning.ENDPOINT_EVENT}, current, settings))
    return plans


def _after(current: planning.Current, plan: planning.Plan, settings: planning.Settings) -> planning.Current:
    """What is, once the plan is performed and the endpoints have come to rest."""
    for action in plan.actions:
        match action:
            case actions.CreateEndpoint(name, config):
                made = planning.Endpoint("", "InService", config, attempted=config, recorded=f"{config}@")
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
            case actions.RecordDeployment(config, since, _, _) if current.endpoint is not None:
                current = replace(current, endpoint=replace(current.endpoint, recorded=f"{config}@{since}"))
    return current


def _with(
    current: planning.Current, name: str, endpoint: planning.Endpoint | None, settings: planning.Settings
) -> planning.Current:
    """The same with this endpoint there, or gone."""
    return replace(current, trial=endpoint) if name == settings.trial_name else replace(current, endpoint=endpoint)


def _changed(current: planning.Current, arn: str, **known: Any) -> planning.Current:
    """The same with what is now known of one of the approved versions."""
    versions = tuple(replace(each, **known) if each.arn == arn else each for each in current.approved)
    return replace(current, approved=versions)
