"""Trains one network.

Nesterov momentum with warm-up and cosine decay, averaged weights, checkpoints, one line an epoch.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import augmentation
import mxnet as mx
import network
import numpy as np
import numpy.typing as npt
import outliers
import preprocessing
import pretrained
from cluster import Exchange
from records import Pixels

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]

# Validation between the first and the last epoch costs time and decides nothing: it is for whoever watches.
VALIDATE_EVERY = 5
AVERAGE_EVERY = 4  # steps


class TrainingError(RuntimeError):
    """Training cannot go on; the sentence says why."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, but the data and the seed."""

    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warm_up: float = 0.15  # share of all steps
    average: float = 0.99  # decay of the moving average of weights, a step
    widths: tuple[int, int, int] = (32, 48, 64)
    edge_widths: tuple[int, int] = (64, 96)
    bins: int = 16  # directions of edges
    outlier_share: float = 0.125  # of a batch's size, on top of it
    drawn_share: float = 0.3  # of the outliers; the others are photos
    pretrained: bool = True  # start from pretrained.params
    strength: augmentation.Strength = field(default_factory=augmentation.Strength)

    def rate_at(self, step: int, total: int) -> float:
        """Learning rate of a step: a straight rise over the warm-up, then half a cosine to zero."""
        rise = max(1.0, self.warm_up * total)
        if step < rise:
            return self.learning_rate * (step + 1) / (rise + 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1.0, total - rise)))


@dataclass(frozen=True)
class Phase:
    """One network to train: its name in the log, the rows it learns from, the rows held out, and its own seed."""

    name: str
    rows: Int64
    held_out: Int64
    seed: int


@dataclass(frozen=True)
class Channel:
    """Training pixels with the colour statistics of all training rows, and the number of classes.

    `outliers` (m, h, w, 3) are photos that show none of the classes; without any, all outliers are drawn.
    """

    pixels: Pixels
    mean: Float32
    std: Float32
    classes: int
    outliers: UInt8


def predict(net: Any, channel: Channel, rows: Int64, batch: int = 250) -> Float32:
    """(len(rows), classes + 1) logits, without augmentation."""
    parts = [
        net(
            mx.nd.array(
                preprocessing.normalise(channel.pixels.images[rows[at : at + batch]], channel.mean, channel.std)
            )
        ).asnumpy()
        for at in range(0, len(rows), batch)
    ]
    return np.concatenate(parts) if parts else np.empty((0, channel.classes + 1), np.float32)


class Fit:
    """A network in training: weights, momenta and the moving average, which together are a checkpoint."""

    def __init__(self, phase: Phase, channel: Channel, recipe: Recipe, exchange: Exchange | None = None) -> None:
        self.phase, self.channel, self.recipe, self.exchange = phase, channel, recipe, exchange
        size = (int(channel.pixels.images.shape[1]), int(channel.pixels.images.shape[2]))
        fixed = (recipe.edge_widths, recipe.bins, tuple(channel.std.tolist()))
        self.net = network.build(channel.classes, recipe.widths, size, phase.seed, *fixed)
        parameters = self.net.collect_params()
        self.weights: dict[str, Any] = {name: p.data() for name, p in parameters.items()}
        if recipe.pretrained:
            pretrained.load(self.weights)
        self.gradients: dict[str, Any] = {name: p.grad() for name, p in parameters.items() if p.grad_req != "null"}
        self.momenta: dict[str, Any] = {name: mx.nd.zeros_like(self.weights[name]) for name in self.gradients}
        self.averages: dict[str, Any] = {name: weight.copy() for name, weight in self.weights.items()}
        self.loss = mx.gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=False)
        self.loss.hybridize(static_alloc=True)
        self.epoch = 0
        self.logits = np.empty((0, channel.classes + 1), np.float32)  # of the held-out rows, once training has ended
        self.history: list[dict[str, Any]] = []
        self.steps_per_epoch = max(1, len(phase.rows) // recipe.batch_size)

    def batches(self, epoch: int) -> Iterator[tuple[Any, Any]]:
        """(data, targets) of each step of an epoch.

        The draw depends on seed and epoch alone, so that a resumed run repeats it.
        """
        recipe, channel = self.recipe, self.channel
        rank, hosts = (self.exchange.rank, self.exchange.size) if self.exchange else (0, 1)
        order = np.random.default_rng([self.phase.seed, epoch]).permutation(self.phase.rows)  # the same on every host
        rng = np.random.default_rng([self.phase.seed, epoch, rank])
        # No label smoothing: it makes right and wrong answers equally sure, and then fewer can be accepted.
        known = np.eye(channel.classes + 1, dtype=np.float32)
        count = round(recipe.outlier_share * recipe.batch_size / hosts)
        none_of_them = np.repeat(known[-1:], count, axis=0)
        for step in range(self.steps_per_epoch):
            rows = order[step * recipe.batch_size : (step + 1) * recipe.batch_size][rank::hosts]
            drawn = int(rng.binomial(count, recipe.drawn_share)) if len(channel.outliers) else count
            others = channel.outliers[rng.integers(0, len(channel.outliers), count - drawn)]
            photos = np.concatenate([channel.pixels.images[rows], others])
            views = augmentation.augment(photos, recipe.strength, rng)
            views = np.concatenate([views, outliers.draw(drawn, views[: len(rows)], rng)])
            targets = np.concatenate([known[channel.pixels.labels[rows]], none_of_them])
            yield mx.nd.array(preprocessing.normalise(views, channel.mean, channel.std)), mx.nd.array(targets)

    def train_epoch(self) -> tuple[float, float]:
        """One pass over the rows, in a new order.

        Returns (mean loss of a member, last learning rate). TrainingError when the loss is not finite.
        """
        recipe = self.recipe
        total = self.steps_per_epoch * recipe.epochs
        losses: list[Any] = []
        for at, (data, targets) in enumerate(self.batches(self.epoch)):
            step = self.epoch * self.steps_per_epoch + at
            with mx.autograd.record():
                logits = self.net.members(data)
                # Each member has a loss of its own: their sum, for Gluon takes the mean.
                loss = self.loss(logits, targets.expand_dims(1).broadcast_like(logits)) * logits.shape[1]
            loss.backward()
            if self.exchange:
                self.exchange.sum(self.phase.name, self.gradients)
            rate, hosts = recipe.rate_at(step, total), self.exchange.size if self.exchange else 1
            for name, gradient in self.gradients.items():
                decay = recipe.weight_decay if name.endswith("weight") else 0.0
                weight = self.weights[name]
                mx.nd.nag_mom_update(
                    weight, gradient, self.momenta[name], out=weight,
                    lr=rate, momentum=recipe.momentum, wd=decay, rescale_grad=1 / (len(data) * hosts),
                )  # fmt: skip
            self._average(step)
            losses.append(loss.mean() / logits.shape[1])
            if at:
                losses[at - 1].wait_to_read()  # MXNet runs behind Python: bound by how much
        mean = float(np.mean([loss.asscalar() for loss in losses]))
        if not math.isfinite(mean):
            raise TrainingError(
                f"the loss of {self.phase.name} became {mean} in epoch {self.epoch + 1} at learning rate {rate:.4g}: "
                "lower --learning-rate, or raise --batch-size"
            )
        self.epoch += 1
        return mean, rate

    def _average(self, step: int) -> None:
        """Move the averages towards the weights, every fourth step; early weights count for less: they are random."""
        if step % AVERAGE_EVERY:
            return
        share = 1 - min(self.recipe.average, (1 + step) / (10 + step)) ** AVERAGE_EVERY
        for name, weight in self.weights.items():
            average = self.averages[name]
            # One fused operator: a step of size `share`, with decay 1, along minus the weights.
            mx.nd.sgd_update(average, weight, out=average, lr=share, wd=1.0, rescale_grad=-1.0)

    def finish(self) -> None:
        """Put the averaged weights in the network, for good, and answer the held-out rows with them."""
        for name, weight in self.weights.items():
            weight[:] = self.averages[name]
        self.logits = predict(self.net, self.channel, self.phase.held_out)

    def accuracy(self) -> float | None:
        """Share of the held-out rows that are right; None when nothing is held out."""
        if not len(self.phase.held_out):
            return None
        logits = self.logits if len(self.logits) else predict(self.net, self.channel, self.phase.held_out)
        return float((logits[:, :-1].argmax(axis=1) == self.channel.pixels.labels[self.phase.held_out]).mean())

    def save(self, path: Path, run: str) -> None:
        """Write a checkpoint, whole or not at all; `run` says what it belongs to."""
        words = json.dumps({"run": run, "epoch": self.epoch, "history": self.history}).encode()
        state = {"words": mx.nd.array(np.frombuffer(words, np.uint8), dtype=np.uint8)}
        for kind, arrays in self._arrays():
            state |= {f"{kind}:{name}": array for name, array in arrays.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        mx.nd.save(str(partial), state)
        partial.replace(path)

    def load(self, path: Path, run: str) -> str | None:
        """Continue from a checkpoint of this very run. Else leaves all as it is, and returns the reason."""
        try:
            state = mx.nd.load(str(path))
            words = json.loads(state["words"].asnumpy().tobytes())
        except (mx.MXNetError, KeyError, TypeError, ValueError) as error:
            return f"it is damaged ({(str(error).splitlines() or [type(error).__name__])[0]})"
        if words["run"] != run:
            return "it is of a run with other code, data or hyperparameters"
        for kind, arrays in self._arrays():
            for name, array in arrays.items():
                array[:] = state[f"{kind}:{name}"]
        self.epoch, self.history = int(words["epoch"]), words["history"]
        return None

    def _arrays(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        return ("weight", self.weights), ("momentum", self.momenta), ("average", self.averages)


def log_line(entry: dict[str, Any]) -> str:
    """One epoch as `key=value` pairs; what is not known is left out."""
    formats = {"train_loss": "{:.4f}", "validation_accuracy": "{:.4f}", "learning_rate": "{:.4f}", "seconds": "{:.1f}"}
    return " ".join(
        f"{key}={formats.get(key, '{}').format(value)}" for key, value in entry.items() if value is not None
    )


@dataclass(frozen=True)
class Checkpoints:
    """Where checkpoints are kept, what run they belong to, and how many epochs lie between them."""

    folder: Path
    run: str
    every: int = 5

    def path(self, phase: Phase) -> Path:
        """The file of a phase."""
        return self.folder / f"{phase.name.replace('/', '-of-')}.checkpoint"


def fit(
    phase: Phase,
    channel: Channel,
    recipe: Recipe,
    report: Callable[[str, int], None],
    checkpoints: Checkpoints | None = None,
    exchange: Exchange | None = None,
    until: int | None = None,
) -> Fit:
    """Train one phase to its end; the returned network holds the averaged weights. Reports a line an epoch,
    with the number of epochs done.

    With checkpoints it continues where an earlier attempt ended, and the result is the same to the bit. With `until` it
    ends after that epoch, and leaves a checkpoint.
    """
    run = Fit(phase, channel, recipe, exchange)
    if checkpoints and (path := checkpoints.path(phase)).is_file():
        refused = run.load(path, checkpoints.run)
        report(
            f"The checkpoint {path} is not used: {refused}. Training starts over."
            if refused
            else f"Resuming {phase.name} after epoch {run.epoch} of {recipe.epochs}, from {path}.",
            run.epoch,
        )
        if run.epoch == recipe.epochs:
            run.finish()
            run.history[-1]["validation_accuracy"] = run.accuracy()
    rank = exchange.rank if exchange else 0
    if exchange:
        exchange.agree(f"{phase.name}:epoch", run.epoch)
    while run.epoch < (until or recipe.epochs):
        began = time.perf_counter()
        loss, rate = run.train_epoch()
        last = run.epoch == recipe.epochs
        entry = {
            "phase": phase.name,
            "epoch": f"{run.epoch}/{recipe.epochs}",
            "train_loss": round(loss, 4),
            "validation_accuracy": run.accuracy() if not last and run.epoch % VALIDATE_EVERY == 0 else None,
            "learning_rate": round(rate, 6),
        }
        run.history.append(entry)
        if checkpoints and rank == 0 and (last or run.epoch == until or run.epoch % checkpoints.every == 0):
            run.save(checkpoints.path(phase), checkpoints.run)
        if last:
            run.finish()
            entry["validation_accuracy"] = run.accuracy()
        report(log_line({**entry, "seconds": time.perf_counter() - began}), run.epoch)
    return run
