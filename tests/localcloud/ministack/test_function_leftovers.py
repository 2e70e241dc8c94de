"""No process of a function outlives the local cloud, however that ends."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import psutil

from tests.localcloud.conftest import gone, has_ended
from tests.waiting import soon

HANDLERS = {
    "calls": "def handler(event, context):\n    while True: pass\n",
    "starts": "import time\ntime.sleep(300)\ndef handler(event, context): pass\n",
    "ignores": "import signal, time\nsignal.signal(15, signal.SIG_IGN)\ndef handler(*_): time.sleep(300)\n",
    "leaves": (
        "import subprocess\ndef handler(event, context):\n"
        "    subprocess.Popen(['sleep', '300'], start_new_session=True).wait()\n"
    ),
}


def invoke(cloud: Any) -> dict[str, int]:
    """Have each function do what does not end; its processes, as in `processes_of`."""
    functions = cloud.client("lambda")
    for name, handler in HANDLERS.items():
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("app.py", handler)
        functions.create_function(
            FunctionName=name, Runtime="python3.11", Handler="app.handler", Timeout=900,
            Role="arn:aws:iam::000000000000:role/any", Code={"ZipFile": archive.getvalue()},
        )  # fmt: skip
        functions.invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    return processes_of(cloud)


def processes_of(cloud: Any) -> dict[str, int]:
    """The process of each function by its name, and `sleep`, which one starts, once all are there."""
    found: dict[str, int] = {}

    def all_there() -> bool:
        for process in psutil.Process(cloud.process.pid).children(recursive=True):
            words = " ".join(process.cmdline())
            for name in (*HANDLERS, "sleep 300"):
                if name in words:
                    found[name] = process.pid
        return len(found) == len(HANDLERS) + 1

    soon(all_there)
    return found


def test_the_end_of_a_local_cloud_ends_its_functions(own_cloud: Callable[[], Any]) -> None:
    cloud = own_cloud()
    processes = invoke(cloud)
    assert set(processes) == {*HANDLERS, "sleep 300"}
    cloud.kill()

    started = processes.pop("sleep 300")
    assert [name for name, process in processes.items() if not gone(process)] == []
    # Nothing but a mark tells of what a function started.
    assert not has_ended(started)
    cloud = own_cloud()
    assert gone(started)

    # They are invoked again after the kill, since they were given events.
    processes = processes_of(cloud)
    assert set(processes) == {*HANDLERS, "sleep 300"}
    assert cloud.stop() == 0

    assert [name for name, process in processes.items() if not gone(process)] == []
