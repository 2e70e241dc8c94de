"""MXNet is imported without what it imports beside, and nobody else notices."""

import subprocess
import sys

from tests.training.tiny import SCRIPT


def test_what_answers_imports_neither_scikit_learn_nor_scipy() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import inference\n"
        "assert not {'sklearn', 'scipy', 'pandas'} & set(sys.modules)\n"
        "import scipy.stats, sklearn.base"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(SCRIPT.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
