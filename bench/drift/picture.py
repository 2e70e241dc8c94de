"""Draws what happened along the time: accepted share and accuracy, versions as bands, and the moments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

BANDS = ("#dfe9f5", "#e3f2e1", "#f6e7d4")
LONGEST = 52  # characters of a moment
INK, GREEN, BLUE = "#333333", "#2f7d32", "#2b5c9e"


def draw(path: Path, periods: Sequence[dict[str, Any]], moments: Sequence[tuple[str, datetime]], title: str) -> None:
    """Writes the picture. `periods` are those of monitoring/periods.json, `moments` (name, time) in order;
    those that end with "serves" begin a version."""
    start = moments[0][1]

    def minutes(time: datetime) -> float:
        return (time - start).total_seconds() / 60

    times = [minutes(datetime.fromisoformat(one["time"])) for one in periods]
    fig, (ax, side) = plt.subplots(1, 2, figsize=(15, 5.5), layout="constrained", width_ratios=(3, 1.5))
    end = max([*times, *(minutes(at) for _, at in moments)]) + 0.3
    versions = list(dict.fromkeys(one["version"] for one in periods))
    begins = [minutes(at) for name, at in moments if name.endswith("serves")][: len(versions)]
    for number, (version, begin) in enumerate(zip(versions, begins, strict=False)):
        ax.axvspan(begin, [*begins, end][number + 1], color=BANDS[number % len(BANDS)], zorder=0)
        ax.text(begin, 1.045, f" version {version}", fontsize=10, va="center")
    ax.plot(times, [one["share_above"] for one in periods], "o-", color=BLUE, label="accepted share")
    known = [(at, one["estimates"]["accuracy"]) for at, one in zip(times, periods, strict=True)
             if (one.get("estimates") or {}).get("accuracy")]  # fmt: skip
    if known:
        values = [estimate["value"] for _, estimate in known]
        below = [max(0.0, estimate["value"] - estimate["low"]) for _, estimate in known]
        above = [max(0.0, estimate["high"] - estimate["value"]) for _, estimate in known]
        ax.errorbar([at for at, _ in known], values, yerr=[below, above], fmt="s-", color=GREEN, capsize=4,
                    label="accuracy by labels, 95 % interval")  # fmt: skip
    side.set_axis_off()
    for number, (name, at) in enumerate(moments, 1):
        ax.axvline(minutes(at), color=INK, linewidth=0.8, linestyle=":")
        ax.text(minutes(at), -0.02 + 0.035 * (number % 2), f"{number}", fontsize=8, color=INK, ha="center", va="bottom")
        text = name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
        side.text(0, 1 - number / (len(moments) + 2), f"{number:2}  {minutes(at):4.1f} min  {text}", fontsize=9)
    ax.set(xlabel="minutes", ylabel="share of the period's answers", ylim=(-0.03, 1.08), xlim=(0, end))
    ax.set_title(title, loc="left", fontsize=12, pad=14)
    ax.legend(loc="center right", frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    fig.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(fig)
