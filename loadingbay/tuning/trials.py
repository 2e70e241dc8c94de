"""Searches parameters of training: each trial is a pipeline execution that stages and trains, and nothing more.

What is optimised is measured on training photos that a fold held out. Test photos are not looked at: Evaluate runs for
the version that is registered in the end, not for each trial. SageMaker keeps the record: a trial's execution is titled
`tune-<study>-<number>`, its parameters and its job's metrics are there to be read, so the same command goes on with a
search that was interrupted, on whatever machine. What is tried next is Optuna's choice.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadingbay.screen.progress import Part, Screen
from loadingbay.target import Target
from loadingbay.tuning import record
from loadingbay.tuning.record import Objective, Trial
from loadingbay.tuning.space import Space, defaults_within
from pipelines import executions
from pipelines.derived import DERIVED
from pipelines.parameters import BY_NAME, Value
from pipelines.training_log import Epoch

if TYPE_CHECKING:
    import optuna

STEPS = ("Stage", "Train")
HOPELESS = 3  # so many failed and none succeeded: the next would fail too
RANDOM_TRIALS = 4  # before Optuna's model of what is good takes over


class Interrupted(KeyboardInterrupt):
    """Raised when the search is interrupted while a trial still runs."""


@dataclass(frozen=True)
class Search:
    """What is searched: the space, how many trials in all, how many at a time, and by which figure they are ranked."""

    space: Space
    trials: int
    parallel: int
    objective: Objective


def study_name(definition: str, values: Mapping[str, Value], space: Space) -> str:
    """Names a search: by the code that trains, the data, the parameters all trials share, and the space."""
    steps = [step for step in json.loads(definition)["Steps"] if step["Name"] in STEPS]
    fixed = {name: str(value) for name, value in values.items() if name not in {*DERIVED, "GitCommit"}}
    text = json.dumps([steps, fixed, {name: str(space[name]) for name in space}], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class Tuner:
    """A search under way. `values` are the parameters that all trials share."""

    def __init__(self, target: Target, screen: Screen, search: Search, study: str, values: Mapping[str, Value]) -> None:
        """A search that has tried nothing yet.

        Args:
            target: the stage.
            screen: where progress is shown.
            search: the space, the objective and the number of trials.
            study: the name of the search, part of each trial's.
            values: pipeline parameters that all trials share; `Seed` also seeds the sampler.
        """
        import optuna
        from optuna.study import StudyDirection

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._target, self._screen, self._search = target, screen, search
        self._name, self._title, self._values = study, f"{executions.TRIAL}{study}-", dict(values)
        self._distributions = {name: dimension.distribution() for name, dimension in search.space.items()}
        seed = int(values.get("Seed", 1))
        # Trials under way count as bad ones, so that trials side by side are not alike.
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS, constant_liar=True)
        direction = StudyDirection.MINIMIZE if search.objective == "nll" else StudyDirection.MAXIMIZE
        self._study = optuna.create_study(sampler=sampler, direction=direction)
        self._trials: list[Trial] = []
        self._running: list[Trial] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def recall(self) -> int:
        """Takes up the trials that earlier commands started; how many of them count.

        What succeeded or failed has been tried, what still runs is waited for, and what was stopped is tried again.
        """
        found = sorted(self._earlier(), key=lambda pair: pair[0].number)
        again: list[dict[str, Value]] = []
        if (first := defaults_within(self._search.space)) is not None:
            again.append(first)
        for trial, status in found:
            if status in {"Stopped", "Stopping"}:
                again.append(trial.values)
                continue
            self._trials.append(trial)
            if status == "Executing":
                self._running.append(trial)
            else:
                record.conclude(
                    self._target,
                    trial,
                    executions.describe(self._target.client("sagemaker"), trial.execution),
                    self._search.objective,
                )
                self._learn(trial)
        tried = [trial.values for trial in self._trials]
        for values in again:
            if values not in tried:
                self._study.enqueue_trial(dict(values))
                tried.append(values)
        self._number = max((trial.number for trial, _ in found), default=0)
        return len(self._trials)

    def run(self) -> list[Trial]:
        """Runs trials until there are as many as were asked for, or none succeeds; all of them, the best first.

        Interrupted, it stops the executions that run; the same command tries their parameters again.
        """
        with ThreadPoolExecutor(self._search.parallel, thread_name_prefix="trial") as pool:
            workers = [pool.submit(self._work) for _ in range(self._search.parallel)]
            try:
                wait(workers, return_when=FIRST_EXCEPTION)
            finally:  # by then all have ended, or one has failed, or the user has had enough
                self._stopping.set()
        # When a worker failed, the others were interrupted; what failed is the reason.
        reasons = sorted(
            (e for worker in workers if (e := worker.exception())), key=lambda e: isinstance(e, Interrupted)
        )
        if reasons:
            raise reasons[0]
        return record.better_first(self._trials, self._search.objective)

    def _earlier(self) -> Iterator[tuple[Trial, str]]:
        """The executions of this study, with their status."""
        for one in record.listed(self._target, self._name):
            values = {name: BY_NAME[name].parse(one.given[name]) for name in self._search.space}
            yield Trial(one.number, values, one.execution), one.status

    def _work(self) -> None:
        """One worker: follows what still runs, then starts trials, until there are enough."""
        while not self._stopping.is_set():
            with self._lock:
                if self._running:
                    trial, asked = self._running.pop(), None
                elif len(self._trials) < self._search.trials and not self._hopeless():
                    asked = self._study.ask(self._distributions)
                    trial = self._start(asked.params)
                else:
                    return
            with self._screen.part(f"Trial {trial.number}") as part:
                self._follow(trial, part)
                part.note = f"{described(trial.values)}: {outcome(trial)}"
            with self._lock:
                self._learn(trial, asked)

    def _hopeless(self) -> bool:
        return sum(bool(t.failure) for t in self._trials) >= HOPELESS and not any(t.figures for t in self._trials)

    def _start(self, values: Mapping[str, Value]) -> Trial:
        """Start an execution that stages and trains with these parameters; return its trial."""
        self._number += 1
        arn = executions.start(
            self._target.client("sagemaker"),
            {**self._values, **values},
            self._target.stage,
            steps=STEPS,
            title=f"{self._title}{self._number:03d}",
        )
        trial = Trial(self._number, dict(values), arn)
        self._trials.append(trial)
        return trial

    def _follow(self, trial: Trial, part: Part) -> None:
        """Waits for the trial's end, saying how far it is. Raises Interrupted when the search ends before."""
        sagemaker, logs = self._target.client("sagemaker"), self._target.client("logs")
        execution = None
        try:
            for seen in executions.follow(
                sagemaker, logs, trial.execution, interval=self._target.interval, sleep=self._sleep
            ):
                if isinstance(seen, Epoch):
                    progress = f"{seen.phase} {seen.epoch}/{seen.epochs}, loss {seen.loss:.3f}"
                    self._screen.note(part, f"{described(trial.values)}: {progress}")
                else:
                    execution = seen
        except Interrupted:
            self._screen.note(part, "stopping")
            executions.stop(sagemaker, trial.execution)
            part.note = f"{described(trial.values)}; the same command tries it again"
            raise
        if execution is not None:
            record.conclude(self._target, trial, execution, self._search.objective)

    def _sleep(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Interrupted

    def _learn(self, trial: Trial, asked: optuna.trial.Trial | None = None) -> None:
        """Report the trial's result to Optuna. `asked` is None for a trial that an earlier command started."""
        from optuna.trial import TrialState, create_trial

        value = trial.figures.get(self._search.objective)
        if asked is not None:
            self._study.tell(asked, value, state=TrialState.FAIL if value is None else None)
        elif value is not None:
            told = create_trial(params=dict(trial.values), distributions=self._distributions, value=value)
            self._study.add_trial(told)


def described(values: Mapping[str, Value]) -> str:
    """Return parameters as text, such as `learning-rate 0.0342, batch-size 32`."""
    return ", ".join(f"{BY_NAME[name].flag[2:]} {short(value)}" for name, value in values.items())


def short(value: Value) -> str:
    """Return a value as text, floats with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def outcome(trial: Trial) -> str:
    """Return a trial's result in words: its figure, or why it has none."""
    if trial.failure:
        return f"failed: {trial.failure}"
    words = {"nll": "NLL {:.4f}", "accuracy": "accuracy {:.1%}"}
    figures = ", ".join(words[name].format(value) for name, value in trial.figures.items())
    return f"out of fold {figures}{' (from the cache)' if trial.cached else ''}"
