"""Calls of Lambda workers that run Python: the thread that waits for the answer reads what was printed, too.

Unpatched, MiniStack reads each answer in one thread and each printed line in another, and waits up to 50 ms after each
invocation for lines that may still come. Here a worker marks the end of what it printed, and writes it before its
answer: an invocation wakes one thread once.
"""

import json
import os
import re
import select
import subprocess
import time
from typing import Any

from localcloud.ministack.private_names import find_names, need

_END = b"\x1elocalcloud-end-of-output\x1e"
_MARK = re.compile(re.escape(_END) + rb"([0-9]+)\n")
_QUIET_SECONDS = 0.02
"""How long only an answer is waited for. What is printed meanwhile stays in the pipe, which holds 64 KiB."""
_LOOK_SECONDS = 1.0
_OUTPUT_SECONDS = 2.0
_PIECE = 65_536
_READY = '        _real_stdout.write(json.dumps({"status": "ready", "cold": True})'
_AFTER_HANDLER = "        _real_stdout.flush()\n\nrun()"
_BEFORE_RUN = "\ndef run():\n"
_END_WITH_SERVER = """
import threading, time

def _end_with_server(server):
    while os.getppid() == server:
        time.sleep(1)
    os._exit(1)

threading.Thread(target=_end_with_server, args=(os.getppid(),), daemon=True).start()
"""
"""A worker that waits for its next event sees the end of the server by its pipe; one that calls a handler does not."""
_MARK_END = """
def _mark_end_of_output():
    try:
        status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.read(status, 4096).partition(b"VmHWM:")[2].split(None, 1)
        finally:
            os.close(status)
        if sys.stderr and not sys.stderr.closed:
            sys.stderr.flush()
        os.write(2, __END__ + (found[0] if found else b"0") + b"\\n")
    except OSError:
        pass  # it closed its standard error

"""


def install(runtime: Any) -> None:
    """Patch `ministack.core.lambda_runtime`: how workers of Python are called. PrivateNameError if it lacks a name.

    A worker that was called has `megabytes`, the most memory that it had resident so far.
    """
    find_names(
        runtime, "_PYTHON_WORKER_SCRIPT", "Worker._spawn", "Worker._read_stderr", "Worker.invoke", "_signal",
        "_collect", "_REAP_GRACE",
    )  # fmt: skip
    script: str = runtime._PYTHON_WORKER_SCRIPT
    for part in (_READY, _AFTER_HANDLER, _BEFORE_RUN):
        need(script.count(part.rstrip()) == 1, "lambda_runtime._PYTHON_WORKER_SCRIPT is written in another way")
    added = _END_WITH_SERVER + _MARK_END.replace("__END__", repr(_END))
    script = script.replace(_BEFORE_RUN, added + _BEFORE_RUN)
    for part in (_READY, _AFTER_HANDLER):
        script = script.replace(part, f"        _mark_end_of_output()\n{part}")
    runtime._PYTHON_WORKER_SCRIPT = script
    invoke, read_lines = runtime.Worker.invoke, runtime.Worker._read_stderr

    def invoke_python(worker: Any, event: Any, request_id: str, **about: Any) -> dict[str, Any]:
        """The answer of a worker to an event, with `log`, what it printed. One that fails or takes too long is ended.

        `about` is what the handler's context and variables are told; see MiniStack's Worker.invoke.
        """
        if not _is_python(worker):
            answer: dict[str, Any] = invoke(worker, event, request_id, **about)
            return answer
        with worker._lock:
            return _invoke(runtime, worker, event, request_id, **about)

    def read_until_ready(worker: Any) -> None:
        """In a thread, keep what a worker prints: of Python until it is ready, later it is read by who calls it."""
        if not _is_python(worker):
            read_lines(worker)
            return
        worker.printed = bytearray()
        while not _first(worker.printed) and (piece := os.read(worker._proc.stderr.fileno(), _PIECE)):
            worker.printed += piece

    runtime.Worker.invoke, runtime.Worker._read_stderr = invoke_python, read_until_ready


def _is_python(worker: Any) -> bool:
    return str(worker.config.get("Runtime", "")).startswith("python")


def _invoke(
    runtime: Any,
    worker: Any,
    event: Any,
    request_id: str,
    *,
    trace_id: str | None = None,
    depth: Any = None,
    durable: dict[str, Any] | None = None,
    invoked_function_arn: str | None = None,
) -> dict[str, Any]:
    """As `invoke_python`, for a worker whose lock the caller holds."""
    seconds = worker.config.get("Timeout", 30)
    arn = worker.config.get("FunctionArn", "") if invoked_function_arn is None else invoked_function_arn
    context = {
        "request_id": request_id, "invoked_function_arn": arn, "timeout_ms": int(float(seconds) * 1000),
        "trace_id": trace_id, "depth": depth, "durable": durable or {},
    }  # fmt: skip
    request = (json.dumps({"event": event, "ctx": context}) + "\n").encode()
    cold = worker._proc is None
    pipes = _start(runtime, worker) if cold else worker.pipes
    deadline = time.monotonic() + seconds
    try:
        try:
            pipes.send(request, deadline)
        except BrokenPipeError:
            # It ended since the last call.
            _end(runtime, worker)
            cold, pipes = True, _start(runtime, worker)
            deadline = time.monotonic() + seconds
            pipes.send(request, deadline)
        answer = pipes.receive(deadline)
        log, kilobytes = pipes.printed(_OUTPUT_SECONDS)
        worker.megabytes = kilobytes // 1024
    except TimeoutError:
        answer, log = {"status": "error", "error": f"Task timed out after {seconds}.00 seconds"}, pipes.printed(0)[0]
    except (EOFError, BrokenPipeError):
        answer, log = {"status": "error", "error": "Worker process died"}, pipes.printed(0)[0]
    if answer["status"] == "error":
        _end(runtime, worker)
    return {**answer, "cold_start": cold, "log": log}


def _start(runtime: Any, worker: Any) -> "Pipes":
    """Start the process of a worker; returns when it is ready."""
    try:
        worker._spawn()
    except BaseException:
        _end(runtime, worker)
        raise
    worker._cold = False
    worker._stderr_thread.join(_OUTPUT_SECONDS)
    worker.pipes = pipes = Pipes(worker._proc, worker.printed)
    return pipes


def _end(runtime: Any, worker: Any) -> None:
    """End the process of a worker; the next call starts one."""
    process, worker._proc = worker._proc, None
    runtime._signal(process)
    runtime._collect(process, time.monotonic() + runtime._REAP_GRACE)


class Pipes:
    """The pipes to and from the process of one worker. Used by one thread at a time."""

    def __init__(self, process: "subprocess.Popen[str]", printed: bytearray) -> None:
        """`printed` is what the process has printed so far."""
        # Holding the process keeps the descriptors open.
        self._process = process
        self._in, self._out, self._err = (
            pipe.fileno() for pipe in (process.stdin, process.stdout, process.stderr) if pipe is not None
        )
        for descriptor in (self._in, self._out, self._err):
            os.set_blocking(descriptor, False)
        self._writable, self._answered, self._anything = select.poll(), select.poll(), select.poll()
        self._writable.register(self._in, select.POLLOUT)
        self._answered.register(self._out, select.POLLIN)
        self._anything.register(self._out, select.POLLIN)
        self._anything.register(self._err, select.POLLIN)
        self._answer = bytearray()
        self._printed, self._printing = printed, True
        # What was printed before the first call belongs to its log; the mark that it is ready does not.
        if found := _first(printed):
            del printed[found.start() : found.end()]

    def send(self, request: bytes, deadline: float) -> None:
        """Write a line; `deadline` on the monotonic clock. TimeoutError, or BrokenPipeError if the process ended."""
        left = memoryview(request)
        while left:
            try:
                left = left[os.write(self._in, left) :]
            except BlockingIOError:
                if not self._writable.poll(_milliseconds(deadline)):
                    raise TimeoutError from None

    def receive(self, deadline: float) -> dict[str, Any]:
        """The next line that is an answer; others are of programs that write to the process's output.

        TimeoutError after the deadline, EOFError if the process ended.
        """
        self._answer.clear()
        looked = 0
        while True:
            while (end := self._answer.find(b"\n", looked)) >= 0:
                answer = _answer(self._answer[:end])
                del self._answer[: end + 1]
                looked = 0
                if answer is not None:
                    return answer
            looked = len(self._answer)
            ended = self._wait(deadline)
            piece = _read(self._out)
            if piece == b"" or (piece is None and ended):
                raise EOFError
            self._answer += piece or b""

    def _wait(self, deadline: float) -> bool:
        """Wait for a part of an answer, and keep what is printed meanwhile; whether the process has ended."""
        milliseconds = _milliseconds(deadline)
        if self._answered.poll(min(milliseconds, _QUIET_SECONDS * 1000)):
            return False
        if milliseconds == 0:
            raise TimeoutError
        self._keep_printed()
        self._anything.poll(min(_milliseconds(deadline), _LOOK_SECONDS * 1000))
        self._keep_printed()
        # Programs that it started may hold the pipes open.
        return self._process.poll() is not None

    def _keep_printed(self) -> None:
        """Read what was printed so far."""
        while piece := _read(self._err):
            self._printed += piece
        if piece == b"" and self._printing:
            self._printing = False
            self._anything.unregister(self._err)

    def printed(self, seconds: float) -> tuple[str, int]:
        """What was printed up to the mark of the end, without the last line's end, and the kilobytes that the mark has.

        All that is there, and 0, if no mark comes within so many seconds.
        """
        deadline, kilobytes = time.monotonic() + seconds, 0
        while not (found := _first(self._printed)):
            piece = _read(self._err)
            self._printed += piece or b""
            if piece == b"" or (piece is None and not self._wait_for_print(deadline)):
                break
        text = self._printed[: found.start()] if found else self._printed[:]
        if found:
            kilobytes = int(found[1])
        del self._printed[: found.end() if found else None]
        return text.decode(errors="replace").removesuffix("\n"), kilobytes

    def _wait_for_print(self, deadline: float) -> bool:
        """Wait until more was printed; False when the deadline is over."""
        poll = select.poll()
        poll.register(self._err, select.POLLIN)
        return bool(poll.poll(_milliseconds(deadline)))


def _first(printed: bytearray) -> "re.Match[bytes] | None":
    """The first mark of an end in what was printed."""
    return _MARK.search(printed)


def _answer(line: bytearray) -> dict[str, Any] | None:
    """The answer in a line; None if it is none."""
    try:
        answer = json.loads(line) if line.startswith(b"{") else None
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) and answer.get("status") in ("ok", "error") else None


def _read(descriptor: int) -> bytes | None:
    """What can be read at once; None if there is nothing now, no bytes at the end."""
    try:
        return os.read(descriptor, _PIECE)
    except BlockingIOError:
        return None


def _milliseconds(deadline: float) -> int:
    """From now to a time on the monotonic clock, for poll; 0 if that is over."""
    return max(0, -int((time.monotonic() - deadline) * 1000 // 1))
