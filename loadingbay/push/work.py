"""Carries out one push: clones the commit and runs its buildspec. The clone is removed, the log is kept."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from loadingbay.errors import WorkError
from loadingbay.push import buildspec, source
from loadingbay.push.build import Build
from loadingbay.push.source import Commit
from loadingbay.target import Target

FILE = "buildspec.yml"
# Of the machine a build sees what CodeBuild's would have too: nothing that chooses a cloud, an environment or data.
# The last four are what workflow/cicd.yaml gives to a build on AWS: a push within one must not reach that registry.
_HIDDEN = (
    *("AWS_", "LOADINGBAY_", "CODEBUILD_", "GIT_", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS", "CIFAR100_ARCHIVE"),
    *("REPOSITORY_URI", "INPUT_DATA", "PROMOTE_FROM", "PERMISSIONS_BOUNDARY_ARN", "KMS_KEY_ARN", "MODEL_PACKAGE_ARN"),
)


@dataclass(frozen=True)
class Built:
    """How a build ended. `failed` is `PHASE: command` of what failed first, `exported` what the buildspec exports."""

    exit_code: int
    failed: str
    exported: Mapping[str, str]
    log: Path
    seconds: float


def environment(
    machine: Mapping[str, str], target: Target, commit: Commit, place: Path, overrides: Mapping[str, str]
) -> dict[str, str]:
    """The variables of a build: the machine's, the cloud's, CodeBuild's own, and what the person set, in this order."""
    started = round(time.time() * 1000)
    return {
        **{name: value for name, value in machine.items() if not name.startswith(_HIDDEN)},
        **target.environment,
        "LOADINGBAY_STAGE": target.stage,
        "CODEBUILD_BUILD_ID": f"{target.stage}-push:{commit.sha[:12]}-{started}",
        "CODEBUILD_CI": "true",
        "CODEBUILD_INITIATOR": "loadingbay push",
        # As CodeBuild's own local agent says it: there need be no Docker engine, and no registry behind it.
        "CODEBUILD_LOCAL_BUILD": "true",
        "CODEBUILD_RESOLVED_SOURCE_VERSION": commit.sha,
        "CODEBUILD_SOURCE_VERSION": commit.sha,
        "CODEBUILD_SRC_DIR": str(place),
        "CODEBUILD_START_TIME": str(started),
        **overrides,
    }


def build(
    target: Target,
    repository: Path,
    commit: Commit,
    *,
    machine: Mapping[str, str],
    overrides: Mapping[str, str],
    logs: Path,
    log: Callable[[bytes], None],
) -> Built:
    """Clones the commit and carries out its buildspec; the log goes to `log` and to a file in `logs`.

    Raises WorkError when there is no build to carry out; a build that fails is told by its exit code.
    """
    begun = time.monotonic()
    try:
        logs.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="loadingbay-push-"))
    except OSError as error:
        raise WorkError(f"there is no room for a build: {error.filename}: {error.strerror}") from error
    kept = logs / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{commit.sha[:12]}.log"
    try:
        place = folder / "source"
        source.clone(repository, commit, place)
        plan = buildspec.read(place / FILE)
        with kept.open("wb") as file:

            def both(printed: bytes) -> None:
                log(printed)
                file.write(printed)
                file.flush()

            work = Build(
                plan,
                place,
                folder / "state",
                environment(machine, target, commit, place, overrides),
                log=both,
                say=lambda text: both(f"[push] {datetime.now().astimezone():%H:%M:%S} {text}\n".encode()),
            )
            work.run()
            return Built(work.exit_code, work.failed, work.exported(), kept, time.monotonic() - begun)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
