"""The network as it is served: layers fused by oneDNN, and one executor for each batch size, bound once and kept.

It travels inside the model artifact under code/. Batches at the endpoint change size from call to call; Gluon's cached
graph plans its memory anew whenever they do, and executors do not.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")  # or every fusion announces itself in the log

import numpy as np
import numpy.typing as npt
from mxnet_alone import mx

# Images in one forward pass: more gain nothing on a CPU core, and every size costs memory.
SIZES = tuple(range(8, 0, -1))

Float32 = npt.NDArray[np.float32]


class Fused:
    """A network as a function of normalised (n, 3, h, w) float32; (n, classes) logits.

    Rows do not depend on each other, to the last digits of float32. Not for several threads at once. `sizes` are the
    numbers of images that it runs at once, the largest first and 1 among them. `shared` says that executors of all
    sizes may hold the same parameters; in 8 bits, grouped convolutions of one lose their scales when another is bound.
    """

    def __init__(
        self,
        symbol: Any,
        arguments: dict[str, Any],
        auxiliary: dict[str, Any],
        sizes: tuple[int, ...] = SIZES,
        shared: bool = True,
    ) -> None:
        self._symbol, self.arguments, self.auxiliary, self.sizes = symbol, arguments, auxiliary, sizes
        self._shared = shared
        self._bound: dict[tuple[int, ...], tuple[Any, Any]] = {}

    @classmethod
    def load(cls, symbol: Path, parameters: Path, sizes: tuple[int, ...] = SIZES) -> Fused:
        """From the two files that `HybridBlock.export` writes."""
        network, arguments, auxiliary = read(symbol, parameters)
        return cls(network.optimize_for("MKLDNN", ctx=mx.cpu(), skip_infer=True), arguments, auxiliary, sizes)

    def __call__(self, images: Float32) -> Float32:
        """Logits; a batch is run in parts of `sizes`."""
        parts = []
        while len(images):
            size = next(size for size in self.sizes if size <= len(images))
            parts.append(self._run(images[:size]))
            images = images[size:]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, images: Float32) -> Float32:
        data, executor = self._bound.get(images.shape) or self._bind(images.shape)
        data[:] = images
        logits: Float32 = executor.forward(is_train=False)[0].asnumpy()
        return logits

    def _bind(self, shape: tuple[int, ...]) -> tuple[Any, Any]:
        data = mx.nd.zeros(shape)
        kept = self.arguments
        inputs = {**(kept if self._shared else {name: kept[name].copy() for name in kept}), "data": data}
        executor = self._symbol.bind(mx.cpu(), inputs, aux_states=self.auxiliary, grad_req="null")
        self._bound[shape] = data, executor
        return data, executor


def read(symbol: Path, parameters: Path) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """(symbol, arguments, auxiliary states) of an exported network; half precision is widened to float32."""
    saved = {name: value.astype(np.float32, copy=False) for name, value in mx.nd.load(str(parameters)).items()}
    arguments = {name[4:]: value for name, value in saved.items() if name.startswith("arg:")}
    auxiliary = {name[4:]: value for name, value in saved.items() if name.startswith("aux:")}
    return mx.sym.load(str(symbol)), arguments, auxiliary
