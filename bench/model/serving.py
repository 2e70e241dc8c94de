"""Photos a second through the handlers of artifacts: decode, forward and answer, batches of 8, one thread.

    .venv-image/bin/python bench/model/serving.py TEST_CHANNEL ARTIFACT...

Each artifact answers in a process of its own; rounds alternate, so that a busy machine slows both alike. The medians of
processor time are compared. Prints them as one line of JSON.
"""

import json
import statistics
import subprocess
import sys

ROUNDS, BATCHES, BATCH = 9, 12, 8

WORKER = """
import os, sys, time
os.environ.update(OMP_NUM_THREADS="1", MXNET_ENGINE_TYPE="NaiveEngine")
sys.path.insert(0, sys.argv[1] + "/code")
import inference, mxnet, numpy
reader, photos = mxnet.recordio.MXRecordIO(sys.argv[2] + "/images.rec", "r"), []
while (record := reader.read()) is not None:
    photos.append(bytes(mxnet.recordio.unpack(record)[1]))
model, batch = inference.model_fn(sys.argv[1]), int(sys.argv[3])
for line in sys.stdin:
    began = time.process_time()
    for number in range(int(line)):
        chosen = [photos[(number * batch + one) % len(photos)] for one in range(batch)]
        rows = inference.predict_fn(numpy.concatenate([inference.input_fn(one, "image/png") for one in chosen]), model)
        for row in range(batch):
            inference.output_fn(rows[row : row + 1], "application/json", model)
    print("seconds", time.process_time() - began, flush=True)
"""


class Worker:
    """A process that has loaded an artifact."""

    def __init__(self, artifact: str, channel: str) -> None:
        command = [sys.executable, "-W", "ignore", "-c", WORKER, artifact, channel, str(BATCH)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def rate(self) -> float:
        """Photos a second of processor time, over one round."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{BATCHES}\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("seconds "):
                return BATCHES * BATCH / float(line.split()[1])
        raise RuntimeError("an artifact's process ended: see its output above")


def main() -> None:
    """Measure all and print the medians."""
    workers = [Worker(artifact, sys.argv[1]) for artifact in sys.argv[2:]]
    rates: list[list[float]] = [[] for _ in workers]
    for _ in range(ROUNDS + 1):  # the first warms up
        for worker, mine in zip(workers, rates, strict=True):
            mine.append(worker.rate())
    for worker in workers:
        worker.process.communicate()
    print(json.dumps([statistics.median(mine[1:]) for mine in rates]))


if __name__ == "__main__":
    main()
