"""Sends a sample of the accepted answers, which the Monitor job chose, to the review queue; each one once.

The periods overlap, so an answer may be chosen again: an object that S3 writes only while there is none of its name
says that it was sent. It is written first. A crash after it leaves one answer of the sample out, and none twice.
"""

from __future__ import annotations

import hashlib
import json

from botocore.exceptions import ClientError

from .reading import Clients, listed

SENT = "monitoring/sent-to-review/"
REASON = "SampleOfTheSureOnes"
_PHOTOS = "labelled/photos/"


def send(folder: str, clients: Clients) -> int:
    """Send the photos that `<folder>/sure_ones.json` lists to the review queue, each once; the number of new ones.

    `folder` is a key of the stage's bucket. Raises NotReadable when the list is no list.
    """
    new = [one for one in listed(clients, f"{folder}/sure_ones.json") if _claimed(str(one["inference_id"]), clients)]
    for one in new:
        body = {
            "inference_id": one["inference_id"],
            "photo": {"bucket": clients.bucket, "key": f"{_PHOTOS}{one['photo']}", "version_id": None},
            "prediction": one["prediction"],
            "reason": REASON,
        }
        clients.sqs.send_message(QueueUrl=clients.review_queue, MessageBody=json.dumps(body))
    return len(new)


def _claimed(inference_id: str, clients: Clients) -> bool:
    """Whether this call is the first to send the answer with this inference id to people: a marker in S3 decides."""
    key = f"{SENT}{hashlib.sha256(inference_id.encode()).hexdigest()}"
    try:
        clients.s3.put_object(Bucket=clients.bucket, Key=key, Body=b"", IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"PreconditionFailed", "ConditionalRequestConflict", "412"}:
            raise
        return False
    return True
