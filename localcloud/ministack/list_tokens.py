"""Tokens that no list of MiniStack's gave: refused with 400, as on AWS.

Unpatched, ListQueues answers InternalError, and ListStateMachines and ListTopics give the first page once more, which
never ends for a client that goes on while there is a token. Their tokens are numbers.
"""

import functools
from collections.abc import Mapping
from typing import Any

from localcloud.ministack.private_names import find_names


def install(modules: Mapping[str, Any]) -> None:
    """Patch the lists of queues, state machines and topics."""
    queues, states, topics = (modules[f"services.{name}"] for name in ("sqs", "stepfunctions", "sns"))
    find_names(queues, "_HANDLERS", "_Err", "_act_list_queues")
    find_names(states, "_list_state_machines", "error_response_json")
    find_names(topics, "_list_topics", "_p", "_error")
    list_queues, list_machines, list_topics = queues._act_list_queues, states._list_state_machines, topics._list_topics

    @functools.wraps(list_queues)
    def queues_listed(data: dict[str, Any], url: str) -> Any:
        if not is_given(data.get("NextToken")):
            raise queues._Err("InvalidParameterValue", "Value for parameter NextToken is invalid.")
        return list_queues(data, url)

    @functools.wraps(list_machines)
    def machines_listed(data: dict[str, Any]) -> Any:
        if not is_given(data.get("nextToken")):
            return states.error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)
        return list_machines(data)

    @functools.wraps(list_topics)
    def topics_listed(data: Any) -> Any:
        if not is_given(topics._p(data, "NextToken")):
            return topics._error("InvalidParameter", "Invalid parameter: NextToken", 400)
        return list_topics(data)

    queues._act_list_queues = queues._HANDLERS["ListQueues"] = queues_listed
    states._list_state_machines = machines_listed
    topics._list_topics = topics_listed


def is_given(token: Any) -> bool:
    """Whether a list may have given this token, a number in digits, or the request has none."""
    return not token or (isinstance(token, str) and token.isascii() and token.isdigit() and len(token) < 10)
