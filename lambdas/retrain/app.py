"""The handler of Retrain, `retrain.app.handler`: an alarm, the schedule or a person in; the plan out."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from .execution import execute
from .plan import Settings, plan_retraining
from .reading import Clients, read_state

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logging.basicConfig(level=logging.INFO)  # without effect in Lambda, whose runtime has set a handler
logging.getLogger("botocore").setLevel(logging.WARNING)
logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Plan retraining from the current state and start it if it is due; returns the plan as JSON.

    Two members of the event are read: `{"dry_run": true}` starts nothing, `{"by_hand": true}` needs no alarm.
    """
    settings = Settings(
        min_labels=int(os.environ["MIN_NEW_LABELS"]),
        cool_down_hours=float(os.environ["COOL_DOWN_HOURS"]),
        recent_percent=int(os.environ["RECENT_TEST_PERCENT"]),
        most=int(os.environ["MAX_LABELLED_PHOTOS"]),
    )
    clients = Clients(*_boto3_clients(), bucket=os.environ["BUCKET_NAME"], stage=os.environ["STAGE_NAME"])
    return retrain(event, settings, clients, datetime.now(UTC))


def retrain(event: dict[str, Any], settings: Settings, clients: Clients, now: datetime) -> dict[str, Any]:
    """The plan as JSON, with `execution`, the ARN of what was started."""
    plan = plan_retraining(read_state(clients, now), settings, by_hand=bool(event.get("by_hand")))
    logger.info("%s: %s", plan.outcome.value, plan.because)
    started = "" if event.get("dry_run") else execute(plan, clients, now)
    return {**plan.as_json(), "execution": started}


@cache
def _boto3_clients() -> tuple[Any, Any]:
    config = Config(
        connect_timeout=2, read_timeout=20, max_pool_connections=32, retries={"mode": "standard", "max_attempts": 4}
    )
    return boto3.client("s3", config=config), boto3.client("sagemaker", config=config)
