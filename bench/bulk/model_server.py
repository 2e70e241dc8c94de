"""A model server that answers at once, for `run.py`: four of five answers are sure, the fifth is not."""

import itertools
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_COUNT = itertools.count()


def _body(confidence: float) -> bytes:
    probabilities = {"bicycle": confidence, "motorcycle": round(1 - confidence, 2)}
    prediction = {"label": "bicycle", "confidence": confidence, "probabilities": probabilities}
    return json.dumps({"predictions": [prediction], "threshold": 0.8, "model": {}}).encode()


SURE, UNSURE = _body(0.95), _body(0.5)


class Handler(BaseHTTPRequestHandler):
    """SageMaker's contract of containers: /ping and /invocations."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one segment

    def do_GET(self) -> None:
        """/ping."""
        self._answer(b"{}")

    def do_POST(self) -> None:
        """/invocations."""
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(UNSURE if next(_COUNT) % 5 == 4 else SURE)

    def _answer(self, body: bytes) -> None:
        """Send a JSON body with status 200."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing is logged."""


if __name__ == "__main__":
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    ThreadingHTTPServer((os.environ["SERVE_HOST"], port), Handler).serve_forever()
