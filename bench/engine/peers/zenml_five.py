"""Five steps in a row that do nearly nothing, by ZenML's local orchestrator: `python zenml_five.py [--cache]`."""

import sys

from zenml import pipeline, step


@step
def one(number: int) -> int:
    """Hand the number on."""
    return number + 1


@pipeline(enable_cache="--cache" in sys.argv)
def five() -> None:
    """A chain of five."""
    number = 0
    for _ in range(5):
        number = one(number)


if __name__ == "__main__":
    five()
