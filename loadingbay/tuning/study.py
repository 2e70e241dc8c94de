"""A hyperparameter search as a whole: prepares data and pipeline, runs trials, registers the best, prints the table."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from loadingbay.data import provide
from loadingbay.data.acquire import Data
from loadingbay.errors import WorkError
from loadingbay.registry.versions import Version
from loadingbay.screen import results
from loadingbay.screen.progress import Screen, command, duration
from loadingbay.stack import up
from loadingbay.story import summary, training
from loadingbay.story.summary import Summary
from loadingbay.target import Target
from loadingbay.tuning.record import Objective, Trial
from loadingbay.tuning.trials import Search, Tuner, short, study_name
from pipelines.builds import Builder
from pipelines.derived import Derived
from pipelines.parameters import BY_NAME, Value


@dataclass(frozen=True)
class Tuned:
    """The result of a search, with the best trial first. `given` are the parameters of all trials, `source` is --data.

    `failure` says why there is no version although one was asked for, or why there is no best trial.
    """

    study: str
    data: str
    source: Path | None
    objective: Objective
    trials: list[Trial]
    given: Mapping[str, Value]
    registering: bool
    version: Version | None = None
    failure: str = ""

    @property
    def best(self) -> Trial | None:
        """The best trial, if any succeeded."""
        return next((trial for trial in self.trials if trial.figures), None)

    @property
    def chosen(self) -> dict[str, Value]:
        """The parameters that differ from the defaults when the best trial's are used."""
        return {**self.given, **(self.best.values if self.best else {})}

    def document(self) -> dict[str, Any]:
        """The result as a JSON object, which `tune --json` prints."""
        return {
            "study": self.study,
            "data": self.data,
            "objective": self.objective,
            "trials": [trial.document() for trial in self.trials],
            "best": self.best.document() if self.best else None,
            "version": self.version.document() if self.version else None,
            "failure": self.failure or None,
        }


@dataclass(frozen=True)
class Wanted:
    """What a search is to do: `given` are the parameters that all trials share, `data` is what --data names."""

    search: Search
    given: Mapping[str, Value]
    data: Path | None
    register: bool


def tune(target: Target, screen: Screen, root: Path, wanted: Wanted, *, environment: Mapping[str, str]) -> Tuned:
    """Searches, and registers the best if asked. Raises WorkError when what comes before the first trial fails.

    `root` is where `.loadingbay` and `runs` lie. What fails later is the `failure` of what it returns.
    """
    made = Summary()
    builder = Builder(root / ".loadingbay" / "definitions")
    builder.prepare()
    try:
        up.start_cloud(target, screen)
        stack = up.deploy_stack(target, screen)
        training.require_image(target, stack)
        data = provide.find(screen, wanted.data, environment)
        address = provide.upload(target, stack["BucketName"], data)
        with screen.part("Pipeline") as part:
            pipeline = training.upsert(target, stack, builder)
            part.note = pipeline.result
    finally:
        builder.close()
    complete = training.parameters(target, stack, pipeline.definition, data, address, wanted.given)
    values = {name: value for name, value in complete.values.items() if name != "RegisteredModel"}
    study = study_name(pipeline.definition, values, wanted.search.space)
    tuner = Tuner(target, screen, wanted.search, study, values)
    if recalled := tuner.recall():
        screen.say(f"The search {study} goes on: {recalled} of {wanted.search.trials} trials were started before.")
    trials = tuner.run()
    tuned = Tuned(study, data.label, wanted.data, wanted.search.objective, trials, wanted.given, wanted.register)
    if tuned.best is None:
        return replace(tuned, failure="no trial succeeded: the table says why")
    if not wanted.register:
        return tuned
    # The whole pipeline with the best parameters; Stage and Train come from the cache.
    made.data = data.label
    text = pipeline.definition
    best = partial(training.parameters, target, stack, text, data, address, tuned.chosen)
    try:
        return replace(tuned, version=_register(target, screen, root, made, text, best, data))
    except WorkError as error:
        return replace(tuned, failure=str(error))


def _register(
    target: Target, screen: Screen, root: Path, made: Summary, text: str, best: Callable[[], Derived], data: Data
) -> Version:
    """Runs the pipeline with the best parameters and keeps its summary; the version. WorkError when there is none."""
    folder: Path | None = None
    try:
        with screen.part("Pipeline") as part, made.timed("pipeline"):
            complete, arn, folder = training.begin(target, screen, part, root, text, best)
            made.pipeline_execution_arn = arn
            execution = training.follow(target, screen, part, arn)
        made.take(training.figures(target, execution))
        training.require_success(execution, data)
        version = training.registered(target, execution, complete.version).version
        made.model_package_arn = version.arn
    except BaseException as error:
        made.failure = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
        raise
    finally:
        if folder is not None:
            summary.write(folder, made)
    return version


def show(out: Console, tuned: Tuned) -> None:
    """Prints the trials as a table, the best first, and what to do with the best."""
    results.drawn_notice(out, tuned.data == "drawn samples")
    table = Table(box=None, pad_edge=False, header_style="dim")
    names = list(tuned.trials[0].values) if tuned.trials else []
    table.add_column("trial", justify="right")
    for name in names:
        table.add_column(BY_NAME[name].flag[2:].replace("-", " "), justify="right")
    for heading in ("NLL", "accuracy", "trained in"):
        table.add_column(heading, justify="right")
    table.add_column("version")
    for trial in tuned.trials:
        nll, accuracy = trial.figures.get("nll"), trial.figures.get("accuracy")
        took = "" if trial.seconds is None else "cached" if trial.cached else duration(trial.seconds)
        table.add_row(
            str(trial.number),
            *(short(trial.values[name]) for name in names),
            "" if nll is None else f"{nll:.4f}",
            "" if accuracy is None else f"{accuracy:.1%}",
            took,
            _version(tuned, trial),
            style="bold" if trial is tuned.best else "red" if trial.failure else "",
        )
    out.print(table)
    out.print("NLL and accuracy are out of fold: of training photos that the network had not learned from.")
    if tuned.best is not None and tuned.version is None and not tuned.registering:
        flags = ["--data", str(tuned.source)] if tuned.source else []
        flags += [word for name, value in tuned.chosen.items() for word in (BY_NAME[name].flag, str(value))]
        out.print("Register the best (it need not be trained again):")
        out.print(f"  {command()} run {shlex.join(flags)}", soft_wrap=True)


def _version(tuned: Tuned, trial: Trial) -> str:
    """The version that a trial's parameters gave, or why there is none."""
    if trial.failure:
        return f"none: {trial.failure}"
    if trial is not tuned.best:
        return "none: another is better"
    if tuned.version is not None:
        return f"{tuned.version.number}, pending approval"
    return f"none: {tuned.failure}" if tuned.failure else "none: not registered yet"
