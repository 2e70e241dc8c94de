"""Traffic shifting of a blue/green deployment: validates DeploymentConfig and plans its steps. Pure functions."""

from dataclasses import dataclass
from math import ceil
from typing import Any

from localcloud.api import refuse, validation_error

_MOST_CANARY = 50
_LINEAR = (10, 50)


@dataclass(frozen=True)
class Step:
    """Send `share` (0 to 1) of the requests to the new servers, then watch the alarms for `seconds`."""

    share: float
    seconds: float


def check(deployment: dict[str, Any] | None, instances: int) -> None:
    """Raise ApiError for a DeploymentConfig that AWS refuses or that is not supported here; `instances`: servers."""
    if not deployment:
        return
    refuse(deployment, "RollingUpdatePolicy")
    routing = (deployment.get("BlueGreenUpdatePolicy") or {}).get("TrafficRoutingConfiguration")
    if not routing:
        return
    kind = routing["Type"]
    needed = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}
    for other, member in needed.items():
        if (kind == other) != (member in routing):
            needs = "needs" if kind == other else "has no"
            raise validation_error(f"TrafficRoutingConfiguration of Type {kind} {needs} {member}.")
    if kind in needed:
        size = routing[needed[kind]]
        percent = _share(size, instances) * 100
        if kind == "CANARY" and percent > _MOST_CANARY:
            raise validation_error(
                f"CanarySize is {percent:.0f} % of the servers; at most {_MOST_CANARY} % are allowed."
            )
        if kind == "LINEAR" and not _LINEAR[0] <= percent <= _LINEAR[1]:
            raise validation_error(
                f"LinearStepSize is {percent:.0f} % of the servers; {_LINEAR[0]} to {_LINEAR[1]} % are allowed."
            )


def steps(deployment: dict[str, Any] | None, instances: int) -> list[Step]:
    """Return the steps of a DeploymentConfig that `check` accepted; the last has share 1."""
    routing = ((deployment or {}).get("BlueGreenUpdatePolicy") or {}).get("TrafficRoutingConfiguration")
    if not routing:
        return [Step(1.0, 0.0)]
    wait = float(routing["WaitIntervalInSeconds"])
    if routing["Type"] == "CANARY":
        return [Step(_share(routing["CanarySize"], instances), wait), Step(1.0, wait)]
    if routing["Type"] == "LINEAR":
        share = _share(routing["LinearStepSize"], instances)
        count = ceil(1 / share - 1e-9)
        return [Step(min(1.0, share * number), wait) for number in range(1, count + 1)]
    return [Step(1.0, wait)]


def alarms(deployment: dict[str, Any] | None) -> list[str]:
    """Return the names of the alarms that roll the update back."""
    listed = ((deployment or {}).get("AutoRollbackConfiguration") or {}).get("Alarms", [])
    return [alarm["AlarmName"] for alarm in listed]


def longest(deployment: dict[str, Any] | None) -> float | None:
    """Return the seconds after which an unfinished update is rolled back; None if not limited."""
    value = ((deployment or {}).get("BlueGreenUpdatePolicy") or {}).get("MaximumExecutionTimeoutInSeconds")
    return None if value is None else float(value)


def _share(size: dict[str, Any], instances: int) -> float:
    if size["Type"] == "CAPACITY_PERCENT":
        return float(size["Value"]) / 100
    return float(size["Value"]) / instances
