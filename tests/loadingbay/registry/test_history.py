"""The history: records of DeployModel in S3, and what the endpoint serves now, as periods."""

import io
import json
import re
from datetime import UTC, datetime

from loadingbay.registry import history
from loadingbay.registry import versions as registry
from loadingbay.target import Target


def record(second, version, **more):
    config = f"loadingbay-v{version}-0123456789"
    return {"config": config, "since": f"2026-11-22T20:00:{second:02d}.000+00:00", "version": version, **more}


def at(second):
    return datetime(2026, 11, 22, 20, 0, second, tzinfo=UTC)


def told(records):
    return [(period.version, period.since, period.until) for period in history.periods(records)]


def test_each_period_ends_where_the_next_begins():
    assert told([record(1, 1), record(20, 2), record(30, 1)]) == [
        (1, at(30), None),
        (2, at(20), at(30)),
        (1, at(1), at(20)),
    ]


def test_the_order_of_records_does_not_matter():
    assert told([record(30, 1), record(1, 1), record(20, 2)]) == told([record(1, 1), record(20, 2), record(30, 1)])


def test_what_is_told_again_is_one_period():
    assert told([record(1, 1), record(5, 1), record(9, 2)]) == [(2, at(9), None), (1, at(1), at(9))]


def test_a_configuration_made_by_hand_has_no_version():
    (newest, _) = history.periods([record(1, 1), {"config": "mine", "since": "2026-11-22T20:00:09+00:00"}])
    assert (newest.version, newest.document()["version"]) == (0, None)


class S3:
    def __init__(self, records):
        self.objects = {
            f"deployments/loadingbay/{re.sub('[-:]', '', r['since'].partition('+')[0])}-{r['config']}.json": r
            for r in records
        }
        self.read = []

    def get_paginator(self, _):
        return self

    def paginate(self, Bucket, Prefix):  # noqa: N803 - AWS names them so
        yield {"Contents": [{"Key": key} for key in self.objects if key.startswith(Prefix)]}

    def get_object(self, Bucket, Key):  # noqa: N803
        self.read.append(Key)
        return {"Body": io.BytesIO(json.dumps(self.objects[Key]).encode())}


def _history(monkeypatch, records, now, limit=20):
    """The history of these records beside what the endpoint serves now."""
    target = Target("local", "http://127.0.0.1:1", "us-east-1")
    target.clients["s3"] = S3(records)
    monkeypatch.setattr(registry, "endpoint", lambda *_: now)
    version = registry.Version(2, "arn:2", "Approved", at(0), "good", {"approved_by": "a:user/ada"}, "")
    monkeypatch.setattr(registry, "get", lambda *_: version)
    return history.history(target, "bucket", "loadingbay", limit)


def served(version, second):
    config = f"loadingbay-v{version}-0123456789"
    return registry.Endpoint("loadingbay", "InService", "", f"arn:{version}", config, at(second))


def test_a_version_that_has_just_come_is_there_before_its_record_is(monkeypatch):
    newest, before = _history(monkeypatch, [record(1, 1)], served(2, 30))
    assert (newest.version, newest.approved_by, newest.comment, newest.in_service) == (2, "a:user/ada", "good", True)
    assert (before.version, before.until, before.in_service) == (1, at(30), False)


def test_an_endpoint_that_is_gone_serves_nothing_now(monkeypatch):
    (newest,) = _history(monkeypatch, [record(1, 1)], None)
    assert (newest.until, newest.in_service) == (None, False)


def test_a_version_serves_since_it_came_last_whatever_shadows_it_had(monkeypatch):
    with_shadow = {**record(20, 2), "config": "loadingbay-v2-0123456789-s3-abc"}
    found = _history(monkeypatch, [record(1, 2), record(5, 1), record(10, 2), with_shadow], served(2, 30))
    monkeypatch.setattr(history, "history", lambda *_: found)
    assert history.in_service_since(None, "bucket", "loadingbay") == at(10)
    monkeypatch.setattr(history, "history", lambda *_: [])
    assert history.in_service_since(None, "bucket", "loadingbay") is None


def test_the_last_ones_are_shown(monkeypatch):
    records = [record(second, 1 + second % 2) for second in range(10)]
    assert [period.since for period in _history(monkeypatch, records, None, limit=3)] == [at(9), at(8), at(7)]


def test_nothing_deployed_is_no_history(monkeypatch):
    assert _history(monkeypatch, [], None) == []


def test_what_is_told_again_is_not_read(monkeypatch):
    target = Target("local", "http://127.0.0.1:1", "us-east-1")
    s3 = target.clients["s3"] = S3([record(second, 1 + second // 10) for second in range(20)])
    monkeypatch.setattr(registry, "endpoint", lambda *_: None)
    assert [period.version for period in history.history(target, "bucket", "loadingbay", 5)] == [2, 1]
    assert len(s3.read) == 2
