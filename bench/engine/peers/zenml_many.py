"""Many steps by ZenML's local orchestrator, half a chain, half side by side: `python zenml_many.py COUNT`."""

import sys

from zenml import pipeline, step

COUNT = int(sys.argv[1])


@step
def one(number: int) -> int:
    """Hand the number on."""
    return number + 1


@pipeline(enable_cache=False)
def many() -> None:
    """The chain, and after its first step all others."""
    first = last = one(0)
    for _ in range(COUNT // 2 - 1):
        last = one(last)
    for _ in range(COUNT - COUNT // 2):
        one(first)


if __name__ == "__main__":
    many()
