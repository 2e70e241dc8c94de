"""Puts training/ on the module path, flat, as it lies in sourcedir.tar.gz and in the artifact."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))
