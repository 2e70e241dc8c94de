"""SQS with its messages in SQLite: a message that was acknowledged, received or deleted is so after a kill.

Unpatched, MiniStack keeps messages in its memory and writes all queues at each save. Its threads also replace a queue's
list of messages while others append to it, which loses messages without any kill: here they take turns.
"""

import asyncio
import copy
import functools
import json
import threading
from collections.abc import Callable
from typing import Any

from localcloud.ministack.database import Database
from localcloud.ministack.private_names import find_names, need

SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  account TEXT NOT NULL, region TEXT NOT NULL, queue TEXT NOT NULL, id TEXT NOT NULL, document TEXT NOT NULL,
  UNIQUE (account, region, queue, id));
"""
_NAMES = (
    "_queues", "_HANDLERS", "_act_send_message", "_collect_msgs", "_dlq_sweep", "_expire_retained", "get_state",
    "load_persisted_state", "_queue_name_to_url", "_receive_messages_for_esm", "_delete_messages_for_esm",
    "_prune_dedup",
)  # fmt: skip
_LONGEST_WAIT_SECONDS = 20  # of ReceiveMessage
# Operations that change messages other than by adding them at the end.
_CHANGE = (
    "DeleteMessage", "DeleteMessageBatch", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch", "PurgeQueue",
    "DeleteQueue",
)  # fmt: skip

Key = tuple[str, str, str]
"""Account, region and URL of a queue."""
Mark = tuple[Any, ...]
"""The members of a message that change: as stored, to see whether it has to be written again."""


class Queues:
    """Patches ministack.services.sqs to store messages before a request is answered."""

    def __init__(self, sqs: Any, database: Database) -> None:
        """Patch MiniStack's module `sqs` so that messages are written to `database` before a request is answered."""
        find_names(sqs, *_NAMES)
        need(set(_CHANGE) <= set(sqs._HANDLERS), "services.sqs._HANDLERS lacks operations")
        self._sqs, self._database = sqs, database
        self._lock = threading.RLock()
        self._stored: dict[Key, dict[str, Mark]] = {}
        load, receive = sqs.load_persisted_state, sqs._HANDLERS["ReceiveMessage"]

        @functools.wraps(load)
        def load_with_messages(data: Any) -> None:
            load(data)
            self._restore()

        def state_without_messages() -> Any:
            queues = type(sqs._queues)()
            with self._lock:
                for (account, region, url), queue in sqs._queues.all_items():
                    queues.set_scoped(account, region, url, copy.deepcopy({**queue, "messages": []}))
            return {"queues": queues, "queue_name_to_url": copy.deepcopy(sqs._queue_name_to_url)}

        @functools.wraps(receive)
        async def receive_and_store(data: dict[str, Any], url: str) -> Any:
            try:
                # It waits until a time of day, which a clock that is set backward moves away.
                async with asyncio.timeout(_LONGEST_WAIT_SECONDS + 1):
                    answer = await receive(data, url)
            except TimeoutError:
                return {}
            if answer:
                self.store()
            return answer

        sqs.load_persisted_state, sqs.get_state = load_with_messages, state_without_messages
        for name in ("_collect_msgs", "_dlq_sweep", "_expire_retained"):
            setattr(sqs, name, self.exclusive(getattr(sqs, name)))
        for name in ("_receive_messages_for_esm", "_delete_messages_for_esm"):
            setattr(sqs, name, self._storing(getattr(sqs, name)))
        sqs._act_send_message = sqs._HANDLERS["SendMessage"] = self._sending(sqs._act_send_message)
        for name in _CHANGE:
            sqs._HANDLERS[name] = self._storing(sqs._HANDLERS[name])
        sqs._HANDLERS["ReceiveMessage"] = receive_and_store

    def shift(self, seconds: float) -> None:
        """Move the times at which messages are seen again, because the clock was set by so many seconds."""
        with self._lock:
            for _, queue in self._sqs._queues.all_items():
                for message in queue["messages"]:
                    message["visible_at"] += seconds
                    message["sent_at"] += seconds
                for hit in (queue.get("dedup_cache") or {}).values():
                    hit["expire"] += seconds
            self.store()

    def exclusive(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work` while no other thread changes a queue's messages."""

        @functools.wraps(work)
        def run(*args: Any, **options: Any) -> Any:
            with self._lock:
                return work(*args, **options)

        return run

    def _storing(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, which changes messages, with the change committed before it returns."""

        @functools.wraps(work)
        def run(*args: Any, **options: Any) -> Any:
            with self._lock:
                answer = work(*args, **options)
                self.store()
                return answer

        return run

    def _sending(self, send: Callable[..., Any]) -> Callable[..., Any]:
        """`send`, which adds a message, with the message committed before it returns, or withdrawn on an error."""

        @functools.wraps(send)
        def run(data: dict[str, Any], url: str) -> Any:
            with self._lock:
                answer = send(data, url)
                try:
                    self.store_new()
                except BaseException:
                    self._withdraw(answer["MessageId"])
                    raise
                return answer

        return run

    def _withdraw(self, identity: str) -> None:
        """Take back a message that could not be stored: its sender gets an error."""
        for key, queue in self._sqs._queues.all_items():
            if identity not in self._stored.get(key, {}):
                queue["messages"] = [message for message in queue["messages"] if message["id"] != identity]
                cache = queue.get("dedup_cache") or {}
                queue["dedup_cache"] = {name: hit for name, hit in cache.items() if hit.get("id") != identity}

    # Storing

    def store_new(self) -> None:
        """Write messages that were added at the end of any queue; the cost does not depend on how many wait."""
        with self._lock:
            added: list[tuple[Key, dict[str, Any]]] = []
            for key, queue in self._sqs._queues.all_items():
                stored, fresh = self._stored.setdefault(key, {}), []
                for message in reversed(queue["messages"]):
                    if message["id"] in stored:
                        break
                    fresh.append((key, message))
                added += reversed(fresh)
            if added:
                self._write(added, [])

    def store(self) -> None:
        """Write what differs from the stored messages in any queue: new, received, returned, deleted."""
        with self._lock:
            changed: list[tuple[Key, dict[str, Any]]] = []
            gone: list[tuple[Key, str]] = []
            queues = dict(self._sqs._queues.all_items())
            for key in {*queues, *self._stored}:
                stored, present = self._stored.setdefault(key, {}), {}
                for message in queues[key]["messages"] if key in queues else ():
                    present[message["id"]] = mark = _mark(message)
                    if stored.get(message["id"]) != mark:
                        changed.append((key, message))
                gone += [(key, identity) for identity in stored if identity not in present]
            if changed or gone:
                self._write(changed, gone)

    def _write(self, changed: list[tuple[Key, dict[str, Any]]], gone: list[tuple[Key, str]]) -> None:
        """Commit the changed messages and the removal of those that are gone, all or none."""
        with self._database.transaction() as write:
            write.executemany(
                "INSERT INTO messages (account, region, queue, id, document) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (account, region, queue, id) DO UPDATE SET document = excluded.document",
                [(*key, message["id"], json.dumps(message)) for key, message in changed],
            )
            write.executemany(
                "DELETE FROM messages WHERE account = ? AND region = ? AND queue = ? AND id = ?",
                [(*key, identity) for key, identity in gone],
            )
        for key, message in changed:
            self._stored[key][message["id"]] = _mark(message)
        for key, identity in gone:
            self._stored[key].pop(identity, None)

    def _restore(self) -> None:
        """Give the queues that MiniStack restored their messages; those of queues that are gone are removed."""
        queues = dict(self._sqs._queues.all_items())
        with self._lock:
            for account, region, url, document in list(
                self._database.rows("SELECT account, region, queue, document FROM messages ORDER BY position")
            ):
                key, message = (account, region, url), json.loads(document)
                self._stored.setdefault(key, {})[message["id"]] = _mark(message)
                if key in queues:
                    queues[key]["messages"].append(message)
                    queues[key]["fifo_seq"] = max(queues[key].get("fifo_seq", 0), int(message.get("seq") or 0))
            self.store()


def _mark(message: dict[str, Any]) -> Mark:
    return message.get("receipt_handle"), message.get("visible_at"), message.get("receive_count")
