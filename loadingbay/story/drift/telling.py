"""A camera changes while photos stream: the alarm rings, people label, a new version is trained, approved and serves.

    .venv/bin/python -m bench.drift.story [--camera askew|out-of-focus|night]

Runs the local cloud of LOADINGBAY_FOLDER (a folder of its own) at LOADINGBAY_PORT. Two thirds of the archive's photos
are trained and tested with; the others are the stream. Nothing is started by hand but the first training, the
photos, the labels (of the known truth, for what a person would see) and the approval: the schedule starts monitoring,
once a minute, and the alarm starts the training. Writes runs/drift-<camera>/: report.png, story.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from bench.drift import cameras, picture
from loadingbay.data.acquire import acquire
from loadingbay.errors import WorkError
from loadingbay.learning.labels import Label, store
from loadingbay.options import folder, new_screen
from loadingbay.registry import versions as registry
from loadingbay.serving import photos
from loadingbay.serving.photos import Outcome, Photo
from loadingbay.stack import up
from loadingbay.stack.deploy import deploy
from loadingbay.story.run import run
from loadingbay.target import Target, choose

PARAMETERS = {
    "MonitoringSchedule": "rate(1 minute)",
    "MonitoringWindowHours": "0.02",  # 72 seconds
    "RetrainingMinLabels": "100",
    "RetrainingCoolDownHours": "0",
    "BakeSeconds": "0",
}
PHOTOS = 50  # of a period
CALM, MOST_DRIFTED, AFTER = 2, 3, 2  # periods of each part of the stream
SURE_ONES = 5  # every so many of the accepted photos is looked at, too
ASKED_SECONDS = 20  # after a period with an alarm, in which Retrain has decided
TITLES = {"askew": "is mounted askew", "out-of-focus": "goes out of focus", "night": "looks into the night"}
COST_OF_REVIEW, COST_OF_WRONG_BAY = 1, 10


@dataclass
class Story:
    """The stage, the stream, and what happened so far: moments, and what became of each period's photos."""

    target: Target
    stack: dict[str, str]
    place: Path
    stream: list[tuple[str, bytes]]
    seconds: float
    moments: list[tuple[str, datetime]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def say(self, moment: str) -> None:
        """Notes a moment."""
        now = datetime.now(UTC)
        self.moments.append((moment, now))
        self.tell(moment)

    def tell(self, words: str) -> None:
        """Prints what happened, with the seconds since the first moment."""
        begun = self.moments[0][1]
        print(f"{(datetime.now(UTC) - begun).total_seconds():6.0f} s  {words}", flush=True)

    def period(self, camera: str) -> dict[str, Any]:
        """Sends a period's photos as the camera takes them, has them labelled, and waits until monitoring saw them."""
        outcomes = self._send(camera)
        self._label(outcomes)
        sent = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")

        def seen() -> dict[str, Any]:
            periods = self.document("monitoring/periods.json").get("periods", [])
            return periods[-1] if periods and periods[-1]["time"] >= sent else {}

        found: dict[str, Any] = self.wait("a period of monitoring", seen)
        named = ", ".join(name.replace("_", " ") for name in found["violations"]) or "none"
        self.tell(f"a period of version {found['version']}: {found['share_above']:.2f} accepted; violations: {named}")
        return found

    def _send(self, camera: str) -> list[Outcome]:
        """Classifies the next PHOTOS of the stream as the camera takes them, and notes what became of them."""
        photos_of_period, self.stream = self.stream[:PHOTOS], self.stream[PHOTOS:]
        if not photos_of_period:
            raise WorkError("the stream has no more photos, and no training has begun")
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
        accepted = [one for one in outcomes if one.status == "SUCCEEDED"]
        wrong = sum(one.wrong for one in accepted)
        cost = COST_OF_REVIEW * (len(made) - len(accepted)) + COST_OF_WRONG_BAY * wrong
        self.sent.append({
            "time": datetime.now(UTC).isoformat(),
            "camera": camera,
            "photos": len(made),
            "accepted": len(accepted),
            "wrong": wrong,
            "cost_of_thousand": 1000 * cost / len(made),
        })  # fmt: skip
        self.tell(f"{len(made)} photos, {photos.counted(outcomes)}")
        return outcomes

    def _label(self, outcomes: Sequence[Outcome]) -> None:
        """People see what was not accepted and a part of what was; drivers at the wrong bay tell it."""
        now, labels = datetime.now(UTC), []
        sure = 0
        for one in outcomes:
            accepted = one.status == "SUCCEEDED"
            sure += accepted
            if not accepted or sure % SURE_ONES == 1:
                labels.append(Label(one.inference_id, str(one.label), "review", "story", now))
            elif one.wrong:
                labels.append(Label(one.inference_id, str(one.label), "correction", "story", now))
        store(self.target.client("s3"), self.stack["BucketName"], labels)
        self.tell(f"people labelled {len(labels)} of them")

    def document(self, key: str) -> dict[str, Any]:
        """A JSON object of the bucket, empty when there is none."""
        try:
            body = self.target.client("s3").get_object(Bucket=self.stack["BucketName"], Key=key)["Body"]
        except ClientError:
            return {}
        found: dict[str, Any] = json.loads(body.read())
        return found

    def wait(self, what: str, look: Callable[[], Any]) -> Any:
        """What `look` returns once it is true. WorkError after `seconds`."""
        deadline = time.monotonic() + self.seconds
        while not (found := look()):
            if time.monotonic() > deadline:
                raise WorkError(f"{what} did not come within {self.seconds:.0f} s: `loadingbay status` shows what runs")
            time.sleep(1)
        return found


def begin(camera: str, seconds: float, epochs: int) -> Story:
    """The story with version 1 in service, and no photo sent yet."""
    root = folder()
    place = root / "runs" / f"drift-{camera}"
    place.mkdir(parents=True, exist_ok=True)
    data = acquire(None, environment=os.environ, say=print)
    stream = cameras.divide(data.path, place / "base")
    target = choose(os.environ, root, None, None)
    with new_screen() as screen:
        up.start_cloud(target, screen)
        stack = deploy(target, parameters=PARAMETERS)
        run(target, screen, root, environment=os.environ, data=place / "base", values={"Epochs": epochs}, approve=True)
    story = Story(target, stack, place, stream, seconds)
    story.say("version 1 serves")
    return story


def drift(story: Story, camera: str) -> str:
    """Streams photos of the changed camera until a training has started by itself; the ARN of its execution."""
    for _ in range(MOST_DRIFTED):
        story.period(camera)
        told = story.document("monitoring/periods.json")
        if not told["alarm"]:
            continue
        if not any(name == "the alarm rings" for name, _ in story.moments):
            story.say("the alarm rings")
            for sentence in told["sentences"].values():
                story.tell(f"  {sentence}")
        # Retrain is asked after each period: if it does not start one now, it waits for more labels.
        deadline = time.monotonic() + ASKED_SECONDS
        while time.monotonic() < deadline:
            if arn := story.document(f"retraining/{told['alarm']}.json").get("execution"):
                story.say("a training starts by itself")
                return str(arn)
            time.sleep(1)
    raise WorkError(f"no training has started after {MOST_DRIFTED} periods: `loadingbay retrain --dry-run` says why")


def version_of(story: Story, arn: str) -> registry.Version:
    """The version that the execution registered, once it has ended. WorkError says why when it registered none."""
    sagemaker = story.target.client("sagemaker")

    def ended() -> dict[str, Any]:
        found: dict[str, Any] = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        return {} if found["PipelineExecutionStatus"] in {"Executing", "Stopping"} else found

    found = story.wait("the training's end", ended)
    if found["PipelineExecutionStatus"] != "Succeeded":
        reason = found.get("FailureReason", "")
        story.say(f"the training ends as {found['PipelineExecutionStatus']}, and version 1 goes on")
        raise WorkError(f"no version was registered: {reason}")
    return registry.versions(story.target, limit=1)[0]


def tell(camera: str, seconds: float, epochs: int) -> Path:
    """Runs the story; the folder with its picture. WorkError when a part of it does not come within `seconds`."""
    story = begin(camera, seconds, epochs)
    for _ in range(CALM):
        story.period("")
    story.say(f"the camera {TITLES[camera]}")
    became = ""
    try:
        version = version_of(story, drift(story, camera))
        about = version.metadata
        story.say(f"version {version.number} waits for approval")
        story.tell(
            f"  accuracy {about['accuracy']} {about.get('accuracy_interval', '')}, on {about['recent_photos']} recent "
            f"photos {about['recent_accuracy']} {about.get('recent_accuracy_interval', '')}"
        )
        registry.decide(story.target, version, approve=True, comment="approved by the story of drift")
        registry.wait_until_served(story.target, story.stack["EndpointName"], version)
        story.say(f"version {version.number} serves")
        for _ in range(AFTER):
            story.period(camera)
        became = f"version {version.number} was trained with what people labelled"
    except WorkError as error:
        became = str(error)
        raise
    finally:
        _write(story, camera, became)
    return story.place


def _write(story: Story, camera: str, became: str) -> None:
    """Write story.json and the picture into the story's folder; `became` says how it ended."""
    told = story.document("monitoring/periods.json")
    begun = story.moments[0][1].isoformat()
    periods = [one for one in told.get("periods", []) if one["time"] >= begun[:19]]
    said = {
        "camera": camera,
        "became": became,
        "sent": story.sent,
        "moments": [(name, at.isoformat()) for name, at in story.moments],
        "sentences": told.get("sentences", {}),
        "periods": periods,
    }
    (story.place / "story.json").write_text(json.dumps(said, indent=1) + "\n")
    title = f"A camera {TITLES[camera]}: {became}"
    picture.draw(story.place / "report.png", periods, story.sent, story.moments, title)


def main() -> int:
    """Exit status 0, or 1 with the reason."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--camera", choices=sorted(cameras.CAMERAS), default="out-of-focus")
    flags.add_argument("--seconds", type=float, default=300, help="how long each part of it may take")
    flags.add_argument("--epochs", type=int, default=12, help="of both trainings")
    options = flags.parse_args()
    try:
        place = tell(options.camera, options.seconds, options.epochs)
    except WorkError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print(f"Picture  {place / 'report.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
