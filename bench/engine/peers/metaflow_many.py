"""Many steps by Metaflow, half a chain, half side by side: `python metaflow_many.py COUNT` writes and runs a flow."""

import os
import sys
from pathlib import Path

COUNT = int(sys.argv[1])
# `start`, `fan`, `join` and `end` are steps too.
CHAIN, BESIDE = COUNT // 2 - 4, COUNT - COUNT // 2

HEAD = '''"""A flow that metaflow_many.py wrote."""

from metaflow import FlowSpec, step


class Many(FlowSpec):
    @step
    def start(self):
        self.number = 1
        self.next(self.s0)
'''
LINK = """
    @step
    def s{number}(self):
        self.number += 1
        self.next(self.{next})
"""
TAIL = f"""
    @step
    def fan(self):
        self.items = list(range({BESIDE}))
        self.next(self.one, foreach="items")

    @step
    def one(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Many()
"""

links = [LINK.format(number=n, next=f"s{n + 1}" if n + 1 < CHAIN else "fan") for n in range(CHAIN)]
flow = Path("many_flow.py").absolute()
flow.write_text(HEAD + "".join(links) + TAIL)
os.execv(sys.executable, [sys.executable, str(flow), "run", "--max-workers", "2"])  # noqa: S606 - its own flow
