"""The parts of the model server, each alone: settings, accept, replies, batches, counters, connections."""

import asyncio
import itertools
import os
from dataclasses import fields
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.modelserver import metrics as m
from container.modelserver.application import Application, execution_parameters
from container.modelserver.batcher import Batcher
from container.modelserver.connection import MAX_HEADERS, Connection, State
from container.modelserver.exchange import Exchange
from container.modelserver.handler import Handler, fingerprint, probe
from container.modelserver.negotiation import best
from container.modelserver.replies import Renderer, Reply, error
from container.modelserver.settings import Settings, SettingsError, cores, describe, from_environment

# -- batch transform --------------------------------------------------------------------------------------------------


@given(workers=st.integers(1, 256), batch=st.integers(1, 1024), body=st.integers(1, 1 << 30))
def test_a_transform_job_never_has_more_under_way_than_sagemaker_takes(workers, batch, body):
    said: dict[str, Any] = execution_parameters(Settings(workers=workers, max_batch=batch, max_body=body))
    concurrent, payload = said["MaxConcurrentTransforms"], said["MaxPayloadInMB"]
    assert concurrent >= 1
    assert concurrent == 1 or concurrent * payload <= 100
    assert payload == 1 or payload << 20 <= body
    assert concurrent <= workers * batch


# -- settings ---------------------------------------------------------------------------------------------------------


def test_unset_and_empty_variables_keep_their_defaults():
    assert from_environment({"SERVE_WORKERS": "", "SERVE_HOST": " "}) == Settings()


def test_each_variable_sets_its_field():
    values = {"SM_MODEL_DIR": "/m", "SAGEMAKER_BIND_TO_PORT": "81", "SERVE_QUEUE": "5", "SERVE_STOP_SECONDS": "1.5"}
    settings = from_environment(values)
    assert (settings.model_dir, settings.port, settings.queue, settings.stop_seconds) == ("/m", 81, 5, 1.5)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "70000", "whole number from 0 to 65535"),
        ("SERVE_QUEUE", "many", "whole number from 1 to 100000"),
        ("SERVE_QUEUE", "1.5", "whole number"),
        ("SERVE_REQUEST_SECONDS", "nan", "a number from 0.05"),
        ("SERVE_REQUEST_SECONDS", "-1", "a number from 0.05"),
        ("MODEL_VERSION", "1\r\nX-Evil: 1", "printable ASCII"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(variable, value, said):
    with pytest.raises(SettingsError, match=variable) as problem:
        from_environment({variable: value})
    assert said in str(problem.value)


def test_help_lists_every_variable():
    text = describe()
    assert all(item.metadata["variable"] in text for item in fields(Settings))


@pytest.mark.parametrize(("quota", "expected"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None)])
def test_the_container_s_quota_bounds_the_cores(tmp_path, quota, expected):
    (tmp_path / "cpu.max").write_text(quota)
    assert cores(tmp_path / "cpu.max") == (expected or len(os.sched_getaffinity(0)))


# -- accept, replies, artifact ----------------------------------------------------------------------------------------


@given(st.text(alphabet=st.characters(max_codepoint=255)))
def test_any_accept_header_is_judged_without_an_error(accept):
    assert best(accept) in (None, "application/json", "text/csv")


def test_503_says_when_to_come_back():
    assert b"Retry-After: 1\r\n" in Renderer().render(error(503, "later"), keep_alive=True)


def test_an_error_with_line_breaks_and_quotes_is_json():
    rendered = Renderer().render(error(400, 'a "b"\r\nX-Evil: 1'), keep_alive=True)
    head, body = rendered.split(b"\r\n\r\n", 1)
    assert b"Evil" not in head
    assert body == b'{"error": "a \\"b\\"\\r\\nX-Evil: 1"}\n'


def test_the_fingerprint_is_of_contents_and_names_without_byte_code(tmp_path):
    (tmp_path / "a").write_text("x")
    first = fingerprint(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/c.pyc").write_text("y")
    assert fingerprint(tmp_path) == first
    (tmp_path / "a").rename(tmp_path / "b")
    second = fingerprint(tmp_path)
    (tmp_path / "b").write_text("z")
    assert len({first, second, fingerprint(tmp_path)}) == 3


# -- batches ----------------------------------------------------------------------------------------------------------


class Dummy:
    """A connection that nobody writes to."""


def exchange(body, accept="application/json"):
    one = Exchange(cast("Any", Dummy()))
    one.body, one.content_type, one.accept = body, "image/png", accept
    return one


class Recorder:
    """A handler: each byte of the body is one image of that value; 255 upsets the network, 0 is not an image."""

    def __init__(self):
        self.sizes = []

    def read(self, body, content_type):
        if 0 in body:
            raise ValueError("zero is not an image")
        side = 2 if body.startswith(b"\x07") else 3
        return np.stack([np.full((side, side, 3), value, np.uint8) for value in body])

    def predict(self, images):
        self.sizes.append(len(images))
        if (images == 255).any():
            raise RuntimeError("255")
        return images[:, 0, 0, :2].astype(np.float32)

    def write(self, rows, accept):
        return bytes(rows[:, 0].astype(np.uint8)), accept

    def batcher(self, max_batch=8):
        handler = Handler(self.read, self.predict, self.write, KeyError)
        return Batcher(handler, max_batch, lambda images: None)


bodies = st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=12)


@given(bodies, st.integers(1, 9))
def test_in_any_batch_each_request_gets_its_own_answer(batch, limit):
    handler = Recorder()
    exchanges = [exchange(body) for body in batch]
    answers = dict(handler.batcher(limit).answer(exchanges))
    assert set(answers) == set(exchanges)
    for one, body in zip(exchanges, batch, strict=True):
        reply = answers[one]
        if 0 in body:
            assert (reply.status, b"zero is not an image" in reply.body) == (400, True)
        elif 255 in body:
            assert reply.status == 500
        else:
            assert (reply.status, reply.body) == (200, body)
    assert max(handler.sizes, default=0) <= limit


def test_requests_that_queued_meanwhile_become_one_call():
    handler = Recorder()
    handler.batcher().answer([exchange(b"\x01"), exchange(b"\x02"), exchange(b"\x03\x04")])
    assert handler.sizes == [4]


def test_who_left_is_not_worked_for():
    handler, delivered = Recorder(), []
    batcher = handler.batcher()
    gone, here = exchange(b"\x01"), exchange(b"\x02")
    gone.abandoned = True
    batcher.submit(gone)
    batcher.submit(here)
    batcher.stop()
    batcher._deliver = delivered.extend
    batcher._run()
    assert [(one, reply.body) for one, reply in delivered] == [(here, b"\x02")]


def test_an_input_fn_that_gives_no_images_is_the_handler_s_fault():
    handler = Recorder()
    handler.read = lambda body, content_type: np.zeros((0, 3, 3, 3), np.uint8)
    ((_, reply),) = handler.batcher().answer([exchange(b"\x01")])
    assert reply.status == 500


def test_the_probe_is_a_photo():
    import cv2

    pixels = cv2.imdecode(np.frombuffer(probe(), np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (32, 32, 3)
    assert (pixels == 128).all()


# -- counters ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def table():
    descriptor = m.create(2)
    yield [m.Metrics(descriptor, row) for row in range(3)]
    os.close(descriptor)


def test_rows_are_summed_and_buckets_are_cumulative(table):
    _, first, second = table
    first.request("invocations", 200)
    second.request("invocations", 200)
    second.batch(1)
    first.batch(3)
    first.batch(100)
    text = table[0].render().decode()
    assert 'model_server_requests_total{route="invocations",status="200"} 2.0' in text
    assert 'model_server_batch_images_bucket{le="2.0"} 1.0' in text
    assert 'model_server_batch_images_bucket{le="4.0"} 2.0' in text
    assert 'model_server_batch_images_bucket{le="+Inf"} 3.0' in text
    assert "model_server_batch_images_sum 104.0" in text


def test_a_dead_worker_s_gauges_go_and_its_counters_stay(table):
    supervisor, worker, _ = table
    worker.set(m.READY, 1)
    worker.request("ping", 200)
    supervisor.clear_gauges(1)
    text = supervisor.render().decode()
    assert "model_server_workers_ready 0.0" in text
    assert 'model_server_requests_total{route="ping",status="200"} 1.0' in text


# -- connections ------------------------------------------------------------------------------------------------------


class Transport(asyncio.Transport):
    """What a connection writes; no network."""

    def __init__(self):
        self.written, self.ended, self.reading = b"", False, True

    def write(self, data):
        assert not self.ended
        self.written += data

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.ended = True

    def close(self):
        self.ended = True

    abort = close

    def is_closing(self):
        return False

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


class Echo(Application):
    """Answers each photo with its own body, at once or when `answer_all` is called."""

    def __init__(self, table, later=False):
        super().__init__(Settings(max_body=1_000), table[1], Renderer())
        self.later = [] if later else None

    def respond(self, exchange):
        """Answer with the request's body, at once or, with `later`, when the test does it."""
        reply = Reply(200, bytes(exchange.body) or b"-")
        if self.later is None:
            exchange.connection.answer(exchange, reply)
        else:
            self.later.append((exchange, reply))

    def answer_all(self, order):
        for index in order:
            one, reply = self.later[index]
            one.connection.answer(one, reply)


def connect(application):
    connection, transport = Connection(application), Transport()
    connection.connection_made(transport)
    return connection, transport


def request(body, *lines):
    head = [b"POST /invocations HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def split(written):
    return [part.split(b"\r\n\r\n", 1)[1] for part in written.split(b"HTTP/1.1 200 OK")[1:]]


def pieces(data, cuts):
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a != b]


payloads = st.lists(st.text("ab", min_size=1, max_size=30).map(str.encode), min_size=1, max_size=6)


@given(payloads, st.lists(st.integers(0, 10_000), max_size=8), st.randoms(use_true_random=False))
def test_answers_keep_the_order_of_requests_and_no_body_is_kept(bodies, cuts, random):
    descriptor = m.create(1)
    application = Echo([m.Metrics(descriptor, 0), m.Metrics(descriptor, 1)], later=True)
    connection, transport = connect(application)
    for piece in pieces(b"".join(map(request, bodies)), cuts):
        connection.data_received(piece)
    order = list(range(len(bodies)))
    random.shuffle(order)
    application.answer_all(order)
    assert split(transport.written) == bodies
    assert (application.held, connection.state, transport.ended) == (0, State.IDLE, False)
    os.close(descriptor)


@given(st.binary(max_size=400), st.lists(st.integers(0, 10_000), max_size=4))
def test_any_bytes_leave_a_connection_that_waits_or_has_refused(data, cuts):
    _feed(pieces(data, cuts))


@given(
    st.lists(st.sampled_from([b"a", b"abc", b"a" * 50]), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=6),
    st.lists(st.integers(0, 10_000), max_size=4),
)
def test_spoilt_requests_leave_a_connection_that_waits_or_has_refused(bodies, changes, cuts):
    data = bytearray(b"".join(map(request, bodies)))
    for position, value in changes:
        data[position % len(data)] = value
    _feed(pieces(bytes(data), cuts))


def _feed(parts):
    """Give the bytes to a connection in these parts; nothing may be held once it is lost."""
    descriptor = m.create(1)
    application = Echo([m.Metrics(descriptor, 0), m.Metrics(descriptor, 1)])
    connection, transport = connect(application)
    for part in parts:
        connection.data_received(part)
    if transport.ended:
        assert connection.state is State.LINGER
        assert application.held == 0
    connection.connection_lost(None)
    assert application.held == 0
    assert not application.connections
    os.close(descriptor)


def test_headers_without_an_end_are_refused(table):
    connection, transport = connect(Echo(table))
    connection.data_received(b"GET /ping HTTP/1.1\r\nX: ")
    for _ in range(MAX_HEADERS // 1_000 + 1):
        connection.data_received(b"a" * 1_000)
    assert transport.written.startswith(b"HTTP/1.1 431")


def test_trailers_without_an_end_are_refused(table):
    connection, transport = connect(Echo(table))
    connection.data_received(
        b"POST /invocations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: "
    )
    for _ in range(30):
        connection.data_received(b"a" * 1_000)
    assert transport.written.startswith(b"HTTP/1.1 413")


def test_a_long_pipeline_stops_the_reading_until_answers_are_out(table):
    application = Echo(table, later=True)
    connection, transport = connect(application)
    connection.data_received(request(b"x") * 20)
    assert not transport.reading
    application.answer_all(range(20))
    assert transport.reading
    assert split(transport.written) == [b"x"] * 20


def test_a_client_that_leaves_gives_back_what_it_held(table):
    application = Echo(table, later=True)
    connection, _ = connect(application)
    connection.data_received(request(b"x" * 100) + request(b"y" * 500)[:-10])
    assert application.held == 590
    connection.connection_lost(None)
    assert application.held == 0
    assert application.later[0][0].abandoned
