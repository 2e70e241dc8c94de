"""A whole run: cloud, stack, data, pipeline, and when it is to approve, endpoint, photos and report.

What can run side by side does: the local cloud starts and the SDK is imported while the data are fetched. Stopped in
the middle, the next run goes on from what was finished: uploads are content-addressed and steps are cached.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from loadingbay.data import provide
from loadingbay.data.acquire import Data
from loadingbay.registry.versions import Version
from loadingbay.screen.progress import Screen, command
from loadingbay.stack import up
from loadingbay.story import release, summary, training
from loadingbay.story.summary import DRAWN, Summary
from loadingbay.target import Target
from pipelines.builds import Builder
from pipelines.parameters import BY_NAME, Value

T = TypeVar("T")


@dataclass(frozen=True)
class Finished:
    """A run that succeeded: its summary, the version that it led to, and its folder below `runs`.

    `new` is False when nothing had changed and the version was registered before.
    """

    summary: Summary
    version: Version
    new: bool
    folder: Path


def run(
    target: Target,
    screen: Screen,
    root: Path,
    *,
    environment: Mapping[str, str],
    data: Path | Data | None,
    values: Mapping[str, Value],
    approve: bool,
) -> Finished:
    """Run cloud, stack, data, pipeline, approval and photos. WorkError with the reason of the part that failed.

    `root` is where `.loadingbay` and `runs` lie, `data` what --data names, or data that
    are in S3 already (`provide.stored`). summary.json is written in any case once the
    pipeline has started; `runs/latest` moves only when all went well.
    """
    made = Summary()
    folder: Path | None = None
    builder = Builder(root / ".loadingbay" / "definitions")
    builder.prepare()

    def fetch() -> Data:
        if isinstance(data, Data):
            return data
        with made.timed("data"):
            return provide.find(screen, data, environment)

    try:
        fetching = _Background(fetch)
        with made.timed("cloud"):
            up.start_cloud(target, screen)
        fetching.check()
        with made.timed("stack"):
            stack = up.deploy_stack(target, screen)
        made.endpoint_name = stack["EndpointName"]
        acquired = fetching.result()
        made.data = acquired.label
        if made.drawn:
            screen.say(DRAWN, style="bold yellow")
        if missing := release.missing_routes(str(values.get("Classes", BY_NAME["Classes"].default))):
            screen.say(f"{missing}, then `{command()} {'up' if target.local else 'deploy'}`", style="bold yellow")
        with made.timed("upload"):
            address = provide.upload(target, stack["BucketName"], acquired)
        training.require_image(target, stack)
        with screen.part("Pipeline") as part:
            with made.timed("definition"):
                screen.note(part, "building the definition")
                pipeline = training.upsert(target, stack, builder)
            with made.timed("pipeline"):
                text = pipeline.definition
                wanted = partial(training.parameters, target, stack, text, acquired, address, values)
                complete, arn, folder = training.begin(target, screen, part, root, text, wanted)
                made.pipeline_execution_arn = arn
                execution = training.follow(target, screen, part, arn)
        made.take(training.figures(target, execution))
        training.require_success(execution, acquired)
        registered = training.registered(target, execution, complete.version)
        version = registered.version
        made.model_package_arn = version.arn
        listed = release.fetch_photos(target, execution, folder / "photos")
        if approve:
            with made.timed("deployment"):
                release.approve(target, screen, stack["EndpointName"], version)
            since = datetime.now(UTC)
            with made.timed("photos"):
                made.outcomes = release.classify(target, screen, stack, listed, execution.id)
            with made.timed("report"):
                picture = release.report(
                    target, screen, stack, version, made.outcomes, execution=execution.id, since=since, folder=folder
                )
            made.report = str(picture)
    except BaseException as error:
        made.failure = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
        raise
    finally:
        builder.close()
        if folder is not None:
            summary.write(folder, made)
    summary.complete(root / "runs", folder)
    return Finished(made, version, registered.new, folder)


class _Background(Generic[T]):
    """A function running in a thread that does not keep the process alive."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._outcome: list[T] = []
        self._error: BaseException | None = None

        def work() -> None:
            try:
                self._outcome.append(function())
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what the function raised, if it has ended so by now; waits for nothing."""
        if self._error is not None:
            raise self._error

    def result(self) -> T:
        """Wait for the function to end and return its result; raises what it raised."""
        self._thread.join()
        self.check()
        return self._outcome[0]
