"""A model server with no packages, for tests: SageMaker's HTTP contract around a folder of text files.

Files of the artifact steer it: `/ping` is 200 once `delay` seconds have passed; `fail` makes the start fail with its
text; `slow` is the seconds an answer takes. `/invocations` answers {"model": <text of `name`>, "bytes": n, "pid": ...};
the body b"raise" gives 500, b"die" ends the process, b"environment" shows the process's variables.
"""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL = Path(os.environ["SM_MODEL_DIR"])


def text(name: str, default: str = "") -> str:
    path = MODEL / name
    return path.read_text() if path.exists() else default


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one segment

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/ping" else 404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if body == b"die":
            os._exit(9)
        if body == b"raise":
            self.answer(500, {"error": "ValueError: this body raises"})
            return
        time.sleep(float(text("slow", "0")))
        answer = {
            "model": text("name"),
            "bytes": len(body),
            "pid": os.getpid(),
            "content_type": self.headers["content-type"],
            "accept": self.headers["accept"],
            "attributes": self.headers["x-amzn-sagemaker-custom-attributes"],
        }
        if body == b"environment":
            answer["environment"] = dict(os.environ)
        self.answer(200, answer)

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
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
    time.sleep(float(text("delay", "0")))
    print("model server ready", flush=True)
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    ThreadingHTTPServer((os.environ["SERVE_HOST"], port), Handler).serve_forever()
