"""Tokens that no list of MiniStack's gave are refused with 400."""

from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.mark.parametrize("token", ["bogus", "-1", "1.5", "²", "9" * 5000])
@pytest.mark.parametrize(
    ("service", "action", "request_", "code"),
    [
        ("sqs", "list_queues", {"MaxResults": 1, "NextToken": ""}, "InvalidParameterValue"),
        ("stepfunctions", "list_state_machines", {"nextToken": ""}, "InvalidToken"),
        ("sns", "list_topics", {"NextToken": ""}, "InvalidParameter"),
    ],
)
def test_a_made_up_token_is_refused(
    cloud: Any, service: str, action: str, request_: dict[str, Any], code: str, token: str
) -> None:
    given = {key: token if value == "" else value for key, value in request_.items()}

    with pytest.raises(ClientError) as refused:
        getattr(cloud.client(service), action)(**given)

    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, 400)


def test_pages_of_queues_together_are_all_queues(cloud: Any) -> None:
    sqs = cloud.client("sqs")
    made = {sqs.create_queue(QueueName=f"paged-{n}")["QueueUrl"] for n in range(5)}

    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix="paged-", PaginationConfig={"PageSize": 2})

    assert {url for page in pages for url in page["QueueUrls"]} == made
