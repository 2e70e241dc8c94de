"""The outbox prunes now and then, not with every event: that would cost more the more events there are."""

from pathlib import Path

from localcloud.state import events
from localcloud.state.events import Outbox
from localcloud.state.store import Store


def test_many_events_are_pruned_once(tmp_path: Path) -> None:
    pruned = []
    outbox = Outbox(Store(tmp_path / "store.db"), lambda detail_type, resources, detail: None)
    outbox.prune = lambda: pruned.append(1)
    for number in range(20):
        outbox.put("Change", [], {"number": number})
    assert len(pruned) == 1
    outbox._pruned -= events.PRUNE_SECONDS
    outbox.put("Change", [], {})
    assert len(pruned) == 2
