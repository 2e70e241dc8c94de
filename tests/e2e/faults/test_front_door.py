"""What the local cloud adds to a request: photos to the model server's own port, and through InvokeEndpoint.

The milliseconds go into the table. What is held to a limit is the processor time of the local cloud's own process,
which depends little on how busy the machine is.
"""

import http.client
import statistics
import time
from typing import Any

import psutil
import pytest

from tests.e2e.faults.table import Figure
from tests.fakes.signing import signed

pytestmark = pytest.mark.faults

ROUNDS, EACH = 10, 60
MOST_PROCESSOR_MILLISECONDS = 6.0  # measured: 1.8 to 2.7 on 2 cores, under a load of 8


def test_the_front_door_takes_at_most_six_milliseconds_of_a_processor(site: Any) -> None:
    site.wait_served("good")
    [server] = site.server_pids()
    below = psutil.Process(server).children(recursive=True)
    key = next(found for process in below if (found := process.environ().get("SERVE_KEY")))
    [listening] = {
        connection.laddr
        for process in below
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    ways = {
        "direct": (http.client.HTTPConnection("127.0.0.1", listening.port), "/invocations"),
        "through": (http.client.HTTPConnection("127.0.0.1", site.bay.port), "/endpoints/loadingbay/invocations"),
    }
    photos = list(site.photos.values())
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    processor = 0.0
    # In turn, so that whatever else the machine does falls on both.
    for _ in range(ROUNDS):
        for way, (connection, path) in ways.items():
            before = _processor_seconds(server)
            for number in range(EACH):
                seconds[way].append(_ask(site.bay, connection, path, photos[number % len(photos)], key))
            processor += _processor_seconds(server) - before if way == "through" else 0.0
    for connection, _ in ways.values():
        connection.close()

    direct, through = (statistics.median(seconds[way]) * 1000 for way in ways)
    each = processor * 1000 / (ROUNDS * EACH)
    site.table.figures += [
        Figure("added by the local front door at p50, one connection, capture on", through - direct, "ms"),
        Figure("processor time of the local cloud for each of these requests", each, "ms"),
    ]
    assert each <= MOST_PROCESSOR_MILLISECONDS


def _processor_seconds(process: int) -> float:
    """The seconds of a processor that a process has used, without its children."""
    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)


def _ask(bay: Any, connection: http.client.HTTPConnection, path: str, photo: bytes, key: str) -> float:
    """Ask for one photo over this connection, with the key of the model server; the seconds that the answer took."""
    url = f"http://{connection.host}:{connection.port}{path}"
    headers = signed(bay.secret, "POST", url, photo, {"Content-Type": "image/png", "X-Serve-Key": key})
    began = time.perf_counter()
    connection.request("POST", path, photo, headers)
    answer = connection.getresponse()
    body = answer.read()
    took = time.perf_counter() - began
    assert answer.status == 200, body
    return took
