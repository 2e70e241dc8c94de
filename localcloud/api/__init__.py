"""The interface between the port and the resources: how an operation is registered, refuses, and lists.

errors    what a client is told when its request is refused
registry  the table of operations
listing   pages of List operations
tags      the tags of whatever has an ARN
shapes    requests checked and answers shaped by botocore's service model
strict_json  reads JSON without NaN and infinite numbers
asgi      types and answers of the ASGI protocol, for what is served past the table of operations

A resource module looks like this:

    from localcloud.api import not_found, operation
    from localcloud.cloud import Cloud

    @operation("DescribePipeline")
    def describe_pipeline(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
        pipeline = cloud.store.get("pipeline", request["PipelineName"])
        if pipeline is None:
            raise not_found("Pipeline", cloud.arn("pipeline", request["PipelineName"]))
        return pipeline

- `request` is already validated against botocore's model (required, types, lengths, enums, patterns), without unknown
  members. Timestamps are epoch seconds (float), here, in the store and in answers.
- The answer is a dict in the shape of the operation's output. Members whose value is None are omitted. A member that
  AWS does not have is a bug: it raises in tests, and is dropped with a log line otherwise. A stored document may
  keep private members under names starting with "_": those are dropped silently.
- Operations run in a thread pool: they may block, and must be safe beside each other (use `cloud.store.transaction()`).
- A module takes part by being listed in `localcloud/resources/__init__.py`.
- Another AWS service is `cloud.client(name)`, an event is `cloud.events.put`, a log line `cloud.logs.put`.
"""

from localcloud.api.errors import ApiError, not_found, refuse, validation_error
from localcloud.api.listing import page, pick
from localcloud.api.registry import OPERATIONS, Handler, operation

__all__ = [
    "OPERATIONS",
    "ApiError",
    "Handler",
    "not_found",
    "operation",
    "page",
    "pick",
    "refuse",
    "validation_error",
]
