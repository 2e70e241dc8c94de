"""Draws what happened along the time: accepted share, accuracy and cost, versions as bands, and the moments."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

BANDS = ("#dfe9f5", "#e3f2e1", "#f6e7d4")
INK, GREEN, BLUE, RED = "#333333", "#2f7d32", "#2b5c9e", "#a8432f"
COLUMNS = 110  # of the title
NARROW = 0.1  # of the width: a band that its version's name does not fit into
APART = 0.028  # of the width: moments that are closer share a line of numbers

Moments = Sequence[tuple[str, datetime]]


def draw(
    path: Path, periods: Sequence[dict[str, Any]], sent: Sequence[dict[str, Any]], moments: Moments, title: str
) -> None:
    """Writes the picture.

    `periods` are those of monitoring/periods.json, `sent` what became of each period's photos (`time`,
    `cost_of_thousand`), `moments` (name, time) in order; those as `version 2 serves` begin a version.
    """
    start = moments[0][1]

    def minutes(time: datetime) -> float:
        return (time - start).total_seconds() / 60

    times = [minutes(datetime.fromisoformat(one["time"])) for one in periods]
    sent_at = [minutes(datetime.fromisoformat(one["time"])) for one in sent]
    end = max([1.0, *times, *sent_at, *(minutes(at) for _, at in moments)]) * 1.02
    fig, (upper, lower) = plt.subplots(2, 1, figsize=(13, 8.5), sharex=True, height_ratios=(2.2, 1))
    fig.subplots_adjust(left=0.08, right=0.72, top=0.88, bottom=0.07, hspace=0.12)
    _shares(upper, times, periods)
    lower.plot(sent_at, [one["cost_of_thousand"] for one in sent], "D-", color=RED, markersize=5)
    lower.set(
        ylabel="cost of 1,000 photos, when sent\n(a person's look 1, wrong bay 10)", xlabel="minutes", xlim=(0, end)
    )
    lower.set_ylim(0, max([100, *(one["cost_of_thousand"] for one in sent)]) * 1.15)
    serving = [(" ".join(name.split()[:2]), minutes(at)) for name, at in moments if name.endswith("serves")]
    _versions(upper, lower, serving, end)
    _moments(upper, lower, [(name, minutes(at)) for name, at in moments], end)
    for ax in (upper, lower):
        ax.spines[["top", "right"]].set_visible(False)
    fig.suptitle(textwrap.fill(title, COLUMNS), x=0.08, y=0.975, ha="left", va="top", fontsize=13)
    fig.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(fig)


def _shares(ax: Any, times: Sequence[float], periods: Sequence[dict[str, Any]]) -> None:
    """Accepted share and accuracy of each period, the latter with its interval where it is known."""
    ax.plot(times, [one["share_above"] for one in periods], "o-", color=BLUE, label="accepted share")
    known = [(at, one["estimates"]["accuracy"]) for at, one in zip(times, periods, strict=True)
             if (one.get("estimates") or {}).get("accuracy")]  # fmt: skip
    if known:
        values = [estimate["value"] for _, estimate in known]
        below = [max(0.0, estimate["value"] - estimate["low"]) for _, estimate in known]
        above = [max(0.0, estimate["high"] - estimate["value"]) for _, estimate in known]
        ax.errorbar([at for at, _ in known], values, yerr=[below, above], fmt="s-", color=GREEN, capsize=4,
                    label="accuracy by labels, with 95 % interval")  # fmt: skip
    ax.set(ylabel="share of the period's photos,\nwhen monitoring saw them", ylim=(0, 1.04))
    # Beside the axes, where no line runs.
    ax.legend(loc="lower left", bbox_to_anchor=(1.02, 0.0), frameon=False, fontsize=10, borderaxespad=0)


def _versions(upper: Any, lower: Any, serving: Sequence[tuple[str, float]], end: float) -> None:
    """Draw the versions, (name, time), as vertical bands: each from when it begins to serve until the next one."""
    for number, (version, begin) in enumerate(serving):
        until = [*(at for _, at in serving), end][number + 1]
        for ax in (upper, lower):
            ax.axvspan(begin, until, color=BANDS[number % len(BANDS)], zorder=0)
        narrow = until - begin < NARROW * end
        lower.text(until if narrow else (begin + until) / 2, 0.03, version,
                   ha="right" if narrow else "center", fontsize=10, color=INK, transform=lower.get_xaxis_transform(),
                   bbox={"facecolor": BANDS[number % len(BANDS)], "edgecolor": "none", "pad": 1.5})  # fmt: skip


def _moments(upper: Any, lower: Any, moments: Sequence[tuple[str, float]], end: float) -> None:
    """A line and a number for each moment, and what the numbers mean beside the axes."""
    level, last = 0, float("-inf")
    for number, (name, at) in enumerate(moments, 1):
        for ax in (upper, lower):
            ax.axvline(at, color=INK, linewidth=0.8, linestyle=":")
        level = level + 1 if at - last < APART * end else 0
        last = at
        upper.text(at, 1.015 + 0.045 * level, str(number), fontsize=9, color=INK, ha="center", va="bottom",
                   transform=upper.get_xaxis_transform())  # fmt: skip
        upper.text(1.02, 1 - 0.065 * number, f"{number}   {at:4.1f} min   {name}", fontsize=10, color=INK,
                   transform=upper.transAxes)  # fmt: skip
