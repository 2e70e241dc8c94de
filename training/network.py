"""The network: a small residual net for small photos, written in Gluon so that it exports to one symbol file."""

from __future__ import annotations

from typing import Any

import mxnet as mx
from mxnet.gluon import nn

# Every name below is given, never counted: Gluon's own counters depend on what the process built before, and the names
# go into the artifact, whose bytes must depend on seed, code and data only.
PREFIX = "net_"


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


class ResNet9(nn.HybridBlock):  # type: ignore[misc]  # mxnet has no types
    """A ResNet-9 (after David Page's DAWNBench entry): eight 3x3 convolutions, max pooling, linear.

    `widths` are the channels at full, half and quarter resolution; (16, 32, 64) has 154,098 parameters for two classes.
    Input (n, 3, h, w) float32, normalised, h and w at least 8; output (n, classes) logits.
    """

    def __init__(self, classes: int, widths: tuple[int, int, int] = (16, 32, 64), prefix: str = PREFIX) -> None:
        super().__init__(prefix=prefix)
        small, middle, large = widths
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="features_")
            with self.features.name_scope():
                self.features.add(
                    ConvNormAct(small, prefix="stem_"),
                    ConvNormAct(middle, pool=True, prefix="down1_"),
                    Residual(middle, prefix="res1_"),
                    ConvNormAct(large, pool=True, prefix="down2_"),
                    ConvNormAct(large, pool=True, prefix="down3_"),
                    Residual(large, prefix="res2_"),
                    nn.GlobalMaxPool2D(prefix="pool_"),
                    nn.Flatten(prefix="flat_"),
                )
            self.head = nn.Dense(classes, prefix="head_")

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803  # Gluon's own signature
        """(n, 3, h, w) -> (n, classes) logits."""
        return self.head(self.features(x))


def build(classes: int, widths: tuple[int, int, int], image_size: tuple[int, int], seed: int) -> ResNet9:
    """A freshly initialised, hybridised net on the CPU; the same arguments give the same weights."""
    mx.random.seed(seed)
    net = ResNet9(classes, widths)
    net.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2), ctx=mx.cpu())
    net.hybridize(static_alloc=True, static_shape=True)
    net(mx.nd.zeros((1, 3, *image_size)))  # shapes become known, so that weights exist
    return net
