"""Optuna's figures of a search as SVG, drawn by matplotlib, for a light page or a dark one."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadingbay.tuning.record import Objective, Trial
from pipelines.parameters import BY_NAME, Value

if TYPE_CHECKING:
    import optuna

NAMES: Mapping[str, str] = {
    "optimization_history": "The figure of each trial, and the best one so far",
    "slice": "The figure against each parameter",
    "parallel_coordinate": "The parameters of each trial and what they gave",
    "rank": "The trials by two parameters, coloured by their rank",
}
"""The figures that can be drawn, with a caption. Not the importance of parameters: its import takes six seconds."""
_OF_SEVERAL = frozenset({"parallel_coordinate", "rank"})  # they say nothing of a single parameter
_LEAST = 2  # trials
_LOCK = threading.Lock()  # matplotlib's settings and figures are the process's


@dataclass(frozen=True)
class _Colours:
    text: str
    lines: str


SCHEMES: Mapping[str, _Colours] = {"light": _Colours("#5b6470", "#d9dde2"), "dark": _Colours("#a2abb5", "#363d45")}


def drawable(trials: Sequence[Trial]) -> list[str]:
    """The names of the figures that these trials are enough for."""
    done = [trial for trial in trials if trial.figures]
    several = len({name for trial in done for name in trial.values}) > 1
    return [name for name in NAMES if several or name not in _OF_SEVERAL] if len(done) >= _LEAST else []


def draw(name: str, trials: Sequence[Trial], objective: Objective, scheme: str) -> bytes:
    """One of `NAMES` as SVG. `scheme` is "light" or "dark". KeyError for another name or scheme."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt
    from optuna.visualization import matplotlib as figures

    colours, _ = SCHEMES[scheme], NAMES[name]
    study = _study(trials, objective)
    more = {"target_name": {"nll": "NLL", "accuracy": "accuracy"}[objective]}
    with _LOCK, mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls its matplotlib figures experimental
        drawn = getattr(figures, f"plot_{name}")(study, **more)
        axes = drawn if hasattr(drawn, "get_figure") else drawn.flat[0]
        figure = axes.get_figure()
        try:
            return _as_svg(figure, colours)
        finally:
            plt.close(figure)


def _study(trials: Sequence[Trial], objective: Objective) -> optuna.Study:
    """The trials that have ended, in their order, as Optuna's study; each parameter's range is what was tried."""
    import optuna
    from optuna.study import StudyDirection

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction = StudyDirection.MINIMIZE if objective == "nll" else StudyDirection.MAXIMIZE
    study = optuna.create_study(direction=direction)
    done = sorted((trial for trial in trials if objective in trial.figures), key=lambda trial: trial.number)
    ranges = {name: _range(name, [trial.values[name] for trial in done]) for name in (done[0].values if done else ())}
    for trial in done:
        while len(study.trials) < trial.number:  # so that the numbers are the same: Optuna counts from 0
            study.add_trial(optuna.create_trial(state=optuna.trial.TrialState.FAIL))
        value = trial.figures[objective]
        study.add_trial(optuna.create_trial(params=dict(trial.values), distributions=ranges, value=value))
    return study


def _range(name: str, tried: Sequence[Value]) -> Any:
    """Return Optuna's distribution over the values that were tried, logarithmic where all are above 0."""
    from optuna.distributions import FloatDistribution, IntDistribution

    numbers = [float(value) for value in tried]
    low, high = min(numbers), max(numbers)
    if BY_NAME[name].kind == "Integer":
        return IntDistribution(int(low), int(high), log=low > 0)
    return FloatDistribution(low, high, log=low > 0)


def _as_svg(figure: Any, colours: _Colours) -> bytes:
    """The figure on a transparent ground, its text and lines in the page's colours."""
    from matplotlib.text import Text

    figure.patch.set_alpha(0)
    figure.set_size_inches(6.4, 3.6)
    figure.suptitle("")
    for axes in figure.axes:
        axes.set_facecolor("none")
        axes.set_title("")
        axes.tick_params(colors=colours.text)
        axes.grid(color=colours.lines)
        for spine in axes.spines.values():
            spine.set_color(colours.lines)
        if axes.get_legend():
            axes.get_legend().get_frame().set_alpha(0)
    for text in figure.findobj(Text):
        text.set_color(colours.text)
    out = io.BytesIO()
    figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    return out.getvalue()
