"""Reads a training job's progress from its log, for pages that show a pipeline execution while it runs."""

from __future__ import annotations

from loadingbay.target import Target
from pipelines.executions import Execution
from pipelines.training_log import TRAINING_LOGS, Epoch, LogTail, parse


class Progress:
    """Follows the training log of whichever execution it is asked about; one for each open page."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._job = ""
        self._tail: LogTail | None = None
        self._epochs: dict[str, Epoch] = {}

    def epochs(self, execution: Execution) -> list[Epoch]:
        """The last epoch of each network that is or was trained, the newest last; [] once training is over."""
        train = execution.step("Train")
        if train is None or train.status != "Executing" or not train.job:
            return []
        if train.job != self._job:
            job = train.job.rsplit("/", 1)[-1]
            self._job, self._tail = train.job, LogTail(self._target.client("logs"), TRAINING_LOGS, job)
            self._epochs = {}
        assert self._tail is not None  # noqa: S101 - set with the job
        for epoch in filter(None, map(parse, self._tail.poll())):
            self._epochs.pop(epoch.phase, None)  # the newest is the last
            self._epochs[epoch.phase] = epoch
        return list(self._epochs.values())
