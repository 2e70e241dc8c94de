"""Five steps in a row that do nearly nothing, by Kubeflow Pipelines' subprocess runner: `python kfp_five.py`."""

from kfp import dsl, local


@dsl.component(install_kfp_package=False)
def step(number: int) -> int:
    """Hand the number on."""
    return number + 1


@dsl.pipeline
def five() -> int:
    """A chain of five."""
    a = step(number=0)
    b = step(number=a.output)
    c = step(number=b.output)
    d = step(number=c.output)
    return step(number=d.output).output


if __name__ == "__main__":
    local.init(runner=local.SubprocessRunner(use_venv=False))
    assert five().output == 5
