"""Lambda CheckConfidence: route the driver if the model is sure enough, else say so.

Entry point: check_confidence.app.handler.

Makes no AWS call and imports no SDK: it starts in milliseconds. The routes are data, in routes.json beside this file.
"""

# An exception is named for its condition: the name is what the state machine matches.
# ruff: noqa: N818

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logging.basicConfig(level=logging.INFO)  # without effect in Lambda, whose runtime has set a handler
logger = logging.getLogger(__name__)

ACCEPT_NOTHING = 1.01
"""A threshold that no confidence reaches."""
ROUTES_FILE = Path(__file__).with_name("routes.json")


class ConfidenceThresholdNotMet(Exception):
    """The model's confidence is below the threshold that came with its answer: a person has to look.

    Its text is a JSON object with `message`, `vehicle`, `confidence` and `threshold`: the state machine shows it as the
    cause of the failed execution.
    """


class NotAVehicleWeKnow(Exception):
    """The photo most likely shows none of the vehicles that the model knows: a person has to look.

    Its text is a JSON object with `message`, `vehicle` (the least unlikely one), `in_distribution` and `threshold`.
    """


class SeveralVehicles(Exception):
    """The halves of the photo show vehicles of different kinds: which bay depends on whose driver asks.

    Its text is a JSON object with `message` and `vehicle` (the likelier one).
    """


class RouteNotConfigured(LookupError):
    """The model is sure, and routes.json has no entry for what it sees."""


class RoutesNotValid(ValueError):
    """routes.json is not what this function needs: named bays, and order ranges in kilometres."""


class InputNotUnderstood(ValueError):
    """The input is not the output of ClassifyImage."""


class OrderRange(TypedDict):
    """Distances in kilometres from the bay to the customers; from included, to excluded."""

    from_km: float
    to_km: float


class Route(TypedDict):
    """Where the driver of one kind of vehicle loads, and how far the orders are."""

    loading_bay: str
    order_range: OrderRange


def read_routes(text: str) -> dict[str, Route]:
    """The routes by vehicle, checked: an entry that could send a driver nowhere is refused by name."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise RoutesNotValid(f"routes.json is not JSON: {error}") from error
    if not isinstance(document, dict) or not document:
        raise RoutesNotValid("routes.json must be an object with one entry for each vehicle.")
    return {vehicle: _route(vehicle, entry) for vehicle, entry in document.items()}


def _route(vehicle: str, entry: Any) -> Route:
    """Parse an entry of routes.json; RoutesNotValid, which names the vehicle and the value, for a wrong one."""
    if not isinstance(entry, dict) or set(entry) != {"loading_bay", "order_range"}:
        raise RoutesNotValid(f'routes.json, "{vehicle}": expected loading_bay and order_range, got {entry!r:.200}.')
    bay, reach = entry["loading_bay"], entry["order_range"]
    if not isinstance(bay, str) or not bay.strip():
        raise RoutesNotValid(f'routes.json, "{vehicle}": loading_bay must be a name, got {bay!r}.')
    if not isinstance(reach, dict) or set(reach) != {"from_km", "to_km"}:
        raise RoutesNotValid(f'routes.json, "{vehicle}": order_range needs from_km and to_km, got {reach!r:.200}.')
    numbers = [reach["from_km"], reach["to_km"]]
    if (
        not all(isinstance(km, (int, float)) and not isinstance(km, bool) for km in numbers)
        or not 0 <= numbers[0] < numbers[1]
    ):
        raise RoutesNotValid(f'routes.json, "{vehicle}": order_range needs 0 <= from_km < to_km, got {numbers}.')
    return {"loading_bay": bay, "order_range": {"from_km": numbers[0], "to_km": numbers[1]}}


# Read at start: a broken file stops the deployment's first invocation, not the thousandth.
ROUTES = read_routes(ROUTES_FILE.read_text(encoding="utf-8"))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """ClassifyImage's output in; the route out, see `check`."""
    try:
        routed = check(event, ROUTES)
    except ConfidenceThresholdNotMet:
        _count(below=1)
        raise
    except NotAVehicleWeKnow:
        _count(unknown=1)
        raise
    except SeveralVehicles:
        _count(several=1)
        raise
    _count()
    return routed


def check(event: dict[str, Any], routes: dict[str, Route]) -> dict[str, Any]:
    """Route the driver of the vehicle in the photo.

    Returns `{"photo", "inference_id", "vehicle", "confidence", "threshold", "loading_bay", "order_range"}`. A figure
    equal to its threshold is enough: that is how the thresholds were fitted; none reaches ACCEPT_NOTHING. Whether the
    photo shows a known vehicle is asked first, for only then does the confidence say which; answers of models that were
    trained before this question was asked carry no `in_distribution`, and are judged by their confidence alone. Where
    the answer says that the photo shows several classes, that is what it is refused for.

    Raises SeveralVehicles, NotAVehicleWeKnow, ConfidenceThresholdNotMet, RouteNotConfigured or InputNotUnderstood.
    """
    try:
        prediction = event["prediction"]
        vehicle, confidence, threshold = prediction["label"], prediction["confidence"], prediction["threshold"]
        inside, least = prediction.get("in_distribution", 1.0), prediction.get("in_distribution_threshold", 0.0)
        sure, known = bool(confidence >= threshold), bool(inside >= least)
        several = prediction.get("several_classes", False) is True
        understood = all(0 <= figure <= 1 for figure in (confidence, inside, least))  # false for NaN as well
        understood = understood and 0 <= threshold <= ACCEPT_NOTHING
    except (AttributeError, KeyError, TypeError) as error:
        raise InputNotUnderstood(
            f"Expected ClassifyImage's output with label, confidence and threshold: {error!r}"
        ) from error
    if not understood:
        raise InputNotUnderstood(
            f"Confidence {confidence}, in_distribution {inside} and their thresholds {threshold} and {least} must be "
            f"numbers from 0 to 1; the first threshold may be {ACCEPT_NOTHING}, to accept nothing."
        )
    if several:
        raise SeveralVehicles(
            json.dumps({"message": "the photo shows vehicles of different kinds, each in a half", "vehicle": vehicle})
        )
    if not known:
        raise NotAVehicleWeKnow(
            json.dumps(
                {
                    "message": f"at {inside:.4f}, below {least:.4f}, the photo shows none of the known vehicles",
                    "vehicle": vehicle,
                    "in_distribution": inside,
                    "threshold": least,
                }
            )
        )
    if not sure:
        raise ConfidenceThresholdNotMet(
            json.dumps(
                {
                    "message": f"{vehicle} at confidence {confidence:.4f} is below the threshold {threshold:.4f}",
                    "vehicle": vehicle,
                    "confidence": confidence,
                    "threshold": threshold,
                }
            )
        )
    if vehicle not in routes:
        raise RouteNotConfigured(
            f'There is no loading bay for "{vehicle}": add it to lambdas/check_confidence/routes.json, then deploy.'
        )
    logger.info("%s at %.4f goes to %s", vehicle, confidence, routes[vehicle]["loading_bay"])
    return {
        "photo": event.get("photo"),
        "inference_id": event.get("inference_id"),
        "vehicle": vehicle,
        "confidence": confidence,
        "threshold": threshold,
        **routes[vehicle],
    }


def _count(below: int = 0, unknown: int = 0, several: int = 0) -> None:
    """A data point for CloudWatch in the embedded metric format: the average of each figure is a share of photos."""
    figures = {"BelowThreshold": below, "NotAVehicleWeKnow": unknown, "SeveralVehicles": several}
    names = [{"Name": name} for name in figures]
    metric = {"Namespace": "LoadingBay", "Dimensions": [["Application"]], "Metrics": names}
    print(
        json.dumps(
            {
                "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metric]},
                "Application": os.environ.get("APPLICATION", "loadingbay"),
                **figures,
            }
        )
    )
