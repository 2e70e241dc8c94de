"""A model server with no packages, for tests: SageMaker's HTTP contract around a folder of text files.

Files of the artifact steer it: `fail` makes the start fail with its text; with `gate`, which holds a port, it starts
once the gate of a test at that port is open (tests/waiting.py); `slow` is the seconds an answer takes. `/invocations`
answers {"model": <text of `name`>, "bytes": n, "server": its PID namespace, its number in there and its start}; the
body b"raise" gives 500, b"die" ends the process, b"environment" shows the process's variables and how many processes
it sees, b"exists PATH" whether it sees a file, b"connect PORT" whether it reaches a port of 127.0.0.1; b"wait PORT" is
answered once the gate at that port is open. With `content_type` the answer has that type, and with `raises` it is
always 500.

With SAGEMAKER_MULTI_MODEL it serves several models: POST and DELETE of /models, and /models/NAME/invoke. A model with
`fail` is not loaded; one with `huge` is loaded only while no other model is (507 otherwise). "history" in an answer is
what was loaded (+name) and unloaded (-name).
"""

import contextlib
import json
import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL = Path(os.environ["SM_MODEL_DIR"])
HISTORY: list[str] = []
MODELS: dict[str, Path] | None = {} if os.environ.get("SAGEMAKER_MULTI_MODEL") else None
STARTED = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
SERVER = f"{Path('/proc/self/ns/pid').readlink()} {os.getpid()} {STARTED}"


def text(name: str, default: str = "", model: Path = MODEL) -> str:
    path = model / name
    return path.read_text() if path.exists() else default


def pass_gate(port: str) -> None:
    with contextlib.suppress(OSError):  # it is open
        socket.create_connection(("127.0.0.1", int(port))).recv(1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one segment

    def parse_request(self) -> bool:
        """Refuse a request without the key of this server."""
        if not super().parse_request():
            return False
        known = self.headers.get("x-serve-key") == os.environ["SERVE_KEY"]
        if not known:
            self.answer(403, {})
            self.close_connection = True
        return known

    def do_GET(self) -> None:
        if self.path == "/models" and MODELS is not None:
            self.answer(200, {"models": [{"modelName": name, "modelUrl": str(MODELS[name])} for name in MODELS]})
        else:
            self.answer(200 if self.path == "/ping" else 404, {})

    def do_DELETE(self) -> None:
        gone = (MODELS or {}).pop(self.path.rpartition("/")[2], None)
        if gone is not None:
            HISTORY.append(f"-{text('name', model=gone)}")
        self.answer(404 if gone is None else 200, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if MODELS is None:
            self.invoke(body, MODEL)
        elif self.path == "/models":
            self.load(**json.loads(body))
        else:
            self.invoke(body, MODELS[self.path.split("/")[2]])

    def load(self, model_name: str, url: str) -> None:
        """Load a model, or refuse it as the files in it say."""
        assert MODELS is not None
        model = Path(url)
        if text("fail", model=model):
            self.answer(500, {"error": text("fail", model=model)})
        elif text("huge", model=model) and MODELS:
            self.answer(507, {"error": "out of memory"})
        else:
            MODELS[model_name] = model
            HISTORY.append(f"+{text('name', model=model)}")
            self.answer(200, {})

    def invoke(self, body: bytes, model: Path) -> None:
        """Answer with what was received; a file of the model or the body asks for faults."""
        if body == b"die":
            os._exit(9)
        if body == b"raise" or text("raises", model=model):
            self.answer(500, {"error": "ValueError: this body raises"})
            return
        time.sleep(float(text("slow", "0", model)))
        if body.startswith(b"wait "):
            pass_gate(body[5:].decode())
        answer = {
            "model": text("name", model=model),
            "bytes": len(body),
            "server": SERVER,
            "content_type": self.headers["content-type"],
            "accept": self.headers["accept"],
            "attributes": self.headers["x-amzn-sagemaker-custom-attributes"],
            "history": HISTORY,
            "target": self.headers["x-amzn-sagemaker-target-model"],
            "before": body.decode("utf-8", "replace") if body.startswith(b"{") else None,
        }
        if body == b"environment":
            answer["environment"] = dict(os.environ)
            answer["processes"] = sum(entry.name.isdigit() for entry in Path("/proc").iterdir())
        if body.startswith(b"exists "):
            answer["exists"] = Path(body[7:].decode()).exists()
        if body.startswith(b"connect "):
            with socket.socket() as probe:
                answer["connected"] = probe.connect_ex(("127.0.0.1", int(body[8:]))) == 0
        self.answer(200, answer, text("content_type", "application/json", model))

    def answer(self, status: int, body: object, content_type: str = "application/json") -> None:
        """Send a body as JSON."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(data)))
        self.send_header("x-amzn-sagemaker-custom-attributes", "from the model")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        print(f"served {self.path}", flush=True)


if __name__ == "__main__":
    if text("fail"):
        print("loading the model", flush=True)
        sys.exit(text("fail"))
    if text("gate"):
        pass_gate(text("gate"))
    print("model server ready", flush=True)
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    ThreadingHTTPServer((os.environ["SERVE_HOST"], port), Handler).serve_forever()
