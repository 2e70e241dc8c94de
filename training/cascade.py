"""The small network answers first; where it is not sure, a large network is asked too, and both are combined.

Which photos those are, and how both are combined, is decision.SecondOpinion's. Each photo is asked about by itself: its
answer does not depend on the others of its batch. It travels inside the model artifact under code/.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from decision import Rule
from int8 import Guarded, Network

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


class Cascade:
    """Both networks behind one call. `margin` is by how much the small one's logits may be beside its float form's.

    `network` gives the small network's logits, `exact` those of its float form, which differ where `network` is
    int8.Guarded. `second` gives the large network's outputs for photos as they are, see SecondOpinion.combine.
    """

    def __init__(self, network: Network, exact: Network, rule: Rule, second: Callable[[UInt8], Float32]) -> None:
        if rule.second is None:
            raise ValueError("the artifact has a second network, but its model.json says nothing of when it is asked")
        self._network, self._exact, self._rule, self._second = network, exact, rule, second
        self._opinion = rule.second
        self.margin = network.margin if isinstance(network, Guarded) else 0.0

    def __call__(
        self, images: UInt8, normalised: Float32, matter: Callable[[Float32], Bools] | None = None
    ) -> tuple[Float32, Bools]:
        """(n, classes + 1) logits, and (n,) whether the large network was asked.

        `images` (n, h, w, 3) and `normalised` (n, 3, h, w) are the same photos. `matter` says by the small network's
        logits about which of them the large one may be asked; about all by default.
        """
        logits = self._network(normalised)
        asked = self._opinion.asked(logits, self._rule.temperature)
        if matter:
            asked &= matter(logits)
        rows = np.flatnonzero(asked)
        if not len(rows):
            return logits, asked
        outputs = self._second(images[rows])
        combined = self._opinion.combine(logits[rows], outputs)
        if self.margin:
            for at in np.flatnonzero(self._rule.near_combined(combined, self.margin)):
                float_ = self._exact(normalised[rows[at]][None])
                combined[at] = self._opinion.combine(float_, outputs[at : at + 1])[0]
        logits[rows] = combined
        return logits, asked
