"""Takes photos from the review queue, one at a time, and turns what a person says into labels.

A photo that is taken is hidden from everybody else for `HIDDEN_SECONDS`, by the queue itself, so two people never look
at the same one. Its label is stored before its message is removed: a crash between the two shows the photo once more,
and the later label of the two counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from loadingbay.learning.labels import Label, store
from loadingbay.serving.photos import MAXIMUM_BYTES

HIDDEN_SECONDS = 600
_FEW = 3  # times that a message was taken, up to which it is given back: the template sets one aside after five


@dataclass(frozen=True)
class Item:
    """A photo that waits for a person, and what the model answered.

    `body` is the queue's message, `receipt` what removes it. `photo` is the address in S3 (bucket, key, version_id),
    `prediction` the model's answer: label, confidence, threshold, probabilities. `reason` is the name of the error that
    sent it here, "" for messages without one. `taken` is how many times somebody has taken the message.
    """

    inference_id: str
    photo: dict[str, Any]
    prediction: dict[str, Any]
    reason: str
    body: str
    receipt: str
    taken: int = 1


class NotReadableError(ValueError):
    """A message of the queue is not one of the state machine's; after five readers SQS moves it to the dead letters."""


@dataclass(frozen=True)
class Queue:
    """The review queue at `url`; labels go to `bucket`. The clients are boto3's for SQS and S3."""

    sqs: Any
    s3: Any
    url: str
    bucket: str

    def waiting(self) -> int:
        """How many photos wait, about: SQS counts approximately."""
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def age(self, cloudwatch: Any, name: str) -> float | None:
        """Seconds that the oldest photo has waited, by SQS's metric; None where that has no point in the last hour."""
        now = datetime.now(UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": name}],
            StartTime=now - timedelta(hours=1),
            EndTime=now,
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        return float(max(points, key=lambda point: point["Timestamp"])["Maximum"]) if points else None

    def take(self, wait: int = 1) -> Iterator[Item | NotReadableError]:
        """The photos one after the other, each taken when it is asked for; ends when the queue is empty.

        On AWS a queue can answer that it is empty when it is not, unless it is given some seconds to `wait`.
        """
        while True:
            messages = self.sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=1,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=wait,
                AttributeNames=["ApproximateReceiveCount"],
            ).get("Messages", [])
            if not messages:
                return
            try:
                yield _item(messages[0])
            except NotReadableError as error:
                yield error

    def photo(self, item: Item) -> bytes | None:
        """The photo's bytes; None when it was deleted from S3, or its bucket, or there can be none of this name.

        Empty when the file is larger than a photo can be (MAXIMUM_BYTES): it is not read.
        """
        version = {"VersionId": item.photo["version_id"]} if item.photo.get("version_id") else {}
        try:
            answer = self.s3.get_object(Bucket=item.photo["bucket"], Key=item.photo["key"], **version)
            with answer["Body"] as body:
                return bytes(body.read()) if answer["ContentLength"] <= MAXIMUM_BYTES else b""
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404"}:
                return None
            raise
        except ParamValidationError:
            return None

    def label(self, item: Item, truth: str, author: str, now: datetime) -> Label:
        """Stores the label, then removes the photo from the queue."""
        label = self.label_again(item, truth, author, now)
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=item.receipt)
        return label

    def label_again(self, item: Item, truth: str, author: str, now: datetime) -> Label:
        """Stores the label of a photo that has left the queue: the later label counts."""
        label = Label(item.inference_id, truth, "review", author, now)
        store(self.s3, self.bucket, [label])
        return label

    def skip(self, item: Item) -> None:
        """Puts the photo at the end of the queue. As a new message: one taken five times would be set aside.

        A photo that was deleted from S3 leaves the queue, for nobody can see any more what it shows.
        """
        if self.photo(item) is not None:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=item.body)
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=item.receipt)

    def give_back(self, item: Item) -> None:
        """Makes the photo visible to others at once, for whoever stops in the middle.

        One that was taken often goes to the end of the queue instead, as in `skip`, lest SQS sets it aside.
        """
        if item.taken > _FEW:
            self.skip(item)
            return
        self.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=item.receipt, VisibilityTimeout=0)


def _item(message: dict[str, Any]) -> Item:
    """A message of the queue as an item. Raises NotReadableError."""
    body = message["Body"]
    try:
        document = json.loads(body)
        photo = document["photo"]
        version, prediction = photo.get("version_id"), dict(document["prediction"])
        float(prediction.get("confidence", 0))
        return Item(
            inference_id=_text(document["inference_id"]),
            photo={
                "bucket": _text(photo["bucket"]),
                "key": _text(photo["key"]),
                "version_id": None if version is None else _text(version),
            },
            prediction=prediction,
            reason=str(document.get("reason") or ""),
            body=body,
            receipt=message["ReceiptHandle"],
            taken=int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotReadableError(
            f"message {message.get('MessageId')} in the review queue is not one of the state machine's: {body!r:.120}"
        ) from error


def _text(value: Any) -> str:
    """The value if it is text that S3 and requests can hold; ValueError otherwise."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r:.80} is no text")
    value.encode()  # JSON can name half of a surrogate pair
    return value
