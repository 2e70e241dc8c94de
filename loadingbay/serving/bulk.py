"""Classifies thousands of photos: uploads a folder, runs the bulk state machine, reads its results back from S3."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadingbay.data.files import photos_among, require_text
from loadingbay.errors import UsageError, WorkError
from loadingbay.target import Target
from pipelines.aws import objects, split_s3

_PARALLEL = 8


@dataclass(frozen=True)
class Bulk:
    """What became of the photos below a prefix.

    `routed` counts by vehicle; `review` is how many a person is asked about; `failed` gives the error of each other by
    its key. `results` is the S3 address of the manifest that names the files with every answer. `left_out` counts
    markers of folders and hidden files.
    """

    execution: str
    status: str
    photos: int
    routed: dict[str, int]
    review: int
    failed: dict[str, str]
    results: str
    seconds: float
    left_out: int = 0

    def document(self) -> dict[str, Any]:
        """The result as a JSON object, which `bulk --json` prints."""
        return {**self.__dict__}


def prefix_in(bucket: str, where: str, kinds: str = "a folder, or a prefix") -> str:
    """The prefix that a person named, as `PREFIX` or `s3://BUCKET/PREFIX`. UsageError for another bucket, or none.

    `kinds` are what may be named.
    """
    prefix = where
    if where.startswith("s3://"):
        named, prefix = split_s3(where)
        if named != bucket:
            raise UsageError(
                f"{where}: the photos have to lie in the stage's own bucket: copy them there with "
                f"`aws s3 cp --recursive {where} s3://{bucket}/bulk/mine/`, then name the prefix bulk/mine/"
            )
    if not prefix.strip("/"):
        raise UsageError(f"{where!r} names no photos: give {kinds} of s3://{bucket} such as bulk/mine/")
    return prefix


def upload(
    target: Target,
    folder: Path,
    bucket: str,
    *,
    done: Callable[[int], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> str:
    """Uploads the photos below a local folder, hidden files and folders left out; the prefix where they lie.

    `done` is told how many are uploaded. UsageError when there are none, WorkError for a name that S3 cannot hold.
    """
    visible = (
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    listed = photos_among(visible)
    if not listed.photos:
        raise UsageError(f"{folder}: there is no .png, .jpg or .jpeg below it{listed.remark}")
    for path in listed.photos:
        require_text(path)
    if listed.remark:
        say(listed.remark.removeprefix("; "))
    # Not below incoming/: what arrives there is classified by itself.
    prefix = f"bulk/{uuid.uuid4().hex[:12]}/"
    s3 = target.client("s3")
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="upload") as pool:
        keys = [(path, f"{prefix}{path.relative_to(folder).as_posix()}") for path in listed.photos]
        for number, future in enumerate([pool.submit(s3.upload_file, str(p), bucket, key) for p, key in keys], 1):
            future.result()
            done(number)
    return prefix


def classify(
    target: Target, stack: Mapping[str, str], prefix: str, *, waiting: Callable[[str], None] = lambda _: None
) -> Bulk:
    """Runs the bulk state machine over the prefix and waits for its end; what became of the photos.

    Raises UsageError when nothing lies below the prefix, and WorkError when the run itself fails, with how many photos
    had failed: more than the machine tolerates.
    """
    s3, machine = target.client("s3"), target.client("stepfunctions")
    bucket, began = stack["BucketName"], time.monotonic()
    if not s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("KeyCount"):
        if Path(prefix).is_file():
            raise UsageError(f"{prefix} is a file: `loadingbay classify` takes single photos")
        raise UsageError(f"{prefix} is no folder here, and nothing lies below s3://{bucket}/{prefix}")
    arn = machine.start_execution(
        stateMachineArn=stack["BulkStateMachineArn"],
        name=f"bulk-{uuid.uuid4().hex[:16]}",
        input=json.dumps({"bucket": bucket, "prefix": prefix}),
    )["executionArn"]
    while (found := machine.describe_execution(executionArn=arn))["status"] == "RUNNING":
        waiting(_progress(machine, arn))
        time.sleep(target.interval)
    name = arn.rsplit(":", 1)[-1]
    children = _children(s3, bucket, f"bulk-results/{name}/")
    bulk = _summary(arn, found["status"], children, f"s3://{bucket}/bulk-results/{name}/", time.monotonic() - began)
    if found["status"] != "SUCCEEDED":
        example = next((f"; for example {key}: {said}" for key, said in bulk.failed.items()), "")
        again = ""
        if found.get("redriveStatus") == "REDRIVABLE":
            again = (
                f"; once the cause is mended, `aws stepfunctions redrive-execution --execution-arn {arn}` classifies "
                "the photos that failed again"
            )
        raise WorkError(
            f"the bulk run ended as {found['status']} ({found.get('error', 'no error named')}): "
            f"{len(bulk.failed)} of {bulk.photos} photos failed{example}; every answer is below {bulk.results}{again}"
        )
    return bulk


def _progress(machine: Any, arn: str) -> str:
    for run in machine.list_map_runs(executionArn=arn)["mapRuns"]:
        counts = machine.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]
        return f"{counts['succeeded'] + counts['failed']} of {counts['total']} classified, {counts['failed']} failed"
    return "listing the photos"


def _children(s3: Any, bucket: str, prefix: str) -> list[dict[str, Any]]:
    """The children's lines in all result files below the prefix; none when the run ended before it wrote any."""
    found: list[dict[str, Any]] = []
    for item in objects(s3, bucket, prefix):
        if item["Key"].endswith("/manifest.json"):
            manifest = json.load(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"])
            for file in [file for files in manifest["ResultFiles"].values() for file in files]:
                found += json.load(s3.get_object(Bucket=bucket, Key=file["Key"])["Body"])
    return found


def _summary(arn: str, status: str, children: list[dict[str, Any]], results: str, seconds: float) -> Bulk:
    """Count what became of the photos, from the child executions of the map run; see `Bulk`."""
    routed: Counter[str] = Counter()
    review, left_out, failed = 0, 0, {}
    for child in children:
        if child["Status"] != "SUCCEEDED":
            failed[str(json.loads(child["Input"])["key"])] = _said(child)
            continue
        answer = json.loads(child["Output"])
        if answer["outcome"] == "review":
            review += 1
        elif answer["outcome"] == "left out":
            left_out += 1
        else:
            routed[answer["vehicle"]] += 1
    photos = len(children) - left_out
    return Bulk(arn, status, photos, dict(sorted(routed.items())), review, failed, results, seconds, left_out)


def _said(child: Mapping[str, Any]) -> str:
    """The sentence of the Lambda that failed, else the error's name and cause."""
    cause = str(child.get("Cause", ""))
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"{child.get('Error', child['Status'])} {cause}".strip()
