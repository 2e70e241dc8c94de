"""What the local cloud adds to a request: photos to the model server's own port, and through InvokeEndpoint.

The milliseconds go into the table. What is held to a limit is the processor time of the local cloud's own process,
beside that of the model server for the same photo: their ratio depends little on the machine and on what else it does.
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
MOST_OF_THE_MODELS = 1.0


def test_the_front_door_takes_less_of_a_processor_than_the_model(site: Any) -> None:
    site.wait_served("good")
    [server] = site.server_pids()
    cloud, below = psutil.Process(site.cloud_pid()), psutil.Process(server).children(recursive=True)
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
    used = {"cloud": 0.0, "model": 0.0}
    # In turn, so that whatever else the machine does falls on both.
    for _ in range(ROUNDS):
        for way, (connection, path) in ways.items():
            measured, processes = ("cloud", [cloud]) if way == "through" else ("model", below)
            before = _processor_seconds(processes)
            for number in range(EACH):
                seconds[way].append(_ask(site.bay, connection, path, photos[number % len(photos)], key))
            used[measured] += _processor_seconds(processes) - before
    for connection, _ in ways.values():
        connection.close()

    direct, through = (statistics.median(seconds[way]) * 1000 for way in ways)
    cloud_each, model_each = (used[of] * 1000 / (ROUNDS * EACH) for of in ("cloud", "model"))
    site.table.figures += [
        Figure("added by the local front door at p50, one connection, capture on", through - direct, "ms"),
        Figure("processor time of the local cloud for each of these requests", cloud_each, "ms"),
        Figure("processor time of the model server for each of these photos", model_each, "ms"),
    ]
    # Nothing at all would be another process's time.
    assert 0 < cloud_each <= MOST_OF_THE_MODELS * model_each


def _processor_seconds(processes: list[psutil.Process]) -> float:
    """The seconds of a processor that these processes have used, without their children."""
    times = [process.cpu_times() for process in processes]
    return float(sum(time.user + time.system for time in times))


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
