"""`loadingbay tune` from door to table: prepares as a run does, searches, registers the best if asked, and shows."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from loadingbay.errors import WorkError
from loadingbay.registry.versions import Version
from loadingbay.screen import results
from loadingbay.screen.progress import command, duration
from loadingbay.story import summary as runs
from loadingbay.story.run import Run, acquire_data, definition, require_image
from loadingbay.tuning.space import Space
from loadingbay.tuning.trials import Objective, Search, Trial, Tuner, short, study_name
from pipelines import derived, executions
from pipelines.builds import Builder
from pipelines.parameters import BY_NAME, Value
from pipelines.sources import git_commit

if TYPE_CHECKING:
    from loadingbay.data.acquire import Data


@dataclass
class Tuned:
    """What came of a search, the best trial first. `given` are the parameters of all trials, `source` is --data.

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
        """As JSON."""
        return {
            "study": self.study,
            "data": self.data,
            "objective": self.objective,
            "trials": [trial.document() for trial in self.trials],
            "best": self.best.document() if self.best else None,
            "version": self.version.document() if self.version else None,
            "failure": self.failure or None,
        }


def tune(
    work: Run,
    data: Path | None,
    given: Mapping[str, Value],
    space: Space,
    trials: int,
    parallel: int,
    objective: Objective,
    register: bool,
) -> Tuned:
    """Searches, and registers the best if asked. Raises WorkError when what comes before the first trial fails."""
    builder = Builder(work.root / ".loadingbay" / "definitions")
    builder.prepare()
    try:
        work.start_cloud()
        work.deploy_stack()
        require_image(work.target, work.stack)
        acquired = acquire_data(work, data)
        work.summary.data = acquired.label
        address = work.upload(acquired)
        values = {"InputData": address, "DataLabel": acquired.label, "GitCommit": git_commit(), **given}
        sagemaker, s3 = work.target.client("sagemaker"), work.target.client("s3")
        with work.screen.part("Pipeline") as part:
            text = definition(work.target, work.stack, builder)
            part.note = executions.upsert(sagemaker, text, work.stack["PipelineRoleArn"], work.target.stage)
        # A trial neither evaluates nor registers, but an execution must have the parameter.
        values = derived.complete(sagemaker, s3, work.stack["BucketName"], text, values, work.target.stage).values
        values.pop("RegisteredModel", None)
        study = study_name(text, values, space)
        tuner = Tuner(work.target, work.screen, Search(space, trials, parallel, objective), study, values)
        if recalled := tuner.recall():
            work.screen.say(f"The search {study} goes on: {recalled} of {trials} trials were started before.")
        tuned = Tuned(study, acquired.label, data, objective, tuner.run(), given, register)
        if tuned.best is None:
            tuned.failure = "no trial succeeded: the table says why"
        elif register:
            _register(work, builder, acquired, address, tuned)
        return tuned
    finally:
        builder.close()


def _register(work: Run, builder: Builder, data: Data, address: str, tuned: Tuned) -> None:
    """Runs the whole pipeline with the best parameters; Stage and Train come from the cache."""
    try:
        work.run_pipeline(builder, data, address, tuned.chosen)
        tuned.version = work.find_version()
    except WorkError as error:
        tuned.failure = work.summary.failure = str(error)
    finally:
        if work.folder is not None:
            runs.write(work.folder, work.summary)


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
