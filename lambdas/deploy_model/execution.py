"""Carries out the actions of a plan of DeployModel."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from . import actions, history, requests, verification
from .environment import Clients
from .reading import ATTEMPTED, SCALING, says
from .state import Settings
from .trigger import SHADOW

logger = logging.getLogger(__name__)


def execute(planned: tuple[actions.Action, ...], settings: Settings, clients: Clients) -> bool:
    """Carry out the actions in order; whether a version failed its verification.

    An action may be repeated: what exists under its name is what would have been made, and what is gone need not be
    deleted. Raises EndpointBusy where an endpoint is being changed, and ClientError for every other refusal.
    """
    rejected = False
    for action in planned:
        logger.info("%s", action)
        try:
            if isinstance(action, actions.VerifyVersion):
                rejected = not verification.verify(action, settings, clients) or rejected
            else:
                _execute(action, settings, clients)
        except ClientError as error:
            if says(error, "already exist"):
                continue
            if isinstance(action, actions.DeleteEndpoint) and says(error, "could not find"):
                continue
            if says(error, "in-progress"):
                raise verification.EndpointBusy(f"An endpoint is busy: {error}") from error
            raise
    return rejected


def _execute(action: actions.Action, settings: Settings, clients: Clients) -> None:
    """Carry out one action of a plan."""
    sagemaker = clients.sagemaker
    match action:
        case actions.CreateModel():
            sagemaker.create_model(**requests.model(action, settings))
        case actions.CreateEndpointConfig():
            sagemaker.create_endpoint_config(**requests.endpoint_config(action, settings))
        case actions.CreateEndpoint(name, config):
            tags = [{"Key": ATTEMPTED, "Value": config}]
            sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tags)
        case actions.UpdateEndpoint(config, endpoint_arn, watched):
            guard = requests.deployment(settings) if watched and not _alarm_is_on(settings, clients) else {}
            sagemaker.update_endpoint(**requests.update(config, settings), **guard)
            # After the update, not before: an update that was refused is no attempt.
            sagemaker.add_tags(ResourceArn=endpoint_arn, Tags=[{"Key": ATTEMPTED, "Value": config}])
        case actions.ForgetAttempt(endpoint_arn):
            sagemaker.add_tags(ResourceArn=endpoint_arn, Tags=[{"Key": ATTEMPTED, "Value": "none"}])
        case actions.DeleteEndpoint(name):
            sagemaker.delete_endpoint(EndpointName=name)
        case actions.RejectVersion(package_arn, reason):
            verification.reject(package_arn, reason, {}, clients)
        case actions.RejectShadow(package_arn, reason):
            stage = {**SHADOW, "StageStatus": "Rejected", "StageDescription": " ".join(reason.split())[:1024]}
            sagemaker.update_model_package(ModelPackageArn=package_arn, ModelLifeCycle=stage)
        case actions.NoteApproval(package_arn, who):
            metadata = {"approved_by": verification.metadata_text(who)}
            sagemaker.update_model_package(ModelPackageArn=package_arn, CustomerMetadataProperties=metadata)
        case actions.NoteUnverified(package_arn, at):
            metadata = {"verification": "given up", "verification_given_up": at}
            sagemaker.update_model_package(ModelPackageArn=package_arn, CustomerMetadataProperties=metadata)
        case actions.RecordDeployment():
            history.record(action, settings, clients)
        case actions.ScaleEndpoint(endpoint_arn, scaling):
            _scale(endpoint_arn, scaling, settings, clients)
        case actions.DeleteStored(name):
            for config in _configurations(name, sagemaker):
                _unless_gone(sagemaker.delete_endpoint_config, EndpointConfigName=config)
            _unless_gone(sagemaker.delete_model, ModelName=name)


def _scale(endpoint_arn: str, scaling: str, settings: Settings, clients: Clients) -> None:
    """Tell Application Auto Scaling how the endpoint scales ("none": not at all), and tag the endpoint with it."""
    if scaling == "none":
        try:
            clients.autoscaling.deregister_scalable_target(**requests.scalable_target(settings))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ObjectNotFoundException":
                raise
    else:
        target, policy = requests.scaling(settings)
        clients.autoscaling.register_scalable_target(**target)
        clients.autoscaling.put_scaling_policy(**policy)
    clients.sagemaker.add_tags(ResourceArn=endpoint_arn, Tags=[{"Key": SCALING, "Value": scaling}])


def _configurations(name: str, sagemaker: Any) -> list[str]:
    """The configurations that serve this model: its own, the trial's, and those in which it had a shadow."""
    pages = sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=name)
    return [config["EndpointConfigName"] for page in pages for config in page["EndpointConfigs"]]


def _unless_gone(delete: Callable[..., Any], **name: str) -> None:
    """Delete something that may have been deleted before."""
    try:
        delete(**name)
    except ClientError as error:
        if not says(error, "could not find"):
            raise


def _alarm_is_on(settings: Settings, clients: Clients) -> bool:
    """Whether an alarm is in state ALARM before the update: then it cannot tell whether the new version is at fault."""
    names = list(settings.rollback_alarms)
    if not (names and settings.bake_seconds):
        return False
    alarms = clients.cloudwatch.describe_alarms(AlarmNames=names, StateValue="ALARM")["MetricAlarms"]
    if alarms:
        logger.warning("Alarm %s is on already: the update is not watched", alarms[0]["AlarmName"])
    return bool(alarms)
