"""Five steps in a row that do nearly nothing, by Metaflow: `python metaflow_five.py run` (again: `resume`)."""

from metaflow import FlowSpec, step


class Five(FlowSpec):
    """A chain of five."""

    @step
    def start(self):
        self.number = 1
        self.next(self.b)

    @step
    def b(self):
        self.number += 1
        self.next(self.c)

    @step
    def c(self):
        self.number += 1
        self.next(self.d)

    @step
    def d(self):
        self.number += 1
        self.next(self.end)

    @step
    def end(self):
        self.number += 1
        assert self.number == 5


if __name__ == "__main__":
    Five()
