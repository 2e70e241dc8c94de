"""MXNet without scikit-learn and SciPy, which it imports where they are installed, and which answering never uses.

A process that serves starts in two thirds of the time so, and takes 90 MB less. It travels inside the model artifact
under code/. What imports them itself, as training does, gets them; only MXNet's entropy calibration has no SciPy then.
"""

from __future__ import annotations

import sys
from typing import Any

_BESIDE = ("sklearn", "scipy")


def _import() -> Any:
    """MXNet's module; while it is imported, what has not been imported yet of _BESIDE is as if not installed."""
    hidden: dict[str, Any] = {name: None for name in _BESIDE if name not in sys.modules}
    sys.modules.update(hidden)
    try:
        import mxnet
    finally:
        for name in hidden:
            del sys.modules[name]
    return mxnet


mx = _import()
