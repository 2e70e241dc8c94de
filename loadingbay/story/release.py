"""Puts a version into service and sends photos through: approval, classification, the report on what was captured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from loadingbay.errors import WorkError
from loadingbay.registry import history
from loadingbay.registry import versions as registry
from loadingbay.registry.versions import Version
from loadingbay.screen.progress import Screen
from loadingbay.serving import monitoring, photos
from loadingbay.serving.photos import Outcome, Photo
from loadingbay.stack.local_cloud import ROOT
from loadingbay.target import Target
from pipelines import executions
from pipelines.executions import Execution

_ROUTES = "lambdas/check_confidence/routes.json"


def missing_routes(classes: str, root: Path = ROOT) -> str:
    """A sentence that names the classes, separated by commas, that have no entry in routes.json; "" for none."""
    routes = json.loads((root / _ROUTES).read_text(encoding="utf-8"))
    missing = [name for name in classes.split(",") if name not in routes]
    if not missing:
        return ""
    return f"No loading bay is set for {', '.join(missing)}, so their photos will fail: add them to {_ROUTES}"


def fetch_photos(target: Target, execution: Execution, folder: Path) -> list[Photo]:
    """Downloads the test photos that Stage kept aside into `folder`, with the labels beside them."""
    stage = execution.step("Stage")
    if stage is None:
        return []
    uri = executions.output_uri(target.client("sagemaker"), stage, "photos")
    files = monitoring.fetch(target.client("s3"), uri, folder)
    return photos.read(sorted(path for path in files if path.suffix != ".json"))


def approve(target: Target, screen: Screen, endpoint: str, version: Version) -> None:
    """Approves the version, unless it is, and waits until the endpoint serves it.

    WorkError when it does not, or when the version was rejected: only a person can take that back, by its number.
    """
    if version.approval == "Rejected":
        why = f" ({version.comment})" if version.comment else ""
        raise WorkError(
            f"version {version.number}, which has this model, was rejected{why}, so --approve does not approve it: "
            f"`loadingbay approve {version.number}` does"
        )
    with screen.part("Deployment") as part:
        if version.approval != "Approved":
            registry.decide(target, version, approve=True, comment="approved by `loadingbay run --approve`")
        said = f"approved version {version.number}"
        screen.note(part, f"{said}, as --approve asks")
        registry.wait_until_served(
            target, endpoint, version, waiting=lambda status: screen.note(part, f"{said}; endpoint: {status}")
        )
        part.note = f"{said}; the endpoint {endpoint} serves it"


def classify(
    target: Target, screen: Screen, stack: Mapping[str, str], listed: list[Photo], prefix: str
) -> list[Outcome]:
    """Runs the inference state machine for each photo; the outcomes in order. `prefix` begins the executions' names."""
    done = 0
    with screen.part("Photos") as part:

        def count(_: Outcome) -> None:
            nonlocal done
            done += 1
            screen.note(part, f"{done} of {len(listed)} classified")

        outcomes = photos.classify(
            target,
            listed,
            bucket=stack["BucketName"],
            state_machine=stack["InferenceStateMachineArn"],
            prefix=prefix,
            done=count,
        )
        part.note = f"{len(listed)} classified"
    return outcomes


def report(
    target: Target,
    screen: Screen,
    stack: Mapping[str, str],
    version: Version,
    outcomes: list[Outcome],
    *,
    execution: str,
    since: datetime | None = None,
    folder: Path,
) -> Path:
    """Reads the captured requests back and draws them; the picture. `since` is when the first request was sent."""
    with screen.part("Report") as part:
        monitoring.add_labels(target, stack["BucketName"], execution, outcomes)
        screen.note(part, "waiting for the captured requests")
        missing = monitoring.wait_for_captures(
            target,
            stack["DataCaptureUri"],
            stack["EndpointName"],
            {o.inference_id for o in outcomes if o.confidence is not None},
            since or datetime.now(UTC),
        )
        screen.note(part, "drawing")
        begun = history.in_service_since(target, stack["BucketName"], stack["EndpointName"])
        drawn = monitoring.monitor(target, stack=dict(stack), folder=folder, evaluation=version.evaluation, since=begun)
        lost = f" without {missing} captured requests that had not arrived" if missing else ""
        part.note = f"drawn{lost}"
    return drawn.picture
