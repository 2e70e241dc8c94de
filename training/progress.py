"""How far a whole training job is, told by any of the processes that train its networks side by side.

Each process writes what it has done into a file of its own in a folder that all share, and reads the others'.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Progress:
    """`work` is the amount of work of each fit by its name, in any unit; `began` is the clock when the job began."""

    folder: Path
    work: Mapping[str, float]
    began: float = field(default_factory=time.time)

    def update(self, fit: str, share: float) -> str:
        """Note that `share` (0 to 1) of a fit is done. Returns `fits=3/4 done=62 left=20`: per cent, and seconds."""
        place = self.folder / f"{fit.replace('/', '-of-')}.progress"
        partial = place.with_suffix(".partial")
        partial.write_text(f"{share:.6f}", "utf-8")
        partial.replace(place)
        shares = {name: self._share(name) for name in self.work}
        done = sum(self.work[name] * shares[name] for name in self.work) / sum(self.work.values())
        finished = sum(share >= 1 for share in shares.values())
        left = (time.time() - self.began) * (1 - done) / done if done else 0.0
        return f"fits={finished}/{len(shares)} done={100 * done:.0f} left={left:.0f}"

    def _share(self, fit: str) -> float:
        place = self.folder / f"{fit.replace('/', '-of-')}.progress"
        return float(place.read_text("utf-8")) if place.is_file() else 0.0
