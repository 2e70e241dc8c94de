"""Makes the 8-bit network of an artifact beside the float one, and measures how far apart their answers are.

Weights and activations become 8-bit integers, by layer, over the ranges that photos and outliers reach. The linear
heads stay in float, for they decide, and so do the oriented gradients, which divide by small numbers.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import decision
import fused
import inference
import int8
import mxnet as mx
import numpy as np
import numpy.typing as npt
import outliers
import preprocessing
from mxnet.contrib import quantization

PHOTOS, OUTLIERS, BATCH = 512, 128, 32
SAFETY = 2.0  # the guard's margin, as a multiple of the largest difference seen
MOST = 0.5  # when more than this share of photos is near a decision, two networks cost more than one

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Outcome:
    """`largest` difference (see decision.spread); share of photos `near` a decision, left to the float network."""

    largest: float
    margin: float
    near: float
    kept: bool

    def line(self) -> str:
        """The measurement as a line of the training log: `phase=int8 name=value ...`."""
        return (
            f"phase=int8 largest_difference={self.largest:.4f} margin={self.margin:.4f} near={self.near:.4f} "
            f"kept={'yes' if self.kept else 'no'}"
        )


def choose(images: UInt8) -> UInt8:
    """The photos that the 8-bit network is calibrated with: PHOTOS of (n, h, w, 3), or all where there are fewer.

    They are spread evenly over the rows.
    """
    rows = np.linspace(0, len(images) - 1, min(PHOTOS, len(images))).astype(np.int64)
    return np.asarray(images[rows])


@dataclass(frozen=True)
class Quantized:
    """The symbol of an 8-bit network, whose parameters are the exported network's.

    `logits` (n, classes + 1) are its answers to the photos; by `largest` they differ from the float network's at most.
    """

    symbol: Any
    logits: Float32
    largest: float


def quantize(folder: Path, photos: UInt8, mean: Float32, std: Float32) -> Quantized:
    """The network that lies exported in `folder`, in 8 bits.

    `photos` (n, h, w, 3) are what `choose` gave; `mean` and `std` (3,) are the colour statistics that it learned with.
    """
    size = (int(photos.shape[1]), int(photos.shape[2]))
    drawn = outliers.draw(OUTLIERS, photos.astype(np.float32), np.random.default_rng(8))
    pictures = np.concatenate([photos, drawn.clip(0, 255).astype(np.uint8), int8.probes(size)])
    data = preprocessing.normalise(pictures, mean, std)
    symbol = _quantize(folder, data)
    exact = fused.Fused.load(folder / inference.SYMBOL, folder / inference.PARAMETERS)
    logits = fused.Fused(symbol, exact.arguments, exact.auxiliary)(data)
    return Quantized(symbol, logits[: len(photos)], float(decision.spread(logits, exact(data)).max()))


def export(folder: Path, network: Quantized, rule: decision.Rule) -> Outcome:
    """Write the 8-bit network beside the exported one in `folder`, unless so many photos are near that it cannot pay.

    The same network and rule give the same bytes.
    """
    margin = SAFETY * network.largest
    near = float(rule.near(network.logits, margin).mean())
    outcome = Outcome(network.largest, margin, near, near <= MOST)
    if outcome.kept:
        network.symbol.save(str(folder / int8.SYMBOL))
        (folder / int8.ABOUT).write_text(json.dumps(asdict(outcome), indent=2, sort_keys=True) + "\n", "utf-8")
    return outcome


def _quantize(folder: Path, data: Float32) -> Any:
    """The symbol; its parameters are those of the exported network."""
    network, arguments, auxiliary = fused.read(folder / inference.SYMBOL, folder / inference.PARAMETERS)
    layers = network.get_backend_symbol("MKLDNN_QUANTIZE")
    batches = mx.io.NDArrayIter({"data": data}, batch_size=BATCH)
    quantized, _, _ = quantization.quantize_model(
        layers,
        arguments,
        auxiliary,
        data_names=("data",),
        label_names=None,
        ctx=mx.cpu(),
        excluded_sym_names=_in_float(layers),
        calib_mode="naive",  # smallest and largest value seen
        calib_data=batches,
        quantized_dtype="auto",
        quantize_mode="smart",
    )
    return quantized.get_backend_symbol("MKLDNN_QUANTIZE")


def _in_float(layers: Any) -> list[str]:
    """Names of the fused layers that stay as they are."""
    nodes = json.loads(layers.tojson())["nodes"]
    return [
        node["name"]
        for node in nodes
        if node["op"] == "_sg_mkldnn_fully_connected"
        or any("orientations" in nodes[source[0]]["name"] for source in node["inputs"])
    ]
