"""The training log: figures read from its lines, each line once, whatever pages it comes in."""

import time

import boto3
import pytest
from moto import mock_aws

from pipelines.training_log import TRAINING_LOGS, Epoch, LogTail, Overall, parse


def test_an_epoch_is_read_from_its_line():
    line = "phase=fold-1/3 epoch=12/60 train_loss=0.1234 validation_accuracy=0.9100 learning_rate=0.01 seconds=1.3"
    assert parse(line) == Epoch("fold-1/3", 12, 60, 0.1234, 0.91)


def test_an_epoch_that_holds_nothing_out_has_no_accuracy():
    assert parse("phase=final epoch=1/2 train_loss=0.5") == Epoch("final", 1, 2, 0.5, None)


def test_a_line_says_how_far_the_whole_job_is() -> None:
    epoch = parse("phase=fold-2/3 epoch=24/30 train_loss=0.2 fits=1/4 done=62 left=20")
    assert epoch is not None
    assert epoch.overall == Overall(1, 4, 62, 20)
    assert str(epoch.overall) == "1 of 4 fits, 62 %, 20 s left"


@pytest.mark.parametrize(
    "line",
    ["", "Invoking user script", "phase=calibration temperature=1.3", "epoch=one/2 train_loss=0.5", "epoch=1/2"],
)
def test_a_line_that_reports_no_epoch_is_none(line):
    assert parse(line) is None


@pytest.fixture
def logs():
    with mock_aws():
        client = boto3.client("logs", region_name="us-east-1")
        client.create_log_group(logGroupName=TRAINING_LOGS)
        yield client


def _write(logs, stream, *lines):
    """Write lines to a stream of the training jobs' log group."""
    now = time.time_ns() // 1_000_000
    logs.put_log_events(
        logGroupName=TRAINING_LOGS,
        logStreamName=stream,
        logEvents=[{"timestamp": now + n, "message": line} for n, line in enumerate(lines)],
    )


def test_lines_written_between_two_looks_come_once_and_in_order(logs):
    logs.create_log_stream(logGroupName=TRAINING_LOGS, logStreamName="job-1/algo-1-1")
    tail = LogTail(logs, TRAINING_LOGS, "job-1")
    assert tail.poll() == []
    _write(logs, "job-1/algo-1-1", "one", "two")
    assert tail.poll() == ["one", "two"]
    assert tail.poll() == []
    _write(logs, "job-1/algo-1-1", "three")
    assert tail.poll() == ["three"]


def test_another_jobs_stream_is_not_read_though_its_name_begins_alike(logs):
    for stream in ("job-1/algo-1-1", "job-10/algo-1-1"):
        logs.create_log_stream(logGroupName=TRAINING_LOGS, logStreamName=stream)
        _write(logs, stream, f"of {stream}")
    assert LogTail(logs, TRAINING_LOGS, "job-1").poll() == ["of job-1/algo-1-1"]


def test_a_log_of_more_than_one_page_is_read_whole(logs):
    logs.create_log_stream(logGroupName=TRAINING_LOGS, logStreamName="job-1/algo-1-1")
    lines = [f"line {n}" for n in range(12_000)]  # a page holds at most 10,000
    for start in range(0, len(lines), 4000):
        _write(logs, "job-1/algo-1-1", *lines[start : start + 4000])
    assert sorted(LogTail(logs, TRAINING_LOGS, "job-1").poll()) == sorted(lines)


def test_a_log_that_does_not_exist_yet_is_empty():
    with mock_aws():
        assert LogTail(boto3.client("logs", region_name="us-east-1"), TRAINING_LOGS, "job-1").poll() == []
