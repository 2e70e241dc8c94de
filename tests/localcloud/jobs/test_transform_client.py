"""How a transform job cuts files into requests, and joins records with their predictions."""

from pathlib import Path
from typing import Any

import pytest

from localcloud.jobs.transform_client import Transform, TransformError, batches, check_path, select


class Summing:
    """A model server that answers each line of CSV with the sum of its fields, and keeps what it was asked."""

    def __init__(self, parameters: bytes = b"", status: int = 200) -> None:
        self.asked: list[bytes] = []
        self._parameters, self._status = parameters, status

    def parameters(self) -> tuple[int, bytes]:
        return (200, self._parameters) if self._parameters else (404, b"")

    def invoke(self, body: bytes, *_: Any) -> tuple[int, bytes]:
        self.asked.append(body)
        return self._status, b"".join(b"%g\n" % sum(map(float, line.split(b","))) for line in body.splitlines())


def transformed(folder: Path, body: bytes, server: Summing | None = None, **job: Any) -> bytes:
    """The output of one file of CSV, cut into lines."""
    (folder / "a.csv").write_bytes(body)
    request = {
        "TransformInput": {"ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"AssembleWith": "Line"},
        **job,
    }
    Transform(request, server or Summing()).file(folder / "a.csv", folder / "out" / "a.csv.out")  # type: ignore[arg-type]
    return (folder / "out" / "a.csv.out").read_bytes()


def test_several_records_go_into_one_request(tmp_path: Path) -> None:
    server = Summing()

    assert transformed(tmp_path, b"1,2\n3,4\n", server) == b"3\n7\n"
    assert server.asked == [b"1,2\n3,4"]


def test_single_record_is_one_request_each(tmp_path: Path) -> None:
    server = Summing()

    assert transformed(tmp_path, b"1,2\n3,4\n", server, BatchStrategy="SingleRecord") == b"3\n7\n"
    assert server.asked == [b"1,2", b"3,4"]


def test_without_a_split_the_file_is_one_request(tmp_path: Path) -> None:
    server = Summing()

    transformed(tmp_path, b"1,2\n3,4\n", server, TransformInput={"ContentType": "text/csv"})

    assert server.asked == [b"1,2\n3,4\n"]


def test_the_model_says_how_it_wants_to_be_asked(tmp_path: Path) -> None:
    server = Summing(b'{"BatchStrategy": "SingleRecord", "MaxConcurrentTransforms": 4, "MaxPayloadInMB": 1}')

    transformed(tmp_path, b"1\n2\n3\n", server)

    assert sorted(server.asked) == [b"1", b"2", b"3"]


def test_filters_and_join_keep_what_is_asked_for(tmp_path: Path) -> None:
    server = Summing()
    processing = {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"}

    assert transformed(tmp_path, b"id1,2,3\nid2,4,5\n", server, DataProcessing=processing) == b"id1,5\nid2,9\n"
    assert server.asked == [b"2,3\n4,5"]


def test_a_refused_request_fails_with_the_models_answer(tmp_path: Path) -> None:
    with pytest.raises(TransformError, match=r"a\.csv: the model answered 415: 3"):
        transformed(tmp_path, b"1,2\n", Summing(status=415))


def test_a_join_needs_a_prediction_for_each_record(tmp_path: Path) -> None:
    class Short(Summing):
        def invoke(self, *_: Any) -> tuple[int, bytes]:
            return 200, b"1"

    with pytest.raises(TransformError, match="2 records got 1 predictions"):
        transformed(tmp_path, b"1\n2\n", Short(), DataProcessing={"JoinSource": "Input"})


def test_requests_stay_below_the_largest_payload() -> None:
    assert list(batches([b"12345", b"123", b"12345"], "MultiRecord", 10)) == [[b"12345", b"123"], [b"12345"]]
    with pytest.raises(TransformError, match="A record has 11 bytes"):
        list(batches([b"12345678901"], "MultiRecord", 10))


@pytest.mark.parametrize(
    ("path", "found"), [("$", {"a": [{"b": 1}, 2]}), ("$.a[0].b", 1), ("$['a'][1:]", [2]), ("$.a[-1]", 2)]
)
def test_a_path_finds_a_part(path: str, found: Any) -> None:
    assert select({"a": [{"b": 1}, 2]}, path) == found


@pytest.mark.parametrize("path", ["a.b", "$..a", "$.a[*]", "$.a[?(@.x)]"])
def test_a_path_that_is_not_understood_is_refused(path: str) -> None:
    with pytest.raises(TransformError, match="not understood"):
        check_path(path)
