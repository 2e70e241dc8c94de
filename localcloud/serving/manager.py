"""Deploys, updates, deletes and restores endpoints, and knows which fleet of servers answers for each.

An endpoint's document holds the deployment in service and the one in progress (see `deployment.py`). A deployment
therefore continues after a restart even if its configuration or models were deleted meanwhile.
"""

import importlib
import logging
import random
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.api import pick, tags
from localcloud.cloud import Cloud
from localcloud.iam.identities import Identity
from localcloud.sandbox.leftovers import NOTE, end_leftovers
from localcloud.sandbox.process import Launchers, SandboxError
from localcloud.sandbox.sandbox import Sandbox
from localcloud.serving import shift
from localcloud.serving.capture import Recorder
from localcloud.serving.deployment import KIND, Deployment, in_progress, in_service, live, pending
from localcloud.serving.fleet import Fleet
from localcloud.serving.metrics import Metrics
from localcloud.serving.variant import DeployError, ServiceError

logger = logging.getLogger("localcloud")

_LONGEST_REASON = 1024
_LOOK_EVERY = 0.5
# In these states an endpoint does not answer, and will not without a new request to change it.
_OVER = ("Failed", "Deleting")


class Manager:
    """The endpoints of one local cloud."""

    def __init__(self, cloud: Cloud, sandbox: Sandbox, launchers: Launchers) -> None:
        self._cloud = cloud
        self._sandbox, self._launchers = sandbox, launchers
        self._stopping = threading.Event()
        self._routing = threading.Lock()
        self._writers: dict[str | None, Identity] = {}
        self.routes: dict[str, Fleet] = {}
        """The fleet that answers for an endpoint. Replaced in one step; read by the event loop without a lock."""
        self.shifting: dict[str, tuple[Fleet, float]] = {}
        """During an update: the new fleet and its share of the requests (0 to 1)."""
        self.starting: set[str] = set()
        """Endpoints in service whose servers are starting after a restart of the local cloud: requests to them wait."""
        self._resumed = False
        self.recorder = Recorder(cloud.settings.endpoints_dir / ".captures", self.s3_as)
        self.metrics = Metrics(lambda: cloud.client("cloudwatch"))

    def s3_as(self, role: str | None) -> Any:
        """Return an S3 client with the credentials of a model's role, for writing captured requests."""
        if role not in self._writers:
            self._writers[role] = self._cloud.identities.assume(role)
        return self._writers[role].client("s3")

    def fleet_of(self, name: str) -> Fleet | None:
        """Return the fleet for the next request, or None; during an update chosen by chance with the present share."""
        moving = self.shifting.get(name)
        if moving is not None and random.random() < moving[1]:  # noqa: S311 - not a secret
            return moving[0]
        return self.routes.get(name)

    @property
    def stopping(self) -> bool:
        """Whether the local cloud is stopping: endpoints no longer answer."""
        return self._stopping.is_set()

    def awaited(self, name: str) -> bool:
        """Whether an endpoint without a fleet is in service, its servers still starting after a restart."""
        if self._resumed or name in self.starting:
            return name in self.starting
        # Requests are accepted before `resume` has seen every endpoint.
        document = self._cloud.store.get(KIND, name)
        return document is not None and live(document) is not None and document["EndpointStatus"] not in _OVER

    # Operations; each runs in its own thread

    def begin(self, name: str) -> None:
        """Start the pending deployment of an endpoint."""
        self._cloud.runner.start(f"deploy-{name}", self._deploy, name)

    def begin_weights(self, name: str, wanted: list[dict[str, Any]]) -> None:
        """Start to change weights and instance counts of an endpoint's variants (DesiredWeightsAndCapacities)."""
        self._cloud.runner.start(f"scale-{name}", self._reweigh, name, wanted)

    def begin_delete(self, name: str) -> None:
        """Start to stop an endpoint's servers and delete its document and files."""
        self._cloud.runner.start(f"delete-{name}", self._delete, name)

    def _deploy(self, name: str) -> None:
        """Start an endpoint's pending deployment, shift traffic to it, stop the old servers; roll back on failure."""
        document = self._cloud.store.get(KIND, name)
        if document is None:
            return
        deployment = pending(document)
        if deployment is None:
            return
        fleet = self._fleet(name, deployment)
        try:
            fleet.start()
        except Exception as error:  # any error: the endpoint must not stay in Creating
            if not self._stopping.is_set():
                self._give_up(name, _reason(error))
                fleet.remove()
            return
        old = self.routes.get(name)
        reason = self._shift(name, fleet, deployment.deployment_config) if old is not None else None
        if reason is not None:
            self.shifting.pop(name, None)
            if not self._stopping.is_set():
                self._change(name, lambda d: d.update(EndpointStatus="RollingBack", **in_progress(None)))
                fleet.drain()
            fleet.stop()
            if not self._stopping.is_set():
                self._give_up(name, reason)
                fleet.remove()
            return
        if not self._route(name, fleet):
            return

        def deployed(document: dict[str, Any]) -> None:
            document.update(
                EndpointConfigName=deployment.endpoint_config_name,
                EndpointStatus="InService",
                LastModifiedTime=self._cloud.clock(),
                FailureReason=None,
                DataCaptureConfig=deployment.capture_summary(),
                LastDeploymentConfig=deployment.deployment_config,
                **in_service(deployment),
            )

        self._change(name, deployed)
        if old is not None:
            # Blue/green: the old servers finish their requests, wait TerminationWaitInSeconds, and are stopped.
            policy = (deployment.deployment_config or {}).get("BlueGreenUpdatePolicy") or {}
            old.drain()
            self._stopping.wait(policy.get("TerminationWaitInSeconds", 0))
            old.stop()
            if not self._stopping.is_set():
                old.remove()

    def _shift(self, name: str, fleet: Fleet, deployment: dict[str, Any] | None) -> str | None:
        """Move requests to the new fleet in steps while watching alarms; return None, or why it was not completed."""
        watched, most = shift.alarms(deployment), shift.longest(deployment)
        started = time.monotonic()
        for step in shift.steps(deployment, fleet.size):
            self.shifting[name] = (fleet, step.share)
            until = time.monotonic() + step.seconds
            while True:
                if self._stopping.is_set():
                    return "The local cloud was stopped"
                ringing = self._ringing(watched)
                if ringing:
                    return f"The update was rolled back: the alarm {', '.join(ringing)} is in the state ALARM."
                if most is not None and time.monotonic() - started > most:
                    return f"The update was rolled back: it was not done within {most:.0f} s."
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._stopping.wait(min(left, _LOOK_EVERY))
        return None

    def _ringing(self, names: list[str]) -> list[str]:
        """Return which of the alarms are in state ALARM; all of them when CloudWatch cannot be asked."""
        if not names:
            return []
        try:
            listed = self._cloud.client("cloudwatch").describe_alarms(AlarmNames=names, StateValue="ALARM")
        except (BotoCoreError, ClientError):
            logger.exception("alarms cannot be read: the update is rolled back")
            return names
        return [alarm["AlarmName"] for alarm in listed["MetricAlarms"]]

    def _give_up(self, name: str, reason: str) -> None:
        """Store a failed deployment: a new endpoint becomes Failed, an updated one stays InService as it was."""
        logger.warning("endpoint %s: %s", name, reason)

        def failed(document: dict[str, Any]) -> None:
            document.update(
                EndpointStatus="InService" if live(document) else "Failed",
                FailureReason=reason[:_LONGEST_REASON],
                LastModifiedTime=self._cloud.clock(),
                **in_progress(None),
            )

        self._change(name, failed)

    def _reweigh(self, name: str, wanted: list[dict[str, Any]]) -> None:
        """Apply new weights and instance counts of variants (`wanted`); a failure is stored as the FailureReason."""
        fleet = self.routes[name]
        reason = None
        for one in wanted:
            variant = next(v for v in fleet.variants if v.name == one["VariantName"])
            try:
                if "DesiredInstanceCount" in one:
                    fleet.scale(variant, one["DesiredInstanceCount"])
                if "DesiredWeight" in one:
                    variant.spec = replace(variant.spec, weight=one["DesiredWeight"])
            except (DeployError, OSError) as error:
                reason = _reason(error)[:_LONGEST_REASON]

        def changed(document: dict[str, Any]) -> None:
            served = live(document)
            if served is not None:
                document.update(in_service(replace(served, variants=[variant.spec for variant in fleet.variants])))
            document.update(EndpointStatus="InService", FailureReason=reason, LastModifiedTime=self._cloud.clock())

        self._change(name, changed)

    def _delete(self, name: str) -> None:
        """Stop the endpoint's servers once no request is under way, then delete its document and files."""
        fleet = self.routes.pop(name, None)
        if fleet is not None:
            fleet.drain()
            fleet.remove()
        self._cloud.store.delete(KIND, name)
        shutil.rmtree(self._cloud.settings.endpoints_dir / name, ignore_errors=True)

    def _restore(self, name: str, then: Callable[[str], None] | None) -> None:
        """Start the servers of an endpoint in service again, then call `then` (the pending deployment)."""
        document = self._cloud.store.get(KIND, name)
        deployment = live(document) if document is not None else None
        if deployment is None:
            return
        fleet = self._fleet(name, deployment)
        try:
            fleet.start()
        except Exception as error:  # as in _deploy
            reason = _reason(error)[:_LONGEST_REASON]
            if not self._stopping.is_set():
                self._change(name, lambda d: d.update(EndpointStatus="Failed", FailureReason=reason))
            self.starting.discard(name)
            return
        self._route(name, fleet)
        self.starting.discard(name)
        if then is not None:
            then(name)

    # Start and stop of the cloud

    def resume(self) -> None:
        """Continue every endpoint where it was at the last stop. Returns at once; servers start in the background."""
        directory = self._cloud.settings.endpoints_dir
        _end_leftovers(directory)
        keep = set()
        for document in self._cloud.store.documents(KIND):
            name, status = document["EndpointName"], document["EndpointStatus"]
            served, wanted = live(document), pending(document)
            keep |= {(name, deployment.directory) for deployment in (served, wanted) if deployment}
            if status == "Deleting":
                self.begin_delete(name)
            elif served and status not in _OVER:
                self.starting.add(name)
                if status in ("Updating", "RollingBack") and not wanted:
                    # A change of weights or a rollback was interrupted: the deployment in service stays.
                    self._change(name, lambda d: d.update(EndpointStatus="InService"))
                self._cloud.runner.start(f"restore-{name}", self._restore, name, self._deploy if wanted else None)
            elif wanted:
                self.begin(name)
        self._resumed = True
        for place in directory.glob("*/*"):
            if (place.parent.name, place.name) not in keep and not place.parent.name.startswith("."):
                shutil.rmtree(place, ignore_errors=True)

    def stop(self) -> None:
        """Let requests under way be answered, stop all servers, and send the captures."""
        with self._routing:
            self._stopping.set()
            fleets = list(self.routes.values())
            self.routes, self.shifting = {}, {}
        deadline = time.monotonic() + 10
        for fleet in fleets:
            fleet.drain(max(0.0, deadline - time.monotonic()))
        threads = [threading.Thread(target=fleet.stop) for fleet in fleets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.recorder.stop()
        self.metrics.stop()

    def _route(self, name: str, fleet: Fleet) -> bool:
        """Let a fleet answer for an endpoint from now on; a cloud that is stopping does not, and stops the fleet."""
        with self._routing:
            if not self._stopping.is_set():
                self.routes[name] = fleet
                self.shifting.pop(name, None)
                return True
        fleet.stop()
        return False

    def _fleet(self, name: str, deployment: Deployment) -> Fleet:
        # Needed at the first request, which shall not wait for it on the event loop.
        importlib.import_module("localcloud.serving.exchange")
        directory = self._cloud.settings.endpoints_dir / name / deployment.directory
        return Fleet(self._cloud, name, directory, deployment, self._stopping, self._sandbox, self._launchers)

    def _change(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the endpoint's document and tell the bus."""
        announce(self._cloud, self._cloud.store.update(KIND, name, change))


def _reason(error: Exception) -> str:
    """A deployment's failure as FailureReason says it; what nobody foresaw goes to the log with its traceback."""
    if isinstance(error, DeployError):
        return str(error)
    logger.error("a deployment failed", exc_info=error)
    if isinstance(error, SandboxError):
        return str(ServiceError(f"This machine did not start the endpoint's process: {error}"))
    if isinstance(error, OSError):
        return str(ServiceError(f"The endpoint's files cannot be written: {error.strerror or error}"))
    return str(ServiceError(f"{type(error).__name__}: {error}"))


_EVENT_STATUS = {
    "InService": "IN_SERVICE",
    "OutOfService": "OUT_OF_SERVICE",
    "Creating": "CREATING",
    "Updating": "UPDATING",
    "RollingBack": "ROLLING_BACK",
    "Deleting": "DELETING",
    "Failed": "FAILED",
}


def announce(cloud: Cloud, document: dict[str, Any]) -> None:
    """Publish SageMaker Endpoint State Change, as AWS documents it: times in milliseconds since 1970."""
    deployment = live(document) or pending(document)
    detail = {
        **pick(document, "EndpointName", "EndpointArn", "EndpointConfigName", "FailureReason"),
        "ProductionVariants": [variant.summary() for variant in deployment.variants] if deployment else [],
        "EndpointStatus": _EVENT_STATUS[document["EndpointStatus"]],
        "CreationTime": int(document["CreationTime"] * 1000),
        "LastModifiedTime": int(document["LastModifiedTime"] * 1000),
        "Tags": tags.shown(cloud.store, document["EndpointArn"]),
    }
    cloud.events.put("SageMaker Endpoint State Change", [document["EndpointArn"]], detail)


def _end_leftovers(directory: Path) -> None:
    """End servers that a killed local cloud left running, and remove their directories."""
    notes = list(directory.glob(f"*/*/*/*/{NOTE}"))
    end_leftovers(notes, directory)
    for note in notes:
        shutil.rmtree(note.parent, ignore_errors=True)
