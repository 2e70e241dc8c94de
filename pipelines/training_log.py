"""Reads a training job's log as it is written, and the figures of an epoch from its lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"
PROCESSING_LOGS = "/aws/sagemaker/ProcessingJobs"

_PAIR = re.compile(r"(\w+)=(\S+)")


@dataclass(frozen=True)
class Overall:
    """How far the whole training job is: `finished` of its `fits`, `done` in per cent, `left` in seconds."""

    finished: int
    fits: int
    done: int
    left: int

    def __str__(self) -> str:
        return f"{self.finished} of {self.fits} fits, {self.done} %, {self.left} s left"


@dataclass(frozen=True)
class Epoch:
    """One pass over the training photos. `accuracy` is None in a phase that holds nothing out."""

    phase: str
    epoch: int
    epochs: int
    loss: float
    accuracy: float | None
    overall: Overall | None = None


def parse(line: str) -> Epoch | None:
    """The epoch that a log line reports (`phase=final epoch=12/60 train_loss=0.12 ...`), or None if it reports none."""
    pairs = dict(_PAIR.findall(line))
    try:
        epoch, _, epochs = pairs["epoch"].partition("/")
        accuracy = pairs.get("validation_accuracy")
        return Epoch(
            phase=pairs.get("phase", "training"),
            epoch=int(epoch),
            epochs=int(epochs),
            loss=float(pairs["train_loss"]),
            accuracy=float(accuracy) if accuracy else None,
            overall=_overall(pairs),
        )
    except (KeyError, ValueError):
        return None


def _overall(pairs: dict[str, str]) -> Overall | None:
    """Parse `fits=3/4 done=62 left=20`; None if the line has no such part."""
    try:
        finished, _, fits = pairs["fits"].partition("/")
        return Overall(int(finished), int(fits), int(pairs["done"]), int(pairs["left"]))
    except (KeyError, ValueError):
        return None


class LogTail:
    """The lines of all streams of one job, each once, in the order of their stream."""

    def __init__(self, logs: Any, group: str, job: str) -> None:
        self._logs = logs
        self._group = group
        self._prefix = f"{job}/"
        self._tokens: dict[str, str] = {}

    def poll(self) -> list[str]:
        """Return the lines written since the last call; none while the log does not exist."""
        try:
            streams = self._logs.describe_log_streams(logGroupName=self._group, logStreamNamePrefix=self._prefix)
            return [line for s in streams["logStreams"] for line in self._read(s["logStreamName"])]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return []
            raise

    def _read(self, stream: str) -> list[str]:
        """Return the lines of one stream that were written since the last call."""
        lines: list[str] = []
        while True:
            token = self._tokens.get(stream)
            page = self._logs.get_log_events(
                logGroupName=self._group,
                logStreamName=stream,
                startFromHead=True,
                **({"nextToken": token} if token else {}),
            )
            lines += [event["message"] for event in page["events"]]
            self._tokens[stream] = page["nextForwardToken"]
            # The end is a token that does not move; an empty page in the middle is allowed.
            if page["nextForwardToken"] == token or (not page["events"] and token is None):
                return lines
