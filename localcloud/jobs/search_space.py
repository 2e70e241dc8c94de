"""Proposes the hyperparameters of a tuning job's training jobs, and says which of these to stop early. No store.

Optuna proposes: at random, by its tree-structured Parzen estimator (Bayesian), or by the grid. Hyperband and early
stopping are its pruners. Source: "How hyperparameter tuning with Amazon SageMaker AI works".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Document = dict[str, Any]


class SearchError(ValueError):
    """A tuning job's ranges or strategy cannot be searched; the message names the member."""


class Trial:
    """One proposal: `parameters` as a training job takes them, all text."""

    def __init__(self, optuna_trial: Any, parameters: dict[str, str]) -> None:
        self.optuna_trial, self.parameters = optuna_trial, parameters
        self.reported = 0


class Search:
    """The search of one training job definition. `objective` is a HyperParameterTuningJobObjective."""

    def __init__(self, ranges: Document, objective: Document, config: Document, seed: int | None = None) -> None:
        """A search over the ranges of a tuning job's configuration that has suggested nothing yet.

        `seed` makes random choices repeatable.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        check_ranges(ranges, config["Strategy"])
        self._scales = {one["Name"]: one for one in _numbers(ranges)}
        self._distributions = dict(self._spaces(ranges))
        self._grid = grid(ranges) if config["Strategy"] == "Grid" else None
        bayesian = config["Strategy"] in ("Bayesian", "Hyperband")
        samplers = optuna.samplers
        self.objective = objective
        self._stops = config["Strategy"] == "Hyperband" or config.get("TrainingJobEarlyStoppingType") == "Auto"
        self._study = optuna.create_study(
            direction="maximize" if objective["Type"] == "Maximize" else "minimize",
            # What runs counts as poor, so that jobs side by side do not try the same.
            sampler=samplers.TPESampler(seed=seed, n_startup_trials=5, constant_liar=True)
            if bayesian
            else samplers.RandomSampler(seed=seed),
            pruner=self._pruner(config),
        )

    def _pruner(self, config: Document) -> Any:
        """Return Optuna's pruner for the tuning job's strategy and early stopping."""
        pruners = self._optuna.pruners
        if config["Strategy"] == "Hyperband":
            limits = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
            most = limits.get("MaxResource", "auto")
            return pruners.HyperbandPruner(min_resource=limits.get("MinResource", 1), max_resource=most)
        if config.get("TrainingJobEarlyStoppingType") == "Auto":
            return pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=2)
        return pruners.NopPruner()

    def _spaces(self, ranges: Document) -> Iterator[tuple[str, Any]]:
        """Yield each parameter's name with Optuna's distribution over its range."""
        kinds = self._optuna.distributions
        for one in ranges.get("CategoricalParameterRanges", []):
            yield one["Name"], kinds.CategoricalDistribution(one["Values"])
        for one in ranges.get("IntegerParameterRanges", []):
            low, high = int(one["MinValue"]), int(one["MaxValue"])
            yield one["Name"], kinds.IntDistribution(low, high, log=one.get("ScalingType") == "Logarithmic")
        for one in ranges.get("ContinuousParameterRanges", []):
            least, most = float(one["MinValue"]), float(one["MaxValue"])
            if one.get("ScalingType") == "ReverseLogarithmic":
                least, most = 1 - most, 1 - least
            logarithmic = one.get("ScalingType") in ("Logarithmic", "ReverseLogarithmic")
            yield one["Name"], kinds.FloatDistribution(least, most, log=logarithmic)

    def propose(self) -> Trial | None:
        """The next proposal; None if the grid is done."""
        if self._grid is not None:
            point = next(self._grid, None)
            if point is None:
                return None
            self._study.enqueue_trial(point)
        trial = self._study.ask(self._distributions)
        return Trial(trial, {name: self._text(name, value) for name, value in trial.params.items()})

    def _text(self, name: str, value: Any) -> str:
        reverse = self._scales.get(name, {}).get("ScalingType") == "ReverseLogarithmic"
        return str(1 - value) if reverse else str(value)

    def learn(self, parameters: Mapping[str, str], value: float) -> None:
        """Add what another tuning job has found (warm start); what lies outside of the ranges is left out."""
        given: Document = {}
        for name, distribution in self._distributions.items():
            text = parameters.get(name)
            if text is None:
                return
            number = (
                text if isinstance(distribution, self._optuna.distributions.CategoricalDistribution) else float(text)
            )
            if self._scales.get(name, {}).get("ScalingType") == "ReverseLogarithmic":
                number = 1 - float(number)
            if isinstance(distribution, self._optuna.distributions.IntDistribution):
                number = int(number)
            given[name] = number
        try:
            self._study.add_trial(
                self._optuna.trial.create_trial(params=given, distributions=self._distributions, value=value)
            )
        except ValueError:
            return

    def hopeless(self, trial: Trial, values: Sequence[float]) -> bool:
        """Whether to stop a running training job; `values` are the figures of its objective so far."""
        if not self._stops:
            return False
        for step in range(trial.reported, len(values)):
            trial.optuna_trial.report(values[step], step + 1)
        trial.reported = len(values)
        return bool(values) and bool(trial.optuna_trial.should_prune())

    def ended(self, trial: Trial, value: float | None) -> None:
        """Tell how a training job ended: its objective, or None if it has none."""
        if value is None or not math.isfinite(value):
            self._study.tell(trial.optuna_trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial.optuna_trial, value)


def better(objective: Document, one: float, other: float) -> bool:
    """Whether one figure of an objective is better than another."""
    return one > other if objective["Type"] == "Maximize" else one < other


def grid(ranges: Document) -> Iterator[Document]:
    """Every combination of the categorical values, in their order."""
    categories = ranges.get("CategoricalParameterRanges", [])
    for values in itertools.product(*(one["Values"] for one in categories)):
        yield dict(zip((one["Name"] for one in categories), values, strict=True))


def check_ranges(ranges: Document, strategy: str) -> None:
    """SearchError if there is nothing to search, or a range is none."""
    names = [one["Name"] for kind in ranges.values() if isinstance(kind, list) for one in kind]
    if not names:
        raise SearchError("ParameterRanges is empty: there is nothing to tune.")
    if len(set(names)) < len(names):
        raise SearchError(f"ParameterRanges name a hyperparameter twice: {', '.join(sorted(names))}.")
    if strategy == "Grid" and any(_numbers(ranges)):
        raise SearchError("The strategy Grid takes CategoricalParameterRanges only.")
    for one in _numbers(ranges):
        try:
            low, high = float(one["MinValue"]), float(one["MaxValue"])
        except ValueError:
            raise SearchError(f"The range of {one['Name']!r} holds what is no number.") from None
        scaling = one.get("ScalingType", "Auto")
        if not low <= high or (scaling == "Logarithmic" and low <= 0):
            raise SearchError(f"The range of {one['Name']!r}, {low:g} to {high:g}, is empty or not above 0.")
        if scaling == "ReverseLogarithmic" and not 0 <= low <= high < 1:
            raise SearchError(f"The range of {one['Name']!r} must lie in [0, 1) for ReverseLogarithmic.")


def _numbers(ranges: Document) -> list[Document]:
    return [*ranges.get("IntegerParameterRanges", []), *ranges.get("ContinuousParameterRanges", [])]
