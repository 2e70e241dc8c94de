"""The download: no network is found out soon, a cut is gone on from, a wrong md5 is refused. All on this machine."""

import fcntl
import hashlib
import socket
import threading

import httpx
import pytest

from loadingbay.data.download import DataError, Source, Unreachable, fetch

CONTENT = bytes(range(256)) * 4000
SOURCE = Source(
    "http://archive.test/file.tar.gz", hashlib.md5(CONTENT, usedforsecurity=False).hexdigest(), len(CONTENT)
)


class Body(httpx.SyncByteStream):
    """The bytes; with `cut`, then the connection is lost."""

    def __init__(self, data, cut=False):
        self.data, self.cut = data, cut

    def __iter__(self):
        yield self.data
        if self.cut:
            raise httpx.ReadError("connection reset")


class Server:
    """Answers as an archive's server does; `cuts` are the sizes after which answers break off."""

    def __init__(self, content=CONTENT, ranges=True, cuts=()):
        self.content, self.ranges, self.cuts, self.asked = content, ranges, list(cuts), []

    def __call__(self, request):
        self.asked.append(request.headers.get("Range"))
        start = int(self.asked[-1].removeprefix("bytes=").rstrip("-")) if self.asked[-1] and self.ranges else 0
        rest = self.content[start:]
        headers = {"Content-Length": str(len(rest))}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        body = Body(rest[: self.cuts.pop(0)], cut=True) if self.cuts else Body(rest)
        return httpx.Response(206 if start else 200, headers=headers, stream=body)


def run(place, handler, **options):
    fetch(SOURCE, place, lambda done, total: None, transport=httpx.MockTransport(handler), **options)


def test_a_download_appears_whole_and_alone(tmp_path):
    run(tmp_path / "cache" / "x", Server())
    assert (tmp_path / "cache" / "x").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["x"]


def test_progress_counts_bytes_up_to_the_size(tmp_path):
    told = []
    fetch(SOURCE, tmp_path / "x", lambda *count: told.append(count), transport=httpx.MockTransport(Server()))
    assert told == sorted(told)
    assert told[-1] == (len(CONTENT), len(CONTENT))


def test_a_cut_download_goes_on_where_it_stopped(tmp_path):
    server = Server(cuts=[300_000, 200_000])
    run(tmp_path / "x", server)
    assert server.asked == [None, "bytes=300000-", "bytes=500000-"]
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_what_came_before_a_cut_serves_the_next_call(tmp_path):
    with pytest.raises(Unreachable, match="connection reset"):
        run(tmp_path / "x", Server(cuts=[100_000, 0]))
    assert (tmp_path / "x.part").stat().st_size == 100_000
    server = Server()
    run(tmp_path / "x", server)
    assert server.asked == ["bytes=100000-"]
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_server_that_cannot_resume_is_read_from_the_start(tmp_path):
    (tmp_path / "x.part").write_bytes(CONTENT[:5000])
    run(tmp_path / "x", Server(ranges=False))
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_stale_part_does_not_spoil_the_download(tmp_path):
    (tmp_path / "x.part").write_bytes(b"of another file" * 100)
    server = Server()
    run(tmp_path / "x", server)
    assert server.asked == ["bytes=1500-", None]
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_wrong_md5_is_refused_and_leaves_nothing(tmp_path):
    wrong = CONTENT[:-1] + b"!"
    with pytest.raises(
        DataError, match=f"has md5 {hashlib.md5(wrong, usedforsecurity=False).hexdigest()} instead of {SOURCE.md5}"
    ):
        run(tmp_path / "x", Server(wrong))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_server_that_refuses_is_unreachable_with_its_answer(tmp_path, status):
    with pytest.raises(Unreachable, match=f"the server answers {status}"):
        run(tmp_path / "x", lambda request: httpx.Response(status))
    assert list(tmp_path.iterdir()) == []


def test_a_page_in_place_of_the_archive_is_unreachable(tmp_path):
    with pytest.raises(Unreachable, match="offers 13 bytes instead of 1,024,000"):
        run(tmp_path / "x", lambda request: httpx.Response(200, content=b"<html></html>"))


def test_no_network_is_found_out_while_a_name_server_hangs(tmp_path):
    release, answered = threading.Event(), threading.Event()

    def hang(request):
        release.wait(120)
        answered.set()
        raise httpx.ConnectError("too late")

    with pytest.raises(Unreachable, match="no answer within"):
        run(tmp_path / "x", hang, first_byte=0.3)
    assert not answered.is_set()
    release.set()


def test_a_server_that_falls_silent_is_given_up(tmp_path):
    release = threading.Event()

    class Silent(httpx.SyncByteStream):
        def __iter__(self):
            yield CONTENT[:100]
            release.wait(120)

    with pytest.raises(Unreachable, match="no answer"):
        run(tmp_path / "x", lambda request: httpx.Response(200, stream=Silent()), first_byte=0.3, stall=0.1)
    release.set()


def test_a_refused_connection_is_unreachable_at_once(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        source = Source(f"http://127.0.0.1:{taken.getsockname()[1]}/x", SOURCE.md5, SOURCE.size)
        with pytest.raises(Unreachable, match="no connection"):
            fetch(source, tmp_path / "x", lambda done, total: None)


def test_a_second_download_to_one_place_waits_for_the_first(tmp_path):
    place, part, told = tmp_path / "x", tmp_path / "x.part", []
    with part.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(CONTENT[:100])
        other.flush()

        def first_ends(done, total):
            told.append(done)
            part.replace(place)
            other.close()

        def ask(request):
            raise AssertionError("downloaded again")

        fetch(SOURCE, place, first_ends, transport=httpx.MockTransport(ask))

    assert told == [100]
    assert list(tmp_path.iterdir()) == [place]


def test_a_second_download_goes_on_where_the_first_one_failed(tmp_path):
    part, told = tmp_path / "x.part", []
    with part.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def first_fails(done, total):
            told.append(done)
            if not other.closed:
                part.unlink()
                other.close()

        fetch(SOURCE, tmp_path / "x", first_fails, transport=httpx.MockTransport(Server()))

    assert told[0] == 0
    assert (tmp_path / "x").read_bytes() == CONTENT
