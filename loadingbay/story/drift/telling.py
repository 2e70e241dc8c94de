"""Tells the story of drift: a camera changes while photos stream, and what follows, with one picture at the end.

Nothing is started by hand but the first training, the photos, the labels (of the known truth, for what a person would
see), the shadow and its promotion: the schedule starts monitoring once a minute, and the alarm starts the training.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from loadingbay.data import provide
from loadingbay.errors import UsageError, WorkError
from loadingbay.learning import live_comparison
from loadingbay.learning.live_comparison import LiveComparison
from loadingbay.registry import shadow as shadows
from loadingbay.registry import versions as registry
from loadingbay.registry.versions import Version
from loadingbay.screen.progress import Screen
from loadingbay.stack import destroy, up
from loadingbay.stack.deploy import deploy, status
from loadingbay.story import run, training
from loadingbay.story.drift import cameras, picture
from loadingbay.story.drift.stage import Pace, Stage, answered
from loadingbay.story.summary import DRAWN, DRAWN_LABEL
from loadingbay.target import Target
from pipelines import executions
from pipelines.settings import DEFAULT_STAGE

STAGE = "drift-story"
WHOLE = Pace(photos=50, calm=2, most_drifted=3, after=2, parameters={"Epochs": 12})
SHORT = Pace(
    photos=36,
    calm=1,
    most_drifted=3,
    after=1,
    parameters={"Epochs": 4, "MinimumAccuracy": 0.5, "ChampionTolerance": 1.0},
    by_hand=True,
)
HAPPENS = {"askew": "is mounted askew", "out-of-focus": "goes out of focus", "night": "looks into the night"}
ALARM = "the alarm rings"
_HOURLY = "rate(1 hour)"
_ASKED_SECONDS = 20  # after a period with an alarm, in which Retrain has decided


@dataclass(frozen=True)
class Told:
    """What came of the story, in a sentence, and the folder with its picture and story.json."""

    became: str
    folder: Path

    @property
    def picture(self) -> Path:
        """The picture of the story, a PNG file."""
        return self.folder / "report.png"


def tell(
    target: Target,
    screen: Screen,
    root: Path,
    *,
    environment: Mapping[str, str],
    data: Path | None,
    camera: str,
    pace: Pace,
) -> Told:
    """Tells the story in a stage of its own, on the local cloud; writes below `root`/runs.

    `data` is the archive that --data names, None for the one that `acquire` finds.
    What an earlier story left in the stage STAGE is removed first. UsageError for AWS, and for another stage that has
    been deployed; WorkError when a part of the story does not come, or the new version is not better.
    """
    if target.kind != "local":
        raise UsageError(f"the story of drift counts in seconds, for a local cloud; {target.name} would take hours")
    target = replace(target, stage=STAGE if target.stage == DEFAULT_STAGE else target.stage, clients={})
    folder = root / "runs" / f"drift-{camera}"
    stage = _begin(target, screen, folder, data, environment, pace)
    became = ""
    try:
        became = _happens(stage, screen, camera)
    except WorkError as error:
        became = str(error)
        raise
    finally:
        _write(stage, camera, became)
        _calm(stage)
    return Told(became, folder)


def _begin(
    target: Target,
    screen: Screen,
    folder: Path,
    named: Path | None,
    environment: Mapping[str, str],
    pace: Pace,
) -> Stage:
    """The stage with version 1 in service, and no photo sent yet."""
    up.start_cloud(target, screen)
    if status(target, target.stage):
        if target.stage != STAGE:
            raise UsageError(f"the stage {target.stage} has been deployed: the story needs one of its own")
        with screen.part("Earlier story") as part:
            destroy.remove(target, destroy.survey(target), lambda item: screen.note(part, f"removing {item.name}"))
            part.note = f"removed the stage {target.stage}"
    data = provide.find(screen, named, environment)
    if data.label == DRAWN_LABEL:
        screen.say(DRAWN, style="bold yellow")
    folder.mkdir(parents=True, exist_ok=True)
    stream = cameras.divide(data.path, folder / "base")
    stack = deploy(
        target,
        parameters={
            "MonitoringSchedule": _HOURLY if pace.by_hand else "rate(1 minute)",
            "MonitoringWindowHours": "0.02",  # 72 seconds
            "RetrainingMinLabels": "50" if pace.by_hand else "100",
            "RetrainingCoolDownHours": "0",
            "BakeSeconds": "0",
        },
    )
    # In the story's folder: the user's runs stay what they are.
    done = run.run(
        target, screen, folder, environment=environment, data=folder / "base", values=pace.parameters, approve=False
    )
    stage = Stage(target, stack, folder, stream, pace, 300.0, screen.say)
    _promote(stage, done.version, "the story of drift begins")
    stage.moment(f"version {done.version.number} serves")
    return stage


def _happens(stage: Stage, screen: Screen, camera: str) -> str:
    """Everything from the first photo on; what came of it, in a sentence."""
    for _ in range(stage.pace.calm):
        stage.period("")
    stage.moment("drift begins")
    stage.tell(f"          the camera {HAPPENS[camera]}")
    version = _trained(stage, screen, _drift(stage, camera))
    about = version.metadata
    stage.moment(f"version {version.number} is trained")
    stage.tell(
        f"          accuracy {about['accuracy']} ({about.get('accuracy_interval', 'unsure')}), on "
        f"{about['recent_photos']} recent photos {about['recent_accuracy']} "
        f"({about.get('recent_accuracy_interval', 'unsure')})"
    )
    compared = _compared(stage, camera, version)
    _promote(stage, version, f"promoted from shadow: right on {compared.won} more and {compared.lost} fewer photos")
    stage.moment(f"version {version.number} is approved and serves")
    for _ in range(stage.pace.after):
        stage.period(camera)
    return f"version {version.number} was trained with what people labelled"


def _drift(stage: Stage, camera: str) -> str:
    """Streams photos of the changed camera until a training has started by itself; the ARN of its execution."""
    for _ in range(stage.pace.most_drifted):
        stage.period(camera)
        told = stage.document("monitoring/periods.json")
        if not told["alarm"]:
            continue
        if not stage.happened(ALARM):
            stage.moment(ALARM)
            for sentence in told["sentences"].values():
                stage.tell(f"          {sentence}")
        # Retrain is asked after each period: if it does not start one now, it waits for more labels.
        deadline = time.monotonic() + _ASKED_SECONDS
        while time.monotonic() < deadline:
            if arn := stage.document(f"retraining/{told['alarm']}.json").get("execution"):
                stage.moment("a training starts by itself")
                return str(arn)
            time.sleep(0.5)
    raise WorkError(
        f"no training has started after {stage.pace.most_drifted} periods: "
        f"`loadingbay --stage {stage.target.stage} retrain --dry-run` says why"
    )


def _trained(stage: Stage, screen: Screen, arn: str) -> Version:
    """The version that the execution registered, once it has ended. WorkError says why when it registered none."""
    with screen.part("Pipeline") as part:
        execution = training.follow(stage.target, screen, part, arn)
    if execution.status != "Succeeded":
        stage.moment("the training registers nothing")
    training.require_success(execution)
    return training.registered(stage.target, execution).version


def _compared(stage: Stage, camera: str, version: Version) -> LiveComparison:
    """How the version answers as a shadow, on copies of a period's requests. WorkError when it is not better."""
    target, name = stage.target, stage.stack["EndpointName"]
    shadows.check(target, name, version)
    shadows.start(target, version, share=1.0, comment="the story of drift compares it")
    shadows.wait(target, name, version)
    outcomes = stage.photos(camera)
    asked = len(answered(outcomes))

    def look() -> LiveComparison | None:
        found = live_comparison.compare(target, stage.stack, version)
        return found if found.requests >= asked else None

    found: LiveComparison = stage.wait("the copies of the requests", look)
    stage.moment(f"version {version.number} is compared as a shadow")
    live, shadow = found.live_accuracy, found.shadow_accuracy
    if live.value is None or shadow.value is None:
        raise WorkError("no photo that both versions answered has a label")
    stage.tell(
        f"          {found.requests} requests, {live.count} labelled: version {found.live} has {live.value:.0%} right "
        f"and version {found.shadow} {shadow.value:.0%}; it won {found.won} and lost {found.lost} (p {found.p:.2g})"
    )
    if found.won <= found.lost:
        registry.decide(target, version, approve=False, comment="as a shadow it was not better")
        raise WorkError(f"version {version.number} was not better as a shadow: {found.won} won and {found.lost} lost")
    return found


def _promote(stage: Stage, version: Version, comment: str) -> None:
    """Approves the version and waits until it serves."""
    registry.decide(stage.target, version, approve=True, comment=comment)
    registry.wait_until_served(stage.target, stage.stack["EndpointName"], version)


def _calm(stage: Stage) -> None:
    """Ends what would go on by itself: monitoring each minute, and a training that has begun."""
    deploy(stage.target, parameters={"MonitoringSchedule": _HOURLY, "RetrainingCoolDownHours": "24"})
    sagemaker = stage.target.client("sagemaker")
    newest = executions.newest(sagemaker, stage.target.stage)
    if newest:
        executions.stop(sagemaker, newest)


def _write(stage: Stage, camera: str, became: str) -> None:
    """Write story.json and the picture into the story's folder; `became` says how it ended."""
    told = stage.document("monitoring/periods.json")
    begun = stage.moments[0][1].isoformat()
    periods = [one for one in told.get("periods", []) if one["time"] >= begun[:19]]
    said = {
        "camera": camera,
        "became": became,
        "sent": stage.sent,
        "moments": [(name, at.isoformat()) for name, at in stage.moments],
        "sentences": told.get("sentences", {}),
        "periods": periods,
    }
    (stage.place / "story.json").write_text(json.dumps(said, indent=1) + "\n")
    title = f"The camera {HAPPENS[camera]}: {became}"
    picture.draw(stage.place / "report.png", periods, stage.sent, stage.moments, title)
