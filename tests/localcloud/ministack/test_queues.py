"""The state of queues, apart from their messages."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from ministack.core.responses import AccountRegionScopedDict

from localcloud.ministack import queues
from localcloud.ministack.database import Database


class Message(dict[str, Any]):
    """A message that must not be copied."""

    def __deepcopy__(self, memo: Any) -> NoReturn:
        raise AssertionError("a message was copied")


def test_the_state_of_queues_is_taken_without_copying_messages(tmp_path: Path) -> None:
    scoped = AccountRegionScopedDict()
    message = Message(id="1")
    scoped.set_scoped("1", "us-east-1", "url", {"name": "review", "messages": [message]})
    names = dict.fromkeys(queues._NAMES, lambda *_: None)
    handlers = dict.fromkeys((*queues._CHANGE, "ReceiveMessage"), lambda *_: None)
    sqs = SimpleNamespace(
        **{**names, "_queues": scoped, "_queue_name_to_url": AccountRegionScopedDict(), "_HANDLERS": handlers}
    )
    sqs.__name__ = "sqs"
    queues.Queues(sqs, Database(tmp_path / "traffic.sqlite", queues.SCHEMA))

    taken = sqs.get_state()["queues"]

    assert list(taken.all_values()) == [{"name": "review", "messages": []}]
    assert next(iter(scoped.all_values()))["messages"] == [message]
