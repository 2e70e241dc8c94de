"""The HTTP contract of the model server, over real sockets."""

import json
import socket

import pytest

VALID = b"\x89PNG fake"
HOST = b"Host: localhost\r\n"


def post(body, *lines):
    head = b"".join(line + b"\r\n" for line in (b"POST /invocations HTTP/1.1", b"Host: localhost", *lines))
    return head + b"\r\n" + body


def test_ping_is_healthy_once_a_worker_is_ready(server):
    status, headers, body = server.request("GET", "/ping")
    assert (status, headers["Content-Type"], json.loads(body)) == (200, "application/json", {"status": "Healthy"})


def test_a_batch_transform_job_is_told_how_much_it_may_send(server):
    status, headers, body = server.request("GET", "/execution-parameters")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == {"MaxConcurrentTransforms": 16, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 6}


def test_a_photo_is_answered_in_json_by_default(server):
    status, headers, body = server.invoke(b"value 51")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body)["predictions"][0]["probabilities"]["bicycle"] == pytest.approx(0.2)


def test_a_list_longer_than_a_batch_is_answered_whole_and_in_order(server):
    body = json.dumps({"instances": [{}] * 21})
    status, _, answer = server.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    assert status == 200
    assert len(json.loads(answer)["predictions"]) == 21


@pytest.mark.parametrize(
    ("accept", "written"),
    [
        ("text/csv", "text/csv"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/*", "text/csv"),
        ("application/json;q=0.1, text/csv", "text/csv"),
        ("image/png, application/json;q=0.5", "application/json"),
    ],
)
def test_the_answer_is_written_as_accept_asks(server, accept, written):
    status, headers, _ = server.invoke(VALID, Accept=accept)
    assert (status, headers["Content-Type"]) == (200, written)


@pytest.mark.parametrize("accept", ["image/png", "application/xml, text/html", "application/json;q=0"])
def test_an_accept_that_names_no_known_format_gets_406(server, accept):
    status, _, body = server.invoke(VALID, Accept=accept)
    assert status == 406
    assert "application/json or text/csv" in json.loads(body)["error"]


def test_every_answer_names_the_model(server):
    hashes = {server.request("GET", "/ping")[1]["X-Model-Sha256"], server.invoke(VALID)[1]["X-Model-Sha256"]}
    (digest,) = hashes
    assert len(digest) == 64
    assert server.invoke(b"garbage")[1]["X-Model-Version"] == digest[:12]
    assert digest in server.invoke(VALID)[1]["X-Amzn-SageMaker-Custom-Attributes"]


def test_the_version_can_be_given(start):
    one = start(MODEL_VERSION="7").ready()
    assert one.request("GET", "/ping")[1]["X-Model-Version"] == "7"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "expected"),
    [
        ("GET", "/nothing", {}, None, 404),
        ("POST", "/", {}, b"x", 404),
        ("POST", "/ping", {}, b"x", 405),
        ("GET", "/invocations", {}, None, 405),
        ("PUT", "/invocations", {}, b"x", 405),
        ("POST", "/execution-parameters", {}, b"x", 405),
        ("DELETE", "/metrics", {}, None, 405),
        ("POST", "/invocations", {"Content-Type": "image/png"}, b"", 400),
        ("POST", "/invocations", {"Content-Type": "image/png"}, b"not an image", 400),
        ("POST", "/invocations", {"Content-Type": "text/plain"}, VALID, 415),
        ("POST", "/invocations", {}, VALID, 415),
        ("POST", "/invocations", {"Content-Type": "image/png"}, b"raise-on-read", 500),
        ("POST", "/invocations", {"Content-Type": "image/png"}, b"raise-on-predict", 500),
        ("POST", "/invocations", {"Content-Type": "image/png"}, b"raise-on-write", 500),
        ("POST", "/invocations", {"Content-Type": "image/png"}, bytes(7_000_000), 413),
        ("GET", "/" + "a" * 20_000, {}, None, 431),
        ("GET", "/ping", {"X-Long": "a" * 20_000}, None, 431),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(server, method, path, headers, body, expected):
    status, answer_headers, answer = server.request(method, path, body, headers)
    assert (status, answer_headers["Content-Type"]) == (expected, "application/json")
    sentence = json.loads(answer)["error"]
    assert len(sentence.split()) > 3
    assert "Traceback" not in sentence
    assert "secret" not in sentence


def test_head_is_refused_without_a_body(server):
    status, headers, body = server.request("HEAD", "/ping")
    assert (status, headers["Allow"], body) == (405, "GET", b"")


def test_the_largest_allowed_body_is_read_whole(server):
    assert server.invoke(VALID.ljust(6_291_456, b"x"))[0] == 200


def test_one_byte_more_than_allowed_is_refused_although_it_comes_in_chunks(server):
    def chunks():
        for _ in range(6):
            yield bytes(1 << 20)
        yield b"x"

    connection = server.connect()
    connection.request("POST", "/invocations", chunks(), {"Content-Type": "image/png"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_chunked_body_is_put_together(server):
    connection = server.connect()
    connection.request(
        "POST", "/invocations", iter([b"val", b"ue", b" 51"]), {"Content-Type": "image/png"}, encode_chunked=True
    )
    response = connection.getresponse()
    assert response.status == 200
    assert json.loads(response.read())["predictions"][0]["probabilities"]["bicycle"] == pytest.approx(0.2)
    connection.close()


def test_a_connection_serves_many_requests_the_refused_ones_included(server):
    connection = server.connect()
    for body, expected in [(VALID, 200), (b"garbage", 400), (b"raise-on-predict", 500), (VALID, 200)] * 5:
        connection.request("POST", "/invocations", body, {"Content-Type": "image/png"})
        response = connection.getresponse()
        response.read()
        assert response.status == expected
    assert connection.sock is not None
    connection.close()


def test_pipelined_requests_are_answered_in_their_order(server):
    values = [3, 250, 51, 7, 102] * 8
    requests = b"".join(
        post(body, b"Content-Type: image/png", b"Accept: text/csv", b"Content-Length: %d" % len(body))
        for body in (b"value %d" % value for value in values)
    )
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(requests + b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    bodies = [part.split(b"\r\n\r\n", 1)[1] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
    assert [round(float(body.split(b",")[0]) * 255) for body in bodies[:-1]] == values
    assert b"Healthy" in bodies[-1]


def test_a_client_that_waits_for_100_continue_is_told_to_go_on(server):
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(post(b"", b"Content-Type: image/png", b"Content-Length: 8", b"Expect: 100-continue"))
        assert connection.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"value 51")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200")


def test_too_large_a_body_is_refused_before_100_continue(server):
    answer = server.raw(post(b"", b"Content-Length: 7000000", b"Expect: 100-continue"))
    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /ping\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /ping HTTP/3.7\r\nHost: a\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (post(b"x", b"Content-Length: -1"), 400),
        (post(b"x", b"Content-Length: 1", b"Content-Length: 2"), 400),
        (post(b"x", b"Content-Length: 99999999999999999999999"), 400),
        (post(b"x", b"Content-Length: 9999999999999"), 413),
        (post(b"0\r\n\r\n", b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
        (post(b"zz\r\nx\r\n", b"Transfer-Encoding: chunked"), 400),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    ],
)
def test_what_is_not_plain_http_is_answered_and_the_connection_ends(server, request_bytes, status):
    answer = server.raw(request_bytes)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close\r\n" in answer
    assert server.request("GET", "/ping")[0] == 200


def test_a_request_that_ends_in_the_middle_of_its_body_is_refused(server):
    answer = server.raw(post(b"short", b"Content-Type: image/png", b"Content-Length: 100"), shut=True)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"ended before it was complete" in answer


def test_a_client_that_shuts_its_side_after_asking_is_still_answered(server, tmp_path):
    body = b"hold %s" % bytes(tmp_path / "release")
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(post(body, b"Content-Type: image/png", b"Content-Length: %d" % len(body)))
        connection.shutdown(socket.SHUT_WR)
        (tmp_path / "release").touch()
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


def test_http_1_0_closes_unless_asked_to_stay(server):
    assert server.raw(b"GET /ping HTTP/1.0\r\n\r\n").endswith(b'{"status":"Healthy"}\n')
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        for _ in range(2):
            connection.sendall(b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert b"Connection: keep-alive\r\n" in connection.recv(4_096)


def test_an_absolute_target_and_a_query_are_understood(server):
    assert server.raw(b"GET http://x/ping?a=1 HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("request_line", [("GET", "/ping"), ("POST", "/invocations"), ("GET", "/metrics")])
def test_a_server_with_a_key_answers_who_has_it(start, request_line):
    one = start(SERVE_KEY="of-a-test").ready()
    sent = VALID if request_line[0] == "POST" else None
    for key, status in (("", 403), ("of-another-test", 403), ("of-a-test", 200)):
        assert one.request(*request_line, sent, {"Content-Type": "image/png", "X-Serve-Key": key})[0] == status
