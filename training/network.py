"""The network: a small residual net on pixels and one on gradient orientations, side by side, exported as one symbol.

The second is what a thousand photos cannot teach the first: wheels, spokes and frames are edges, and a fixed layer of
oriented gradients, averaged over cells and normalised by their surroundings (histograms of oriented gradients, Dalal
and Triggs, 2005, as convolutions), sees them from the first step. Each learns by a loss of its own, so that their
mistakes differ; the answer is a mean of their logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mxnet as mx
import numpy as np
import numpy.typing as npt
from mxnet.gluon import nn

# Every name below is given, never counted: Gluon's own counters depend on what the process built before, and the names
# go into the artifact, whose bytes must depend on seed, code and data only.
PREFIX = "net_"
LUMINANCE = (0.299, 0.587, 0.114)
# Logits start small (as in Page's net): without it the loss doubles while the learning rate warms up, and time is lost.
SCALE = 0.125


class ConvNormAct(nn.HybridBlock):  # type: ignore[misc]  # mxnet has no types
    """3x3 convolution, batch normalisation, ReLU, and 2x2 max pooling when `pool`."""

    def __init__(self, channels: int, pool: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.conv = nn.Conv2D(channels, 3, padding=1, use_bias=False, prefix="conv_")
            self.norm = nn.BatchNorm(prefix="norm_")
            self.act = nn.Activation("relu", prefix="act_")
            self.pool = nn.MaxPool2D(2, prefix="pool_") if pool else None

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803  # Gluon's own signature
        """(n, c, h, w) -> (n, channels, h, w), or half of h and w with pooling."""
        x = self.act(self.norm(self.conv(x)))
        return x if self.pool is None else self.pool(x)


class Residual(nn.HybridBlock):  # type: ignore[misc]  # mxnet has no types
    """x + two convolutions of it, at the same size."""

    def __init__(self, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.first = ConvNormAct(channels, prefix="first_")
            self.second = ConvNormAct(channels, prefix="second_")

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803  # Gluon's own signature
        """(n, channels, h, w) -> the same shape."""
        return x + self.second(self.first(x))


class Orientations(nn.HybridBlock):  # type: ignore[misc]  # mxnet has no types
    """Fixed: strength of edges in `bins` directions, in cells of 2x2 pixels, each normalised by the cells around it.

    Input (n, 3, h, w), normalised by `std` of the channels; output about 0 to 1. All but one-channel arithmetic is
    left to oneDNN, whose convolutions are fast for multiples of 8 channels only: hence the padding of the first.
    """

    CELL, WINDOW = 2, 4  # the windows overlap, so that an edge does not jump from cell to cell
    FLAT = 2.0  # grey levels a pixel; weaker gradients are noise
    DARK = 1.0  # the same, of a whole neighbourhood
    NARROW = 0.75  # cosine of the angle from which on a direction does not answer

    def __init__(self, bins: int, std: Sequence[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bins = bins
        slopes = np.zeros((2, 3, 3, 3), np.float32)  # d/dx and d/dy of the luminance
        for channel, weight in enumerate(np.array(LUMINANCE) * np.asarray(std)):
            slopes[0, channel, 1] = (-weight, 0, weight)
            slopes[1, channel, :, 1] = (-weight, 0, weight)
        angles = np.arange(bins) * 2 * np.pi / bins
        narrowed = np.stack([np.cos(angles), np.sin(angles), np.full(bins, -self.NARROW)], axis=1) / (1 - self.NARROW)
        self._values = {
            "slopes": np.concatenate([slopes, np.zeros((6, *slopes.shape[1:]))]),
            "directions": narrowed[:, :, None, None],
            "folds": _folds(bins),
        }
        # Not Gluon's Constant, which writes the address of an object into the artifact.
        with self.name_scope():
            for name, value in self._values.items():
                setattr(self, name, self.params.get(name, shape=value.shape, init="zeros", grad_req="null"))

    def fix(self) -> None:
        """Put the values in, once the parameters are initialised."""
        for name, value in self._values.items():
            getattr(self, name).set_data(mx.nd.array(value))

    def hybrid_forward(self, F: Any, x: Any, slopes: Any, directions: Any, folds: Any) -> Any:  # noqa: N803
        """(n, 3, h, w) -> (n, 4 bins, h / 4, w / 4)."""
        slope = F.Convolution(x, slopes, kernel=(3, 3), pad=(1, 1), num_filter=8, no_bias=True)
        across, down = (F.slice_axis(slope, axis=1, begin=at, end=at + 1) for at in (0, 1))
        strength = F.sqrt(across * across + down * down + self.FLAT**2)
        energy = F.Pooling(strength, kernel=(8, 8), stride=(4, 4), pad=(2, 2), pool_type="avg", count_include_pad=True)
        energy = F.UpSampling(energy, scale=4, sample_type="nearest")
        share = F.rsqrt(strength * (energy + self.DARK))
        vectors = F.concat(across * share, down * share, strength * share, dim=1)
        answers = F.Activation(
            F.Convolution(vectors, directions, kernel=(1, 1), num_filter=self.bins, no_bias=True), act_type="relu"
        )
        border = (self.WINDOW - self.CELL) // 2
        cells = F.Pooling(
            answers,
            kernel=(self.WINDOW, self.WINDOW),
            stride=(self.CELL, self.CELL),
            pad=(border, border),
            pool_type="avg",
            count_include_pad=True,
        )
        return F.Convolution(cells, folds, kernel=(2, 2), stride=(2, 2), num_filter=4 * self.bins, no_bias=True)


def _folds(bins: int) -> npt.NDArray[np.float64]:
    """Weights that put four neighbouring cells into the channels of one: places stay apart, the grid costs a quarter.

    A convolution of ones and zeros copies exactly, and MXNet's own operators for it are far slower.
    """
    weights = np.zeros((2, 2, bins, bins, 2, 2))  # row, column, bin; then bin, row, column of the maps
    for row, column, bin_ in np.ndindex(2, 2, bins):
        weights[row, column, bin_, bin_, row, column] = 1
    return weights.reshape(4 * bins, bins, 2, 2)


class OnPixels(nn.HybridBlock):  # type: ignore[misc]  # mxnet has no types
    """A ResNet-9 (after David Page's DAWNBench entry) without its dearest layer.

    Seven 3x3 convolutions, each stage at half the resolution of the one before, global max pooling, linear.

    `widths` are the channels of the stages. (n, 3, h, w) -> (n, outputs) logits.
    """

    def __init__(self, outputs: int, widths: tuple[int, int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        small, middle, large = widths
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="features_")
            with self.features.name_scope():
                self.features.add(
                    ConvNormAct(small, pool=True, prefix="stem_"),
                    ConvNormAct(middle, pool=True, prefix="down1_"),
                    Residual(middle, prefix="res1_"),
                    ConvNormAct(large, pool=True, prefix="down2_"),
                    Residual(large, prefix="res2_"),
                    nn.GlobalMaxPool2D(prefix="pool_"),
                    nn.Flatten(prefix="flat_"),
                )
            self.head = nn.Dense(outputs, prefix="head_")

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803  # Gluon's own signature
        """(n, 3, h, w) -> (n, outputs)."""
        return self.head(self.features(x))


class OnEdges(nn.HybridBlock):  # type: ignore[misc]  # mxnet has no types
    """Four convolutions on folded maps of oriented edges, maximum and mean over the picture, linear."""

    def __init__(self, outputs: int, widths: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        small, large = widths
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="features_")
            with self.features.name_scope():
                self.features.add(
                    nn.BatchNorm(prefix="norm_"),
                    ConvNormAct(small, prefix="stem_"),
                    ConvNormAct(large, pool=True, prefix="down_"),
                    Residual(large, prefix="res_"),
                )
            self.most = nn.GlobalMaxPool2D(prefix="most_")
            self.mean = nn.GlobalAvgPool2D(prefix="mean_")
            self.flat = nn.Flatten(prefix="flat_")
            self.head = nn.Dense(outputs, prefix="head_")

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803  # Gluon's own signature
        """(n, 4 bins, h, w) -> (n, outputs)."""
        x = self.features(x)
        return self.head(self.flat(F.concat(self.most(x), self.mean(x), dim=1)))


class Members(nn.HybridBlock):  # type: ignore[misc]  # mxnet has no types
    """Both networks: (n, 3, h, w) float32, normalised, h and w multiples of 8 from 16 -> (n, 2, outputs) logits."""

    def __init__(self, outputs: int, widths: Any, edge_widths: Any, bins: int, std: Any) -> None:
        super().__init__(prefix=PREFIX)
        with self.name_scope():
            self.pixels = OnPixels(outputs, widths, prefix="pixels_")
            self.orientations = Orientations(bins, std, prefix="orientations_")
            self.edges = OnEdges(outputs, edge_widths, prefix="edges_")

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803  # Gluon's own signature
        """Logits of each member."""
        return F.stack(self.pixels(x), self.edges(F.BlockGrad(self.orientations(x))), axis=1) * SCALE


class Mean(nn.HybridBlock):  # type: ignore[misc]  # mxnet has no types
    """What ships: the mean of the members' logits, (n, 3, h, w) -> (n, outputs)."""

    def __init__(self, members: Members) -> None:
        super().__init__(prefix="mean_")
        self.members = members

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803  # Gluon's own signature
        """Mean over the members."""
        edges = self.members.edges(self.members.orientations(x))
        return (self.members.pixels(x) + edges) * (SCALE / 2)


def build(
    classes: int,
    widths: tuple[int, int, int],
    image_size: tuple[int, int],
    seed: int,
    edge_widths: tuple[int, int] = (64, 96),
    bins: int = 16,
    std: Sequence[float] = (64.0, 64.0, 64.0),
) -> Mean:
    """A fresh network on the CPU, with an output for each class and one more, the last, for "none of them".

    The same arguments give the same weights. Its `members` are what trains.
    `std` are the standard deviations, in grey levels, by which the photos' channels are divided before they come in.
    """
    mx.random.seed(seed)
    mean = Mean(Members(classes + 1, widths, edge_widths, bins, std))
    mean.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2), ctx=mx.cpu())
    mean.members.orientations.fix()
    for block in (mean.members, mean):
        block.hybridize(static_alloc=True, static_shape=True)
        block(mx.nd.zeros((1, 3, *image_size)))  # shapes become known, so that weights exist
    return mean
