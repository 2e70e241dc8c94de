"""Gives a process a folder for packages of its own, so that what it installs with pip or uv ends with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from localcloud.sandbox.sandbox import Place

_FOLDER = "home/layer"


def add_layer(variables: Mapping[str, str], place: Place, root: str) -> dict[str, str]:
    """The variables with a layer above the environment that VIRTUAL_ENV names; the layer is made below `place`.

    The layer is a virtual environment that sees the packages of the one below it. `pip install` and `uv pip install`
    write into it, whichever Python runs them, and every Python finds its packages before those of the environment.
    `root` is the path by which the process finds its /opt/ml. Without VIRTUAL_ENV, or where that is no virtual
    environment, the variables stay as they are.
    """
    below = Path(variables.get("VIRTUAL_ENV", ""))
    packages = next(below.glob("lib/python3.*/site-packages"), None)
    try:
        settings = (below / "pyvenv.cfg").read_text()
    except OSError:
        return dict(variables)
    if packages is None:
        return dict(variables)
    own = place.ml / _FOLDER / packages.relative_to(below)
    own.mkdir(parents=True, exist_ok=True)
    # Not a plain path: the environment's own .pth files count too.
    (own / "below.pth").write_text(f"import site; site.addsitedir({str(packages)!r})\n")
    folder = place.ml / _FOLDER
    (folder / "pyvenv.cfg").write_text(settings)
    (folder / "bin").mkdir(exist_ok=True)
    for name in ("python", "python3", packages.parent.name):
        if not (folder / "bin" / name).is_symlink():
            (folder / "bin" / name).symlink_to((below / "bin" / "python").resolve())
    seen = f"{root}/{_FOLDER}"
    seen_packages = f"{seen}/{packages.relative_to(below)}"
    return {
        **variables,
        "VIRTUAL_ENV": seen,
        "PIP_PYTHON": f"{seen}/bin/python",
        "PATH": os.pathsep.join(_with(variables["PATH"].split(os.pathsep), f"{seen}/bin", str(below / "bin"))),
        "PYTHONPATH": os.pathsep.join(filter(None, [seen_packages, variables.get("PYTHONPATH", "")])),
    }


def _with(folders: list[str], added: str, before: str) -> list[str]:
    place = folders.index(before) if before in folders else 0
    return [*folders[:place], added, *folders[place:]]
