"""The queue in front of the model, and the thread that runs it: the next batch is whatever queued meanwhile.

Nothing waits for a batch to fill: a lone request runs at once, and under load the batches grow by themselves. The
thread takes its next batch without asking the event loop; mxnet and OpenCV release the interpreter while they work.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from queue import Empty, SimpleQueue

import numpy as np

from .exchange import Exchange
from .handler import Handler, Images, Probabilities
from .replies import Reply, error

log = logging.getLogger("modelserver")

Answers = list[tuple[Exchange, Reply]]


class Batcher:
    """Runs the handler in one thread. `deliver` is called from that thread with the answers of each batch.

    `max_batch` limits both the requests taken from the queue at once and the images in one call of the model.
    `count` is called with the number of images of each call.
    """

    def __init__(self, handler: Handler, max_batch: int, count: Callable[[int], None]) -> None:
        self._handler = handler
        self._max_batch = max_batch
        self._count = count
        self._queue: SimpleQueue[Exchange | None] = SimpleQueue()
        self._deliver: Callable[[Answers], object] = lambda _: None
        self.running: list[Exchange] = []
        self.busy_since = 0.0  # monotonic; 0: the thread waits for work

    def start(self, deliver: Callable[[Answers], object]) -> None:
        """Start the thread; it calls `deliver` with the answers of each batch."""
        self._deliver = deliver
        threading.Thread(target=self._run, name="model", daemon=True).start()

    def submit(self, exchange: Exchange) -> None:
        """Queue a complete request for the model."""
        self._queue.put(exchange)

    def waiting(self) -> int:
        """Requests queued and not yet taken."""
        return self._queue.qsize()

    def stop(self) -> None:
        """Let the thread end after what is queued."""
        self._queue.put(None)

    def _run(self) -> None:
        """Until None is queued: take what waits, up to a batch, have the model answer it, and hand the answers over.

        Requests that nobody waits for any more are left out.
        """
        queue, limit = self._queue, self._max_batch
        while (first := queue.get()) is not None:
            batch = [first]
            try:
                while len(batch) < limit:
                    following = queue.get_nowait()
                    if following is None:
                        self.stop()
                        break
                    batch.append(following)
            except Empty:
                pass
            self.busy_since = time.monotonic()
            self.running = [exchange for exchange in batch if not (exchange.abandoned or exchange.rendered)]
            answers = self.answer(self.running)
            self.running = []
            self.busy_since = 0.0
            self._deliver(answers)

    def answer(self, batch: list[Exchange]) -> Answers:
        """The answers to these requests. A request that fails gets an error, and the others their answers."""
        answers: Answers = []
        groups: dict[tuple[int, ...], list[tuple[Exchange, Images]]] = defaultdict(list)
        for exchange in batch:
            images = self._read(exchange)
            if isinstance(images, Reply):
                answers.append((exchange, images))
            else:
                groups[images.shape[1:]].append((exchange, images))
        for members in groups.values():
            answers += self._predict(members)
        return answers

    def _read(self, exchange: Exchange) -> Images | Reply:
        """Decode the body by input_fn: images (n, height, width, 3), or the reply that says what is wrong."""
        try:
            images = self._handler.read(bytes(exchange.body), exchange.content_type)
            if images.ndim != 4 or not len(images):
                return _fault(TypeError(f"input_fn gave an array of shape {images.shape}, not (n, height, width, 3)"))
        except self._handler.unsupported as problem:
            return error(415, _sentence(problem))
        except ValueError as problem:
            return error(400, _sentence(problem))
        except Exception as problem:
            return _fault(problem)
        return images

    def _predict(self, members: list[tuple[Exchange, Images]]) -> Answers:
        """Answer requests in one call of the model; if it fails, each by itself, so that a faulty one fails alone."""
        arrays = [images for _, images in members]
        try:
            rows = self._forward(arrays[0] if len(arrays) == 1 else np.concatenate(arrays))
        except Exception as problem:
            if len(members) > 1:  # one of them may have upset the model: the others are not to blame
                return [answer for member in members for answer in self._predict([member])]
            return [(members[0][0], _fault(problem))]
        answers: Answers = []
        start = 0
        for exchange, images in members:
            answers.append((exchange, self._write(exchange, rows[start : start + len(images)])))
            start += len(images)
        return answers

    def _forward(self, images: Images) -> Probabilities:
        """Run predict_fn on n images, at most `max_batch` a call; TypeError unless it gives n rows."""
        limit = self._max_batch
        parts = [self._handler.predict(images[start : start + limit]) for start in range(0, len(images), limit)]
        for part in parts:
            self._count(len(part))
        rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if len(rows) != len(images):
            raise TypeError(f"predict_fn answered {len(rows)} rows for {len(images)} images")
        return rows

    def _write(self, exchange: Exchange, rows: Probabilities) -> Reply:
        """Encode the predictions of one request in a type that its client accepts."""
        try:
            body, content_type = self._handler.write(rows, exchange.accept)
        except Exception as problem:
            return _fault(problem)
        return Reply(200, body, content_type)


def _sentence(problem: Exception) -> str:
    return " ".join(str(problem).split())[:1_000] or "the request cannot be read"


def _fault(problem: Exception) -> Reply:
    # The traceback is for the log; callers learn only that it was not their fault.
    log.error("the handler failed", exc_info=problem)
    return error(500, "the handler failed on this request; the server's log says why")
