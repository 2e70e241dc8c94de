"""Steady load: connections that ask an endpoint for known photos all the time, and a record of every request."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType
from typing import Any
from uuid import uuid4

CONNECTIONS = 8
EACH_PER_SECOND = 20.0
# A forward pass in another batch size differs in the last bits.
SAME = 1e-4


@dataclass(frozen=True)
class Asked:
    """One request. `version` is the fingerprint of the artifact that answered, `error` what the client got instead."""

    id: str
    photo: str
    sent: float
    """Seconds on the clock of `time.monotonic`."""
    got: float
    version: str = ""
    probabilities: dict[str, float] = field(default_factory=dict)
    error: str = ""

    @property
    def seconds(self) -> float:
        return self.got - self.sent


@dataclass(frozen=True)
class Known:
    """What each version answers for each photo, found without a server: `answers[fingerprint][photo][class]`."""

    answers: dict[str, dict[str, dict[str, float]]]

    def wrong(self, asked: Asked) -> bool:
        """Whether an answer is not what the version that gave it says of this photo."""
        right = self.answers.get(asked.version, {}).get(asked.photo)
        return right is None or any(abs(right[name] - p) > SAME for name, p in asked.probabilities.items())


class Load:
    """`with Load(client, endpoint, photos) as load:` asks from threads; afterwards `load.asked` has every request.

    `client()` makes one InvokeEndpoint client for each connection; it must not retry, so that each failure is seen.
    """

    def __init__(
        self,
        client: Callable[[], Any],
        endpoint: str,
        photos: dict[str, bytes],
        connections: int = CONNECTIONS,
        each_per_second: float = EACH_PER_SECOND,
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._photos = sorted(photos.items())
        self._pause = 1 / each_per_second
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask_on, args=(n,), name=f"load-{n}", daemon=True) for n in range(connections)
        ]
        self.asked: list[Asked] = []

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        self.settle()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(90)

    def settle(self, seconds: float = 1.0) -> None:
        """Let the load run for a while."""
        self._stop.wait(seconds)

    def answered(self) -> list[Asked]:
        return [one for one in list(self.asked) if not one.error]

    def failed(self) -> list[Asked]:
        return [one for one in list(self.asked) if one.error]

    def gap(self) -> float:
        """The longest time in which nobody got an answer, seconds."""
        moments = sorted(one.got for one in self.answered())
        return max((later - earlier for earlier, later in pairwise(moments)), default=0.0)

    def slowest(self) -> float:
        """The longest that an answered request took, seconds."""
        return max((one.seconds for one in self.answered()), default=0.0)

    def _ask_on(self, number: int) -> None:
        """One thread: ask the endpoint about the photos in turn, at a steady rate."""
        client, turn = self._client(), number
        due = time.monotonic() + self._pause * number / len(self._threads)
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self.asked.append(ask(client, self._endpoint, *self._photos[turn % len(self._photos)]))
            turn += len(self._threads)
            # A connection that was held up does not make up for it: the load stays steady.
            due = max(due + self._pause, time.monotonic())


def ask(client: Any, endpoint: str, name: str, photo: bytes, **members: str) -> Asked:
    """One request and what came of it; no exception."""
    identity, sent = f"fault-{uuid4().hex}", time.monotonic()
    try:
        answer = client.invoke_endpoint(
            EndpointName=endpoint, Body=photo, ContentType="image/png", InferenceId=identity, **members
        )
        body = json.loads(answer["Body"].read())
        said = dict(part.split("=", 1) for part in answer["CustomAttributes"].split(";"))
        return Asked(
            identity, name, sent, time.monotonic(), said["model-sha256"], body["predictions"][0]["probabilities"]
        )
    except Exception as error:
        return Asked(identity, name, sent, time.monotonic(), error=f"{type(error).__name__}: {error}")
