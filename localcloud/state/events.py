"""SageMaker's events on the default bus, delivered at least once, also when the process is killed in between."""

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.state.store import Store

KIND = "event"
# A function that an event started may still be running; a cloud that dies within this time sends the event again.
KEEP_SECONDS = 30.0
# Pruning reads every event that is kept, so it is not done for each one.
PRUNE_SECONDS = 5.0


class Outbox:
    """Stores each event before it is published and for 30 to 35 s after, so that `resend` can repeat it after a kill.

    AWS's EventBridge delivers at least once too, so targets have to be idempotent in both places.
    """

    def __init__(self, store: Store, publish: Callable[[str, list[str], Mapping[str, Any]], None]) -> None:
        self._store = store
        self._publish = publish
        self._pruned = 0.0

    def put(self, detail_type: str, resources: list[str], detail: Mapping[str, Any]) -> None:
        """Publish one event of source aws.sagemaker; returns once the bus has it."""
        now = time.time()
        body = {"DetailType": detail_type, "Resources": resources, "Detail": dict(detail), "Time": now}
        self._store.insert(KIND, str(uuid.uuid4()), body)
        self._publish(detail_type, resources, detail)
        if now - self._pruned >= PRUNE_SECONDS:
            self._pruned = now
            self.prune()

    def resend(self) -> int:
        """Publish the events of the last 30 to 35 s before a stop again; returns how many."""
        events = self._store.documents(KIND)
        for event in events:
            self._publish(event["DetailType"], event["Resources"], event["Detail"])
        return len(events)

    def prune(self) -> None:
        """Delete events that are older than 30 s: their targets have been called."""
        self._store.delete_older(KIND, "Time", time.time() - KEEP_SECONDS)
