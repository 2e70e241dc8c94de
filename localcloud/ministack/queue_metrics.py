"""Metrics of SQS queues in CloudWatch, such as how long the oldest message waits: MiniStack publishes none.

Source: SQS Developer Guide, "Available CloudWatch metrics for Amazon SQS": one point a minute of each active queue.
"""

import time
from typing import Any

from localcloud.ministack.private_names import find_names

_SECONDS = 60.0


class QueueMetrics:
    """Records the points of the queues that have messages; once more when a queue has become empty."""

    def __init__(self, sqs: Any, cloudwatch: Any) -> None:
        """Use MiniStack's modules `services.sqs` and `services.cloudwatch`."""
        find_names(sqs, "_queues", "_refresh_counts")
        find_names(cloudwatch, "record_metric")
        self._sqs, self._cloudwatch = sqs, cloudwatch
        self._recorded: dict[str, tuple[float, bool]] = {}

    def record(self) -> None:
        """Add a point of now for the queues of the account in scope whose last one is a minute old, or said empty."""
        now = time.time()
        for url, queue in list(self._sqs._queues.items()):
            messages = list(queue["messages"])
            at, had_some = self._recorded.get(url, (0.0, False))
            if (not messages and not had_some) or (messages and had_some and now - at < _SECONDS):
                continue
            self._recorded[url] = (now, bool(messages))
            self._sqs._refresh_counts(queue)
            counts = queue["attributes"]
            sent = min((float(message.get("sent_at", now)) for message in messages), default=now)
            values = {
                "ApproximateNumberOfMessagesVisible": (float(counts["ApproximateNumberOfMessages"]), "Count"),
                "ApproximateNumberOfMessagesNotVisible": (
                    float(counts["ApproximateNumberOfMessagesNotVisible"]),
                    "Count",
                ),
                "ApproximateAgeOfOldestMessage": (max(0.0, now - sent), "Seconds"),
            }
            for name, (value, unit) in values.items():
                self._cloudwatch.record_metric("AWS/SQS", name, value, unit, {"QueueName": url.rsplit("/", 1)[-1]})
