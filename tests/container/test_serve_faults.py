"""What goes wrong around the model server: loading, dying workers, hanging handlers, overload, stopping."""

import contextlib
import json
import os
import shutil
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

VALID = b"\x89PNG fake"


def hold(release, size=0):
    """The body of a request that the handler keeps until this file is there, filled up to `size` bytes."""
    return (b"hold %s" % os.fsencode(release)).ljust(size)


def test_ping_and_photos_get_503_while_the_model_loads(start, tmp_path):
    one = start(FAKE_LOAD=tmp_path / "release")
    for method, path, body in [("GET", "/ping", None), ("POST", "/invocations", VALID)]:
        status, headers, answer = one.request(method, path, body, {"Content-Type": "image/png"})
        assert (status, headers["Retry-After"], headers["Connection"]) == (503, "1", "close")
        assert "loading" in json.loads(answer)["error"]
    (tmp_path / "release").touch()
    one.ready()
    assert one.request("GET", "/ping")[0] == 200


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "model_fn failed: RuntimeError: weights are missing"),
        ("die", "a worker died while it loaded the model (exit code 3)"),
    ],
)
def test_a_model_that_does_not_load_ends_the_server_with_the_reason(start, how, reason):
    one = start(FAKE_LOAD=how)
    assert one.ended() == 1
    assert one.log.splitlines()[-1].endswith(reason)


def test_an_artifact_without_a_handler_ends_the_server_with_the_reason(start, tmp_path):
    one = start(model=tmp_path)
    assert one.ended() == 1
    assert one.log.splitlines()[-1].endswith(f"the model artifact in {tmp_path} has no code/inference.py")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def model_fn(d): ...", "code/inference.py lacks input_fn, predict_fn, output_fn"),
        ("import os; os.abort()", "the process that imports the handler died (code -6)"),
    ],
)
def test_a_broken_handler_ends_the_server_with_the_reason(start, tmp_path, code, reason):
    (tmp_path / "code").mkdir()
    (tmp_path / "code/inference.py").write_text(code)
    one = start(model=tmp_path)
    assert one.ended() == 1
    assert reason in one.log.splitlines()[-1]


def test_a_port_in_use_is_named(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        one = start(SAGEMAKER_BIND_TO_PORT=port)
        assert one.ended() == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in one.log.splitlines()[-1]


def test_a_dead_worker_is_replaced_and_takes_only_its_own_requests_with_it(start, tmp_path):
    one = start().ready()
    with ThreadPoolExecutor(8) as pool:
        # Least connections, turns among equals: of eight connections, four are the other worker's.
        held = one.hold(pool, hold(tmp_path / "release"), 8)
        victim = one.workers()[0]
        os.kill(victim, signal.SIGKILL)
        (tmp_path / "release").touch()
        outcomes = []
        for request in held:
            try:
                outcomes.append(request.result()[0])
            except OSError:
                outcomes.append("lost")
    # The connections that asked for metrics took turns as well, so it may be one more or one fewer.
    assert outcomes.count("lost") in (3, 4, 5)
    assert outcomes.count("lost") + outcomes.count(200) == 8
    one.wait_for(lambda: len(one.workers()) == 3)
    assert f"worker process {victim} ended: killed by SIGKILL" in one.log
    metrics = one.metrics()
    assert metrics["model_server_workers_replaced_total"] == 1
    assert metrics["model_server_workers_ready"] == 2


def test_a_request_that_kills_its_worker_does_not_end_the_server(start):
    one = start().ready()
    for killed in range(1, 4):
        with pytest.raises(OSError):
            one.invoke(b"die")
        one.wait_for(lambda ready=2 + killed: len(one.workers()) == ready)
    assert one.invoke(VALID)[0] == 200


def test_a_dead_loader_is_replaced_and_its_workers_go_on(start):
    one = start().ready()
    loader = int(Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children").read_text(encoding="utf-8"))
    os.kill(loader, signal.SIGKILL)
    one.wait_for(lambda: one.log.count("is imported") == 2)
    assert one.invoke(VALID)[0] == 200
    os.kill(one.workers()[0], signal.SIGKILL)
    one.wait_for(lambda: len(one.workers()) == 3)
    assert one.invoke(VALID)[0] == 200


def test_a_worker_that_cannot_be_replaced_leaves_the_others_serving(start, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(Path(__file__).parent / "fake_artifact", model)
    (model / "code/inference.py").write_text(
        (model / "code/inference.py")
        .read_text()
        .replace("def model_fn(model_dir):", "def model_fn(model_dir):\n    open(model_dir + '/weights').close()")
    )
    (model / "weights").touch()
    one = start(model=model).ready()
    (model / "weights").unlink()
    os.kill(one.workers()[0], signal.SIGKILL)
    one.wait_for(lambda: "could not be replaced: model_fn failed" in one.log)
    assert one.request("GET", "/ping")[0] == 200


def test_a_handler_that_hangs_gets_504_and_its_worker_is_replaced(start):
    one = start(SERVE_WORKERS="1", SERVE_REQUEST_SECONDS="2").ready()
    with ThreadPoolExecutor(2) as pool:
        (hung,) = one.hold(pool, hold("never"), 1)
        queued = pool.submit(one.invoke, VALID)
        assert hung.result()[0] == 504
        later = one.invoke(VALID)  # its own time is not up when the worker is given up
        status, headers, _ = queued.result()
        assert (status, headers["Retry-After"]) == (503, "1")
        assert later[0] in (503, 200)  # 200 if the new worker was faster than this request
    one.wait_for(lambda: len(one.workers()) == 2)
    assert one.invoke(VALID)[0] == 200


def test_a_stopped_worker_gives_no_sign_of_life_and_is_replaced(start):
    one = start(SERVE_WORKERS="1", SERVE_REQUEST_SECONDS="2").ready()
    os.kill(one.workers()[0], signal.SIGSTOP)
    one.wait_for(lambda: len(one.workers()) == 2)
    assert one.invoke(VALID)[0] == 200


def test_a_full_queue_gets_503_with_retry_after(start, tmp_path):
    one = start(SERVE_WORKERS="1", SERVE_QUEUE="3", SERVE_MAX_BATCH="1").ready()
    body = hold(tmp_path / "release")
    with ThreadPoolExecutor(4) as pool:
        accepted = one.hold(pool, body, 4)
        refused = [one.invoke(body)[:2] for _ in range(8)]
        (tmp_path / "release").touch()
        assert [request.result()[0] for request in accepted] == [200] * 4
    assert [(status, headers["Retry-After"]) for status, headers in refused] == [(503, "1")] * 8


def test_bodies_beyond_the_memory_limit_get_503(start, tmp_path):
    one = start(SERVE_WORKERS="1", SERVE_QUEUE_BYTES=1 << 20, SERVE_MAX_BATCH="1").ready()
    body = hold(tmp_path / "release", 400_000)
    with ThreadPoolExecutor(2) as pool:
        accepted = one.hold(pool, body, 2)
        assert [one.invoke(body)[0] for _ in range(2)] == [503, 503]
        (tmp_path / "release").touch()
        assert [request.result()[0] for request in accepted] == [200, 200]
    assert one.invoke(VALID.ljust(900_000))[0] == 200  # what was held is given back


def test_connections_beyond_the_limit_get_503(start):
    one = start(SERVE_WORKERS="1", SERVE_CONNECTIONS="4").ready()
    open_ones = [socket.create_connection(("127.0.0.1", one.port), 5) for _ in range(4)]
    status, headers, body = one.request("GET", "/ping")
    assert (status, headers["Retry-After"]) == (503, "1")
    assert "limit of connections" in json.loads(body)["error"]
    for connection in open_ones:
        connection.close()
    one.wait_for(lambda: one.request("GET", "/ping")[0] == 200)


@pytest.mark.parametrize(
    ("limit", "sent", "status", "reason"),
    [
        (
            "SERVE_HEADER_SECONDS",
            b"GET /ping HTTP/1.1\r\nHost: x\r\n",
            b"408",
            b"the headers did not arrive in 0.3 s",
        ),
        (
            "SERVE_BODY_SECONDS",
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nval",
            b"408",
            b"the body did not arrive in 0.3 s",
        ),
        ("SERVE_IDLE_SECONDS", b"", b"", b""),
    ],
)
def test_a_client_that_dawdles_is_sent_away(start, limit, sent, status, reason):
    one = start(**{limit: "0.3"}).ready()
    answer = one.raw(sent)  # fails if the server leaves the connection open
    assert answer[9:12] == status
    assert reason in answer


def test_a_client_that_never_reads_its_answers_is_dropped(start):
    one = start(SERVE_BODY_SECONDS="0.5").ready()
    with socket.create_connection(("127.0.0.1", one.port), 60) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        with pytest.raises(ConnectionError):  # first the server stops reading, then it drops the connection
            connection.sendall(request * 2_000_000)
        one.wait_for(lambda: one.metrics()["model_server_connections"] == 1)


def _begin_stop(one, connection):
    """SIGTERM; return once the worker that has this connection knows of it, and so ends the connection."""
    one.process.send_signal(signal.SIGTERM)
    with contextlib.suppress(OSError):  # it was idle for too long
        while True:
            connection.request("GET", "/ping")
            response = connection.getresponse()
            response.read()
            if response.headers["Connection"] == "close":
                return


def test_on_sigterm_what_was_accepted_is_answered(start, tmp_path):
    one = start().ready()
    with ThreadPoolExecutor(12) as pool, contextlib.closing(one.connect()) as idle:
        held = one.hold(pool, hold(tmp_path / "release"), 12)
        idle.request("GET", "/ping")
        idle.getresponse().read()
        workers = one.workers()
        _begin_stop(one, one.connect())
        (tmp_path / "release").touch()
        assert one.ended() == 0
        assert [request.result()[0] for request in held] == [200] * 12
    assert one.log.splitlines()[-1].endswith("stopped")
    _await_their_end(workers)


def test_on_sigterm_a_pipeline_is_answered_to_its_end(start, tmp_path):
    one = start(SERVE_WORKERS="1").ready()
    body = hold(tmp_path / "release")
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", one.port), 60) as connection:
        connection.sendall(head + body)
        one.in_the_model(1)
        connection.sendall((head + body) * 4)
        one.queued(4)
        _begin_stop(one, one.connect())
        (tmp_path / "release").touch()
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    assert answer.count(b"HTTP/1.1 200 OK") == 5
    assert answer.count(b"Connection: close") == 1


def test_a_stop_does_not_wait_for_ever(start):
    one = start(SERVE_STOP_SECONDS="0.3", SERVE_REQUEST_SECONDS="600").ready()
    with ThreadPoolExecutor(1) as pool:
        (hung,) = one.hold(pool, hold("never"), 1)
        one.stop()  # fails if the server waits for the answer
        with pytest.raises(OSError):
            hung.result()
    assert "1 requests were not answered" in one.log


def test_workers_end_when_the_supervisor_is_killed(start):
    one = start().ready()
    workers = one.workers()
    one.process.kill()
    one.process.wait()
    _await_their_end(workers)


def test_the_counters_are_what_the_clients_saw(start):
    one = start().ready()
    for body, times in [(VALID, 7), (b"garbage", 3), (b"raise-on-predict", 2)]:
        for _ in range(times):
            one.invoke(body)
    one.request("GET", "/ping")
    metrics = one.metrics()
    seen = {
        status: metrics[f'model_server_requests_total{{route="invocations",status="{status}"}}']
        for status in (200, 400, 500)
    }
    assert seen == {200: 7, 400: 3, 500: 2}
    assert metrics['model_server_requests_total{route="ping",status="200"}'] == 1
    assert metrics["model_server_request_seconds_count"] == 12
    assert metrics["model_server_batch_images_sum"] == 7
    assert metrics['model_server_resident_memory_bytes{process="worker-2"}'] > 1e6


def test_counters_survive_the_death_of_a_worker(start):
    one = start().ready()
    for _ in range(10):
        one.invoke(VALID)
    for worker in one.workers():
        os.kill(worker, signal.SIGKILL)
    one.wait_for(lambda: len(one.workers()) == 4)
    assert one.metrics()['model_server_requests_total{route="invocations",status="200"}'] == 10


def _await_their_end(processes):
    """Return once none of the processes is left; whoever adopted them may collect them a moment after their end."""
    end = time.monotonic() + 60
    while any(Path(f"/proc/{process}").exists() for process in processes):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_connections_are_shared_evenly(start):
    one = start().ready()
    connections = [one.connect() for _ in range(30)]
    for connection in connections:
        connection.request("GET", "/ping")
        connection.getresponse().read()
    first, second = (_sockets(worker) for worker in one.workers())
    assert first + second >= 30
    assert abs(first - second) <= 1
    for connection in connections:
        connection.close()


def _sockets(process):
    """How many sockets a process has open."""
    found = 0
    for entry in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            found += "socket" in str(entry.readlink())
    return found
