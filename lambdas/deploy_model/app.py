"""The handler of DeployModel, `deploy_model.app.handler`, and the loop of plan and execution."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import actions, dry_run, metrics, trigger
from .environment import Clients, read_clients, read_settings
from .execution import execute
from .plan import Outcome, Plan, plan_deployment
from .reading import as_if_decided, read_current
from .state import Settings
from .verification import EndpointBusy

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logging.basicConfig(level=logging.INFO)  # without effect in Lambda, whose runtime has set a handler
logging.getLogger("botocore").setLevel(logging.WARNING)
logger = logging.getLogger(__name__)

POLL_SECONDS = 5
RESERVED_SECONDS = 230
"""Kept for the last round, in which a verification may take VerifyEndpoint's whole time."""
MAX_VERIFICATIONS = 4
"""In one invocation: each is followed by a plan of what comes of it, which may be to verify the next newest version."""

Wait = Callable[[], bool]
"""Waits a moment for an endpoint that is busy; False, at once, when there is no time left for another round."""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """An EventBridge event in, the last plan that was carried out as the answer; with `{"dry_run": true}` a preview."""

    def wait() -> bool:
        if context.get_remaining_time_in_millis() < 1000 * (RESERVED_SECONDS + POLL_SECONDS):
            return False
        time.sleep(POLL_SECONDS)
        return True

    environment = dict(os.environ)
    settings, clients = read_settings(environment), read_clients(environment)
    if event.get("dry_run"):
        return preview(event, settings, clients)
    return converge(event, settings, clients, wait)


def preview(event: dict[str, Any], settings: Settings, clients: Clients) -> dict[str, Any]:
    """The next plan, and under `course` every plan that would follow if all goes well. Changes nothing.

    The event may hold a `detail` with `ModelPackageArn` and `ModelApprovalStatus`: a decision that is then taken as
    given.
    """
    asked = trigger.parse(event)
    current = as_if_decided(asked, read_current(settings, clients), clients)
    plans = dry_run.course(asked, current, settings)
    return {**plans[0].as_json(), "course": [plan.as_json() for plan in plans]}


def converge(event: dict[str, Any], settings: Settings, clients: Clients, wait: Wait) -> dict[str, Any]:
    """Plan from what SageMaker says now and carry the plan out, until nothing is left to do now; the last plan.

    An endpoint that is being deleted raises no event when it is gone, so `wait` is called and a new plan made. If there
    is no time left the function ends without an error: the schedule goes on with it. Raises ClientError for a refused
    call and NotVerified where a verification failed itself; then Lambda delivers the event again.
    """
    asked = trigger.parse(event)
    if updated := (event.get("detail") or {}).get("UpdatedModelPackageFields"):
        logger.info("An update of %s set %s.", asked.package_arn, ", ".join(updated))
    try:
        return _converge(asked, settings, clients, wait).as_json()
    except Exception:
        metrics.count(True, settings.endpoint_name)
        raise


def _converge(event: trigger.Trigger, settings: Settings, clients: Clients, wait: Wait) -> Plan:
    """Plan and act until nothing is left to do, or `wait` says that the time is over; return the last plan."""
    needs_a_person, verifications = False, 0
    while True:
        # What is stored is looked at by the schedule: once an hour is often enough to prune.
        current = read_current(settings, clients, stored=event.kind is trigger.Kind.SCHEDULE)
        plan = plan_deployment(event, current, settings)
        logger.log(logging.ERROR if plan.outcome.needs_a_person else logging.INFO, plan.because)
        try:
            rejected = execute(plan.actions, settings, clients)
        except EndpointBusy as error:
            plan, rejected = Plan(Outcome.TRY_AGAIN, str(error)), False
        needs_a_person = needs_a_person or rejected or plan.outcome.needs_a_person
        verified = any(isinstance(action, actions.VerifyVersion) for action in plan.actions)
        verifications += verified
        again = verifications < MAX_VERIFICATIONS if verified else plan.outcome is Outcome.TRY_AGAIN and wait()
        if not again:
            metrics.count(needs_a_person, settings.endpoint_name)
            return plan
