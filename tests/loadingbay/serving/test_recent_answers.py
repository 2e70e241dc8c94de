"""The newest captured answers: from the newest files, in order, without what cannot be read."""

import io
import json

from loadingbay.serving.recent import Recent
from loadingbay.target import Target

STACK = {"DataCaptureUri": "s3://b/capture", "EndpointName": "e"}


class S3:
    """A bucket of capture files by key."""

    def __init__(self, files):
        self.files, self.read, self.listed = files, [], []

    def get_paginator(self, _):
        return self

    def paginate(self, Bucket, Prefix, Delimiter="", StartAfter=""):  # noqa: N803 - AWS names its arguments so
        self.listed.append(Prefix)
        if not Delimiter:
            newer = [key for key in self.files if key.startswith(Prefix) and key > StartAfter]
            yield {"Contents": [{"Key": key, "Size": len(self.files[key])} for key in newer]}
            return
        rest = [key.removeprefix(Prefix) for key in self.files if key.startswith(Prefix)]
        folders = sorted({part.partition("/")[0] for part in rest if "/" in part})
        files = [{"Key": Prefix + part, "Size": len(self.files[Prefix + part])} for part in rest if "/" not in part]
        yield {"CommonPrefixes": [{"Prefix": f"{Prefix}{name}/"} for name in folders], "Contents": files}

    def get_object(self, Bucket, Key):  # noqa: N803
        self.read.append(Key)
        return {"Body": io.BytesIO(self.files[Key])}


def _line(minute, confidence=0.95, **more):
    """A captured answer, inferred at this minute of an hour."""
    answer = {"predictions": [{"label": "bicycle", "confidence": confidence, **more}], "threshold": 0.9}
    answer |= {"in_distribution_threshold": 0.5} if more else {}
    output = {"data": json.dumps(answer), "encoding": "JSON"}
    about = {"eventId": f"e{minute}", "inferenceTime": f"2026-11-26T10:{minute:02}:00Z"}
    return json.dumps({"captureData": {"endpointOutput": output}, "eventMetadata": about}).encode() + b"\n"


def _key(minute):
    return f"capture/e/AllTraffic/2026/11/26/10/{minute:02}-00-x.jsonl"


def _recent(s3):
    return Recent(Target("aws", None, "us-east-1", clients={"s3": s3}))


def test_only_the_newest_files_are_read_and_each_once():
    s3 = S3({_key(minute): _line(minute) for minute in range(50)})
    recent = _recent(s3)
    assert [a.inference_id for a in recent.answers(STACK, 2)] == ["e48", "e49"]
    recent.answers(STACK, 2)
    assert s3.read == [_key(49), _key(48)]


def test_a_second_look_lists_only_what_may_be_new():
    s3 = S3({_key(minute): _line(minute) for minute in range(10, 50)})
    recent = _recent(s3)
    recent.answers(STACK, 2)
    s3.files[_key(50)], s3.listed = _line(50), []
    assert [a.inference_id for a in recent.answers(STACK, 2)] == ["e49", "e50"]
    assert s3.listed == ["capture/e/", "capture/e/AllTraffic/"]
    assert [a.inference_id for a in recent.answers(STACK, 2)] == ["e49", "e50"]


def test_captures_of_a_shadow_are_no_answers():
    files = {_key(1): _line(1), _key(2).replace("AllTraffic", "Shadow"): _line(2)}
    recent = _recent(S3(files))
    for _ in range(2):
        assert [a.inference_id for a in recent.answers(STACK)] == ["e1"]


def test_an_answer_is_accepted_when_it_is_sure_and_of_a_known_vehicle():
    body = _line(1) + _line(2, 0.5) + _line(3, in_distribution=0.4) + _line(4, in_distribution=0.6)
    answers = _recent(S3({_key(1): body})).answers(STACK)
    assert [a.accepted for a in answers] == [True, False, False, True]


def test_what_is_no_capture_is_left_out():
    body = b"not json\n{}\n[]\n" + _line(1, float("nan")) + _line(2)
    assert [a.inference_id for a in _recent(S3({_key(1): body})).answers(STACK)] == ["e2"]


def test_nothing_captured_is_no_answer():
    assert _recent(S3({})).answers(STACK) == []
