"""Which networks are trained, and their training side by side: the folds, and the network that ships."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import cv2
import fitting
import heads
import numpy as np
import numpy.typing as npt
import records
from cluster import Exchange
from progress import Progress
from sklearn.model_selection import StratifiedKFold

FINAL = "final"
LABELLED_SHARE = 1 / 3  # of what a network learns from, where people labelled photos
MOST_REPEATS = 4  # of a labelled photo in an epoch
SECOND, FEATURES = "second-opinion", "features.npz"
SECOND_WORK = 0.15  # of the final network's: what the large network's features cost
# Folders of pixels below the job's scratch folder: photos of other things, where the data have any; crops of natural
# photographs; the training photos as heads.saved gives them.
OUTLIERS, CROPS, SAVED = "outliers", "crops", "saved"

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What all phases share; small enough to be sent to each process.

    `scratch` holds the decoded training photos, and the folders named above.
    """

    scratch: Path
    size: tuple[int, int]
    mean: Float32
    std: Float32
    classes: int
    recipe: fitting.Recipe
    model_dir: Path
    checkpoints: fitting.Checkpoints | None = None
    progress: Progress | None = None
    second: bool = False  # whether a large network is asked too: its features then lie in FEATURES in `scratch`


@dataclass(frozen=True)
class Outcome:
    """What a phase hands back: logits of its held-out rows (in their order), and its epochs.

    `saved` are those of the same photos as heads.saved gives them.
    """

    logits: Float32
    saved: Float32
    history: list[dict[str, Any]]


def plan(labels: Int64, folds: int, seed: int, labelled: int = 0) -> list[fitting.Phase]:
    """k stratified folds, which together hold every row out exactly once, and the final network on all rows.

    The last `labelled` rows are photos that people labelled because what arrives has changed. There are few of them: in
    an epoch each comes several times, until they are LABELLED_SHARE of it, but at most MOST_REPEATS times.
    """
    first = len(labels) - labelled
    wanted = LABELLED_SHARE / (1 - LABELLED_SHARE) * first / labelled if labelled else 1
    times = min(MOST_REPEATS, max(1, round(wanted)))

    def repeated(rows: Int64) -> Int64:
        return np.concatenate([rows, *[rows[rows >= first]] * (times - 1)])

    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    planned = [
        fitting.Phase(
            f"fold-{number}/{folds}", repeated(rows.astype(np.int64)), held_out.astype(np.int64), seed * 1000 + number
        )
        for number, (rows, held_out) in enumerate(splitter.split(labels, labels), start=1)
    ]
    everything = np.arange(len(labels), dtype=np.int64)
    return [*planned, fitting.Phase(FINAL, repeated(everything), everything[:0], seed * 1000)]


def others(scratch: Path, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """(n, h, w, 3) photos that show none of the classes: crops where the data have no others."""
    return records.mapped(scratch / (OUTLIERS if (scratch / OUTLIERS).is_dir() else CROPS), size).images


def colour_statistics(images: npt.NDArray[np.uint8]) -> tuple[Float32, Float32]:
    """Mean and standard deviation of each channel over all pixels, in 0..255, read in slices."""
    count, total, squares = 0, np.zeros(3), np.zeros(3)
    for at in range(0, len(images), 1000):
        pixels = images[at : at + 1000].reshape(-1, 3).astype(np.float64)
        count += len(pixels)
        total += pixels.sum(axis=0)
        squares += (pixels**2).sum(axis=0)
    mean = total / count
    # Photos of one flat colour would otherwise divide by zero.
    std = np.sqrt(np.maximum(squares / count - mean**2, 1.0))
    return mean.astype(np.float32), std.astype(np.float32)


def _report(line: str) -> None:
    """One write a line, so that lines of processes side by side do not mix."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def channel(job: Job) -> fitting.Channel:
    """What every network learns from."""
    pixels, strange = records.mapped(job.scratch, job.size), others(job.scratch, job.size)
    return fitting.Channel(pixels, job.mean, job.std, job.classes, strange)


def outcome(fit: fitting.Fit, phase: fitting.Phase, learned: fitting.Channel, job: Job) -> Outcome:
    """What a trained network hands back; `learned` is `channel`'s."""
    again = replace(learned, pixels=records.mapped(job.scratch / SAVED, job.size))
    return Outcome(fit.logits, fitting.predict(fit.net, again, phase.held_out), fit.history)


def _fit(phase: fitting.Phase, job: Job, exchange: Exchange | None = None, until: int | None = None) -> fitting.Fit:
    """Train a phase in this process, to its end or `until` an epoch."""
    cv2.setNumThreads(0)

    def report(line: str, epoch: int) -> None:
        overall = job.progress.update(phase.name, epoch / job.recipe.epochs) if job.progress else ""
        _report(f"{line} {overall}".rstrip())

    return fitting.fit(phase, channel(job), job.recipe, report, job.checkpoints, exchange, until)


def begin(phase: fitting.Phase, job: Job, until: int) -> None:
    """Train the first epochs of a phase in this process, and leave a checkpoint, from which `run_one` goes on."""
    _fit(phase, job, until=until)


def run_one(phase: fitting.Phase, job: Job, exchange: Exchange | None = None) -> Outcome:
    """Train a phase in this process; the final one also exports its network, on the first host."""
    fit = _fit(phase, job, exchange)
    if phase.name == FINAL and (exchange is None or exchange.rank == 0):
        fit.net.export(str(job.model_dir / "network"), epoch=0)
    return outcome(fit, phase, fit.channel, job)


def measure(job: Job) -> None:
    """Have the large network see all photos, in this process."""

    def report(share: float) -> None:
        if job.progress:
            done = job.progress.update(SECOND, share)
            if share >= 1:
                _report(f"phase={SECOND} {done}")

    photos, views, crops = (records.mapped(job.scratch / name, job.size).images for name in ("", SAVED, CROPS))
    strange = [crops[: heads.crops_for(photos)]]
    if (job.scratch / OUTLIERS).is_dir():
        found = records.mapped(job.scratch / OUTLIERS, job.size).images
        strange.append(heads.some(found, round(heads.OTHERS_PER_PHOTO * len(photos))))
    heads.measure(photos, views, np.concatenate(strange), job.scratch / FEATURES, report)


def cut(works: Sequence[float], epochs: int, last: float, workers: int) -> int:
    """After how many of its epochs the last of the phases goes on in another process, so that all end at one time.

    `works` are the phases' work in the order in which they are begun, and `last` is that of the large network, in the
    same unit. The phase's first epochs come right after the first phase, and the others when all other phases have
    begun, so that it is never in two processes at a time (McNaughton, Scheduling with deadlines and loss functions,
    1959). The fewest of those that end within a hundredth of the earliest time; 0 where nothing is gained.
    """

    def end(epochs_before: int) -> float:
        """When all work has ended, in the unit of `works`, if the last phase is cut after so many of its epochs."""
        free = [0.0] * workers

        def take(work: float, not_before: float = 0.0) -> float:
            at = free.index(min(free))
            free[at] = max(free[at], not_before) + work
            return free[at]

        share = epochs_before / epochs
        take(works[0])
        ready = take(works[-1] * share)
        for work in works[1:-1]:
            take(work)
        take(works[-1] * (1 - share), ready)
        take(last)
        return max(free)

    ends = [end(before) for before in range(epochs)]
    return next(before for before, time in enumerate(ends) if time <= 1.01 * min(ends))


def run_all(
    phases: list[fitting.Phase],
    job: Job,
    workers: int,
    exchange: Exchange | None = None,
    *,
    meanwhile: Callable[[], T],
) -> tuple[list[Outcome], T]:
    """The phases' outcomes in their order, and what `meanwhile` returned.

    On one host at most `workers` processes train side by side, the longest phase first, and the shortest one in two
    parts, see `cut`; with one worker, this process trains them. On several hosts all of them train one phase after the
    other together. The large network sees the photos last, on the first host. `meanwhile` is called in this process
    once the final network, the last of the phases, is exported; all else may still be under way then.
    """
    if exchange or workers == 1:
        outcomes = [run_one(phase, job, exchange) for phase in phases]
        if job.second and (exchange is None or exchange.rank == 0):
            measure(job)
        return outcomes, meanwhile()
    longest_first = sorted(range(len(phases)), key=lambda number: -len(phases[number].rows))
    works, shortest = [float(len(phases[number].rows)) for number in longest_first], longest_first[-1]
    before = cut(works, job.recipe.epochs, SECOND_WORK * works[0] if job.second else 0.0, workers)
    own = fitting.Checkpoints(job.scratch, "", job.recipe.epochs)  # for the phase in two parts
    jobs = {shortest: replace(job, checkpoints=job.checkpoints or own)} if before else {}
    # Forked processes need not import MXNet again, which takes seconds. MXNet stops and starts its engine around a fork
    # itself; NaiveEngine has no threads, and nothing else in this process has started any (train.py).
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(workers, len(phases)), mp_context=context) as pool:
        futures, besides = {}, []
        for number in longest_first:
            futures[number] = pool.submit(run_one, phases[number], jobs.get(number, job))
            if before and number == longest_first[0]:
                besides.append(pool.submit(begin, phases[shortest], jobs[shortest], before))
        if job.second:
            besides.append(pool.submit(measure, job))
        try:
            futures[len(phases) - 1].result()
            returned = meanwhile()
            for other in besides:
                other.result()
            return [futures[number].result() for number in range(len(phases))], returned
        except BrokenProcessPool as error:
            raise fitting.TrainingError("a training process was killed, most likely for want of memory") from error
        finally:
            pool.shutdown(cancel_futures=True)
