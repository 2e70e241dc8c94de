"""Many steps by Kubeflow Pipelines' subprocess runner, half a chain, half side by side: `python kfp_many.py COUNT`."""

import sys

from kfp import dsl, local

COUNT = int(sys.argv[1])


@dsl.component(install_kfp_package=False)
def step(number: int) -> int:
    """Hand the number on."""
    return number + 1


@dsl.pipeline
def many() -> int:
    """The chain, and after its first step all others."""
    first = last = step(number=0)
    for _ in range(COUNT // 2 - 1):
        last = step(number=last.output)
    for _ in range(COUNT - COUNT // 2):
        step(number=first.output)
    return last.output


if __name__ == "__main__":
    local.init(runner=local.SubprocessRunner(use_venv=False))
    assert many().output == COUNT // 2
