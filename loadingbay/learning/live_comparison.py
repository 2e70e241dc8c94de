"""How a shadow answers beside the version in service: on the live requests that both got, and on labelled ones.

Requests are paired by their inference id; one whose id is in one capture only is paired by its photo's bytes. A photo
without an id has the id of its answer in service. Photos that people labelled `neither` have no right class, and are
left out of the accuracies.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from loadingbay.errors import WorkError
from loadingbay.learning.labels import NEITHER, PREFIX
from loadingbay.registry import versions as registry
from loadingbay.registry.comparison import mcnemar
from loadingbay.registry.uncertainty import wilson
from loadingbay.registry.versions import Version
from loadingbay.target import Target
from pipelines import aws

_FILES = 2000  # at most so many of the newest files of each variant
_BYTES = 64 * 1024 * 1024
_NOT_READABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_CLOCKS = timedelta(minutes=5)


@dataclass(frozen=True)
class Answer:
    """One captured answer to one photo; `photo` are the bytes that were sent."""

    inference_id: str
    label: str
    confidence: float
    photo: bytes

    @property
    def digest(self) -> str:
        """The hash of the photo."""
        return hashlib.sha256(self.photo).hexdigest()


@dataclass(frozen=True)
class Pair:
    """What both versions answered to one request, and what the photo showed, "" where nobody said."""

    inference_id: str
    live: Answer
    shadow: Answer
    truth: str = ""


@dataclass(frozen=True)
class Share:
    """A share of `count`, with its 95 % Wilson interval; all None where `count` is 0."""

    value: float | None
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True)
class LiveComparison:
    """The versions' numbers, what they agree on, and how right both are on labelled answers.

    `requests` were answered by both, `not_copied` by the version in service only. Of the labelled photos the shadow
    `won` those that it alone had right and `lost` the others; `p` is McNemar's exact two-sided test, None without
    labels.
    """

    live: int
    shadow: int
    requests: int
    not_copied: int
    agreement: Share
    live_accuracy: Share
    shadow_accuracy: Share
    won: int
    lost: int
    p: float | None
    differing: tuple[Pair, ...]

    def document(self) -> dict[str, Any]:
        """The comparison as a JSON object, without the photos."""
        shares = {name: vars(getattr(self, name)) for name in ("agreement", "live_accuracy", "shadow_accuracy")}
        numbers = {name: getattr(self, name) for name in ("live", "shadow", "requests", "not_copied")}
        differing = [
            {
                "inference_id": pair.inference_id,
                "live": {"label": pair.live.label, "confidence": pair.live.confidence},
                "shadow": {"label": pair.shadow.label, "confidence": pair.shadow.confidence},
                "truth": pair.truth or None,
            }
            for pair in self.differing
        ]
        return {**numbers, **shares, "won": self.won, "lost": self.lost, "p": self.p, "differing": differing}


def compare(target: Target, stack: Mapping[str, str], version: Version) -> LiveComparison:
    """Compare the version, which is the shadow now, with the one in service. Raises WorkError where it is none."""
    now = registry.endpoint(target, stack["EndpointName"])
    if now is None or now.shadow != version.arn or now.changed is None:
        raise WorkError(
            f"version {version.number} is no shadow of the endpoint {stack['EndpointName']}: "
            f"`loadingbay approve {version.number} --shadow` lets it get copies of the requests"
        )
    s3, base = target.client("s3"), f"{stack['DataCaptureUri']}/{stack['EndpointName']}"
    answering = target.client("sagemaker").describe_endpoint_config(EndpointConfigName=now.config)
    variant = answering["ProductionVariants"][0]["VariantName"]
    live, shadow = (list(_answers(s3, f"{base}/{name}/", now.changed)) for name in (variant, aws.SHADOW_VARIANT))
    found, left = pairs(live, shadow, truths(s3, stack["BucketName"]))
    return compared(registry.number(now.serves), version.number, found, left)


def compared(live: int, shadow: int, found: Iterable[Pair], not_copied: int) -> LiveComparison:
    """The figures of pairs of answers of two versions, by their numbers."""
    found = tuple(found)
    known = [pair for pair in found if pair.truth not in {"", NEITHER}]
    right = [(pair.live.label == pair.truth, pair.shadow.label == pair.truth) for pair in known]
    won, lost = sum(b and not a for a, b in right), sum(a and not b for a, b in right)
    differing = tuple(pair for pair in found if pair.live.label != pair.shadow.label)
    return LiveComparison(
        live,
        shadow,
        len(found),
        not_copied,
        _share(len(found) - len(differing), len(found)),
        _share(sum(a for a, _ in right), len(known)),
        _share(sum(b for _, b in right), len(known)),
        won,
        lost,
        mcnemar(won, lost) if known else None,
        differing,
    )


def pairs(live: Iterable[Answer], shadow: Iterable[Answer], truth: Mapping[str, str]) -> tuple[list[Pair], int]:
    """The requests that both answered, and how many only the first did. Each copy belongs to one request."""
    by_id: dict[str, Answer] = {one.inference_id: one for one in shadow}
    by_photo: dict[str, list[str]] = {}
    for name, one in by_id.items():
        by_photo.setdefault(one.digest, []).append(name)
    found, alone = [], []
    for answer in live:
        copy = by_id.pop(answer.inference_id, None)
        if copy is None:
            alone.append(answer)
        else:
            found.append(Pair(answer.inference_id, answer, copy, truth.get(answer.inference_id, "")))
    left = 0
    for answer in alone:
        same = next((name for name in by_photo.get(answer.digest, ()) if name in by_id), None)
        if same is None:
            left += 1
        else:
            found.append(Pair(answer.inference_id, answer, by_id.pop(same), truth.get(answer.inference_id, "")))
    return found, left


def truths(s3: Any, bucket: str) -> dict[str, str]:
    """What people said that photos showed, by inference id: of several labels the latest."""
    latest: dict[str, tuple[str, str]] = {}
    for key in _newest(s3, bucket, PREFIX):
        for line in s3.get_object(Bucket=bucket, Key=key)["Body"].iter_lines():
            try:
                entry = json.loads(line)
                about, said = entry["eventMetadata"], str(entry["groundTruthData"]["data"])
                at = str(about.get("labelTime", ""))
                if at >= latest.get(about["eventId"], ("", ""))[0]:
                    latest[about["eventId"]] = at, said
            except _NOT_READABLE:
                continue
    return {name: said for name, (_, said) in latest.items()}


def _answers(s3: Any, uri: str, since: datetime) -> Iterator[Answer]:
    """The answers of a variant to requests with one photo since then. Lines that are no captures are left out."""
    bucket, prefix = aws.split_s3(uri)
    first = f"{prefix}{(since - _CLOCKS).astimezone(UTC):%Y/%m/%d/%H}"
    keys = [key for key in _newest(s3, bucket, prefix) if key >= first]

    def read(key: str) -> list[Answer]:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read(_BYTES)
        return [one for line in body.splitlines() for one in _answer(line, since)]

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(read, keys):
            yield from found


def _newest(s3: Any, bucket: str, prefix: str) -> list[str]:
    return sorted(item["Key"] for item in aws.objects(s3, bucket, prefix))[-_FILES:]


def _answer(line: bytes, since: datetime) -> list[Answer]:
    """The answer in a line, if it is one of a request with one photo since then."""
    try:
        capture = json.loads(line)
        about, data = capture["eventMetadata"], capture["captureData"]
        at = datetime.fromisoformat(about["inferenceTime"])
        predictions = json.loads(_content(data["endpointOutput"]))["predictions"]
        # The time of a capture has whole seconds.
        if len(predictions) != 1 or at < since.astimezone(UTC).replace(microsecond=0):
            return []
        name = str(about.get("inferenceId") or about["eventId"])
        (one,) = predictions
        return [Answer(name, str(one["label"]), float(one["confidence"]), _content(data["endpointInput"]))]
    except _NOT_READABLE:
        return []


def _content(part: Mapping[str, Any]) -> bytes:
    data = str(part["data"])
    return base64.b64decode(data) if part.get("encoding") == "BASE64" else data.encode()


def _share(part: int, count: int) -> Share:
    if not count:
        return Share(None, None, None, 0)
    return Share(part / count, *wilson(part / count, count), count)
