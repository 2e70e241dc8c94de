"""A camera changes while photos stream: the alarm rings, people label, a new version is trained, approved and serves.

    .venv/bin/python -m bench.drift.story [--camera askew|out-of-focus|night]

Runs the local cloud of LOADINGBAY_FOLDER (a folder of its own) at LOADINGBAY_PORT. Two thirds of the archive's photos
are trained and tested with; the others are the stream. Nothing is started by hand but the first training, the
photos, the labels (of the known truth, for what a person would see) and the approval: the schedule starts monitoring,
and the alarm starts the training. Writes runs/drift-<camera>/: report.png, story.json.
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
    "MonitoringWindowHours": "0.06",
    "RetrainingMinLabels": "40",
    "RetrainingCoolDownHours": "0",
    "BakeSeconds": "0",
}
CALM, DRIFTED, AFTER = 80, 180, 100  # photos of each part of the stream
SURE_ONES = 5  # every so many of the accepted photos is looked at, too


@dataclass
class Story:
    """The stage, the stream, and the moments so far."""

    target: Target
    stack: dict[str, str]
    place: Path
    stream: list[tuple[str, bytes]]
    moments: list[tuple[str, datetime]] = field(default_factory=list)
    shares: dict[str, dict[str, float]] = field(default_factory=dict)

    def say(self, moment: str) -> None:
        """Notes a moment."""
        now = datetime.now(UTC)
        self.moments.append((moment, now))
        begun = self.moments[0][1]
        print(f"{(now - begun).total_seconds():6.0f} s  {moment}", flush=True)

    def send(self, part: str, count: int, camera: str, *, label: bool) -> None:
        """Sends the next photos as the camera takes them; with `label` people say what they see afterwards."""
        made = []
        for number in range(count):
            truth, photo = self.stream.pop(0)
            path = self.place / "photos" / f"{part}-{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cameras.taken(photo, camera))
            made.append(Photo(path.name, path, truth))
        outcomes = photos.classify(
            self.target,
            made,
            bucket=self.stack["BucketName"],
            state_machine=self.stack["InferenceStateMachineArn"],
            prefix=f"drift-{part}",
        )
        accepted = [one for one in outcomes if one.status == "SUCCEEDED"]
        right = sum(not one.wrong for one in accepted)
        answered = {"accepted": len(accepted) / count, "right_of_accepted": right / max(1, len(accepted))}
        self.shares[part] = answered
        self.say(f"{part}: {count} photos, {photos.counted(outcomes)}")
        if label:
            self._label(outcomes)

    def _label(self, outcomes: Sequence[Outcome]) -> None:
        """People see what was not accepted and a part of what was; drivers at the wrong bay tell it."""
        now, labels = datetime.now(UTC), []
        sure = 0
        for one in outcomes:
            accepted = one.status == "SUCCEEDED"
            sure += accepted
            if not accepted or sure % SURE_ONES == 0:
                labels.append(Label(one.inference_id, str(one.label), "review", "story", now))
            elif one.wrong:
                labels.append(Label(one.inference_id, str(one.label), "correction", "story", now))
        store(self.target.client("s3"), self.stack["BucketName"], labels)
        print(f"          people labelled {len(labels)} of them", flush=True)

    def document(self, key: str) -> dict[str, Any]:
        """A JSON object of the bucket, empty when there is none."""
        try:
            body = self.target.client("s3").get_object(Bucket=self.stack["BucketName"], Key=key)["Body"]
        except ClientError:
            return {}
        found: dict[str, Any] = json.loads(body.read())
        return found

    def wait(self, what: str, look: Callable[[], Any], seconds: float) -> Any:
        """What `look` returns once it is true. WorkError after so many seconds."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > deadline:
                raise WorkError(f"{what} did not come within {seconds:.0f} s: `loadingbay status` shows what runs")
            time.sleep(1)
        return found


def tell(camera: str, seconds: float, epochs: int) -> Path:
    """Runs the story; the folder with its picture. WorkError when a part of it does not come within `seconds`."""
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
    story = Story(target, stack, place, stream)
    story.say("version 1 serves")
    story.send("calm", CALM, "", label=True)
    first = story.wait("a period", lambda: story.document("monitoring/periods.json").get("periods"), seconds)
    story.say(f"the schedule's first period: {first[-1]['share_above']:.2f} accepted")
    story.say(f"the camera is {camera.replace('-', ' ')}")
    story.send("drifted", DRIFTED, camera, label=True)
    story.wait("the alarm", lambda: story.document("monitoring/periods.json").get("alarm"), seconds)
    for sentence in story.document("monitoring/periods.json")["sentences"].values():
        print(f"          {sentence}", flush=True)
    story.say("the alarm rings")
    alarm = story.document("monitoring/periods.json")["alarm"]
    sagemaker = target.client("sagemaker")
    arn = story.wait("the training", lambda: story.document(f"retraining/{alarm}.json").get("execution"), seconds)
    story.say("a training has started by itself")

    def ended() -> str:
        status = str(sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"])
        return "" if status in {"Executing", "Stopping"} else status

    status = story.wait("its end", ended, seconds)
    if status != "Succeeded":
        reason = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn).get("FailureReason", "")
        story.say(f"the training ended as {status}")
        _write(story, camera, f"no version: {reason}")
        return place
    version = registry.versions(target, limit=1)[0]
    said = {name: version.metadata[name] for name in ("recent_photos", "recent_accuracy", "accuracy")}
    story.say(f"version {version.number} waits: accuracy {said['accuracy']}, recent {said['recent_accuracy']}")
    registry.decide(target, version, approve=True, comment="approved by the story of drift")
    registry.wait_until_served(target, stack["EndpointName"], version)
    story.say(f"version {version.number} is approved and serves")
    story.send("after", AFTER, camera, label=True)

    def recovered() -> bool:
        return bool(story.document("monitoring/periods.json")["periods"][-1]["version"] == str(version.number))

    story.wait("a period of the new version", recovered, seconds)
    time.sleep(1)
    story.say("the first period of the new version")
    _write(story, camera, f"version {version.number}: {said}")
    return place


def _write(story: Story, camera: str, became: str) -> None:
    periods = story.document("monitoring/periods.json").get("periods", [])
    begun = story.moments[0][1].isoformat()
    periods = [one for one in periods if one["time"] >= begun[:19]]
    said = {
        "camera": camera,
        "became": became,
        "shares": story.shares,
        "moments": [(name, at.isoformat()) for name, at in story.moments],
        "periods": periods,
    }
    (story.place / "story.json").write_text(json.dumps(said, indent=1) + "\n")
    picture.draw(story.place / "report.png", periods, story.moments, f"A camera {camera.replace('-', ' ')}: {became}")


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
