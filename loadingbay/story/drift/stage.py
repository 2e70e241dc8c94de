"""The stage of the story: sends photos as a camera takes them, labels them, waits for monitoring, notes the moments."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.errors import WorkError
from loadingbay.learning.labels import Label, store
from loadingbay.serving import monitoring as captures
from loadingbay.serving import photos
from loadingbay.serving.photos import Outcome, Photo
from loadingbay.story.drift import cameras
from loadingbay.target import Target
from pipelines import aws, monitoring

COST_OF_REVIEW, COST_OF_WRONG_BAY = 1, 10
SURE_ONES = 5  # every so many of the accepted photos is looked at, too
_CALM_SECONDS = 60.0  # before the first period, in which no photo was sent


@dataclass(frozen=True)
class Pace:
    """How much of the story is told: photos of a period, periods of each part, epochs and bars of both trainings.

    People label at most the photos of one period in the time of it. A period takes a minute when the schedule starts
    monitoring, and some seconds when it is started `by_hand` as soon as the photos are labelled.
    """

    photos: int
    calm: int
    most_drifted: int
    after: int
    parameters: dict[str, int | float]
    by_hand: bool = False


@dataclass
class Stage:
    """The cloud, the stream, and what happened so far: moments, and what became of each period's photos.

    `seconds` is how long each part may take, `tell` prints a line.
    """

    target: Target
    stack: dict[str, str]
    place: Path
    stream: list[tuple[str, bytes]]
    pace: Pace
    seconds: float
    tell: Callable[[str], None]
    moments: list[tuple[str, datetime]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def moment(self, what: str) -> None:
        """Notes a moment and tells it, with the seconds since the first one."""
        self.moments.append((what, datetime.now(UTC)))
        self.tell(f"{(self.moments[-1][1] - self.moments[0][1]).total_seconds():6.0f} s  {what}")

    def happened(self, what: str) -> bool:
        """Whether the moment was noted."""
        return any(name == what for name, _ in self.moments)

    def period(self, camera: str) -> dict[str, Any]:
        """Sends and labels a period's photos as the camera takes them, waits until monitoring saw them; its figures."""
        since = datetime.now(UTC)
        before = (
            datetime.fromisoformat(self.sent[-1]["time"]) if self.sent else since - timedelta(seconds=_CALM_SECONDS)
        )
        outcomes = self.photos(camera)
        sent = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        if self.pace.by_hand:
            self._monitor(outcomes, before, since)

        def seen() -> dict[str, Any]:
            periods = self.document("monitoring/periods.json").get("periods", [])
            return periods[-1] if periods and periods[-1]["time"] >= sent else {}

        found: dict[str, Any] = self.wait("a period of monitoring", seen)
        named = ", ".join(name.replace("_", " ") for name in found["violations"]) or "none"
        self.tell(
            f"          monitoring: version {found['version']} accepted {found['share_above']:.0%} of "
            f"{found['count']} photos; violations: {named}"
        )
        return found

    def _monitor(self, outcomes: Sequence[Outcome], before: datetime, since: datetime) -> None:
        """Starts monitoring of these photos, sent from `since` on; no photo was sent from `before` to then."""
        missing = captures.wait_for_captures(
            self.target,
            self.stack["DataCaptureUri"],
            self.stack["EndpointName"],
            answered(outcomes),
            since,
        )
        if missing:
            raise WorkError(f"{missing} captured requests did not arrive: `loadingbay logs endpoint` may say why")
        # From the middle of the time without photos on: some seconds pass before monitoring looks at the clock.
        begins = before + (since - before) / 2
        hours = (datetime.now(UTC) - begins).total_seconds() / 3600
        self.target.client("sagemaker").start_pipeline_execution(
            PipelineName=f"{self.target.stage}{monitoring.SUFFIX}",
            PipelineParameters=[{"Name": "WindowHours", "Value": f"{hours:.6f}"}],
        )

    def photos(self, camera: str) -> list[Outcome]:
        """Classifies the next photos of the stream as the camera takes them, and labels what people would see."""
        count = self.pace.photos
        photos_of_period, self.stream = self.stream[:count], self.stream[count:]
        if not photos_of_period:
            raise WorkError("all photos of the stream were sent before the story had ended: name data with more photos")
        made = []
        folder = self.place / "photos" / f"{len(self.sent):02}"
        folder.mkdir(parents=True, exist_ok=True)
        for number, (truth, photo) in enumerate(photos_of_period):
            path = folder / f"{number:03}.png"
            path.write_bytes(cameras.taken(photo, camera))
            made.append(Photo(f"{folder.name}-{path.name}", path, truth))
        outcomes = photos.classify(
            self.target,
            made,
            bucket=self.stack["BucketName"],
            state_machine=self.stack["InferenceStateMachineArn"],
            prefix=f"drift-{folder.name}",
        )
        labels = labelled(outcomes, datetime.now(UTC))
        store(self.target.client("s3"), self.stack["BucketName"], labels)
        accepted = [one for one in outcomes if one.status == "SUCCEEDED"]
        cost = COST_OF_REVIEW * (len(made) - len(accepted)) + COST_OF_WRONG_BAY * sum(one.wrong for one in accepted)
        self.sent.append({
            "time": datetime.now(UTC).isoformat(),
            "camera": camera,
            "photos": len(made),
            "accepted": len(accepted),
            "wrong": sum(one.wrong for one in accepted),
            "labelled": len(labels),
            "cost_of_thousand": 1000 * cost / len(made),
        })  # fmt: skip
        self.tell(f"          {len(made)} photos: {photos.counted(outcomes)}; people labelled {len(labels)}")
        return outcomes

    def document(self, key: str) -> dict[str, Any]:
        """A JSON object of the bucket, empty when there is none."""
        try:
            body = self.target.client("s3").get_object(Bucket=self.stack["BucketName"], Key=key)["Body"]
        except ClientError as error:
            if not aws.is_missing(error):
                raise
            return {}
        found: dict[str, Any] = json.loads(body.read())
        return found

    def wait(self, what: str, look: Callable[[], Any]) -> Any:
        """What `look` returns once it is true. WorkError after `seconds`."""
        deadline = time.monotonic() + self.seconds
        while not (found := look()):
            if time.monotonic() > deadline:
                raise WorkError(
                    f"{what} did not come within {self.seconds:.0f} s: "
                    f"`loadingbay --stage {self.target.stage} status` shows what runs"
                )
            time.sleep(max(0.5, self.target.interval))
        return found


def answered(outcomes: Sequence[Outcome]) -> set[str]:
    """The inference ids of the photos that the endpoint answered, whatever came of it."""
    return {one.inference_id for one in outcomes if one.status == "SUCCEEDED" or one.error in photos.FOR_REVIEW}


def labelled(outcomes: Sequence[Outcome], now: datetime) -> list[Label]:
    """What people say: they see what was not accepted and a part of what was; drivers at the wrong bay tell it."""
    labels = []
    sure = 0
    for one in outcomes:
        accepted = one.status == "SUCCEEDED"
        sure += accepted
        if not accepted or sure % SURE_ONES == 1:
            labels.append(Label(one.inference_id, str(one.label), "review", "story", now))
        elif one.wrong:
            labels.append(Label(one.inference_id, str(one.label), "correction", "story", now))
    return labels
