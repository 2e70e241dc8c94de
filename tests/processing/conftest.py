"""Puts processing/ on the module path, flat, as its modules lie in the file that a job is given."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "processing"))
