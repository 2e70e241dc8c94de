"""Routes requests to /ping, /invocations, /execution-parameters and /metrics; limits the memory of request bodies."""

from __future__ import annotations

import hmac
import json
import logging
import time
from abc import ABC, abstractmethod

import httptools

from . import metrics as m
from .batcher import Batcher
from .exchange import Client, Exchange
from .negotiation import OFFERED, best
from .replies import Renderer, Reply, error
from .settings import Settings

log = logging.getLogger("modelserver")

METHODS = {"ping": "GET", "execution-parameters": "GET", "metrics": "GET", "invocations": "POST"}
_ROUTES = {f"/{route}".encode(): route for route in METHODS}
_MOST_UNDER_WAY = 100  # MB
HEALTHY = Reply(200, b'{"status":"Healthy"}\n')


class Application(ABC):
    """Shared by all connections of one process."""

    now = staticmethod(time.monotonic)

    def __init__(self, settings: Settings, metrics: m.Metrics, renderer: Renderer) -> None:
        self.settings = settings
        self.metrics = metrics
        self.renderer = renderer
        self.connections: set[Client] = set()
        self.held = 0  # bytes of bodies in memory
        self.stopping = False

    @abstractmethod
    def respond(self, exchange: Exchange) -> None:
        """Answer a complete request, now or later, through its connection."""

    # -- called by connections --------------------------------------------------------------------------------------

    def opened(self, connection: Client) -> None:
        """Note a new connection."""
        self.connections.add(connection)
        self.metrics.set(m.CONNECTIONS, len(self.connections))

    def closed(self, connection: Client) -> None:
        """Forget a connection that was closed."""
        self.connections.discard(connection)
        self.metrics.set(m.CONNECTIONS, len(self.connections))
        self.metrics.add(m.CLOSED)

    def precheck(self, exchange: Exchange) -> Reply | None:
        """Find the route of a request whose headers are here; the refusal, or None when its body may be read."""
        target = exchange.target
        key = self.settings.key.encode()
        if key and not hmac.compare_digest(exchange.key, key):
            return error(403, "the header X-Serve-Key does not hold the key of this server", close=True)
        route = _ROUTES.get(target) or _ROUTES.get(_path(target))
        if route is None:
            known = ", ".join(f"{method} /{route}" for route, method in METHODS.items())
            return error(404, f"there is only {known}")
        exchange.route = route
        if exchange.method != METHODS[route]:
            allow = METHODS[route]
            return error(405, f"/{route} takes {allow} only", extra=f"Allow: {allow}\r\n".encode())
        if exchange.length > self.settings.max_body:
            return self.too_large()
        if route == "invocations":
            accept = best(exchange.accept)
            if accept is None:
                return error(406, f"answers are written as {' or '.join(OFFERED)}; Accept names neither")
            exchange.accept = accept
            exchange.content_type = exchange.content_type.partition(";")[0].strip().lower()
        return None

    def hold(self, exchange: Exchange, size: int) -> Reply | None:
        """Take part of a body into memory, or refuse the request when too much is there already."""
        if self.held + size > self.settings.queue_bytes:
            self.release(exchange)
            return error(503, "too many bytes are waiting for the model; try again")
        self.held += size
        exchange.held += size
        return None

    def release(self, exchange: Exchange) -> None:
        """Drop the request's body, which no longer counts against the limit."""
        self.held -= exchange.held
        exchange.held = 0
        exchange.body = b""

    def too_large(self) -> Reply:
        """The refusal of a body over the limit; the connection ends, as the rest of the body is not read."""
        return error(413, f"the body is larger than {self.settings.max_body} bytes", close=True)

    def count(self, exchange: Exchange, reply: Reply) -> None:
        """Count an answered request, and how long it took."""
        self.metrics.request(exchange.route, reply.status)
        if exchange.route == "invocations" and exchange.complete_at:
            self.metrics.seconds(self.now() - exchange.complete_at)


class Waiting(Application):
    """The supervisor's application, which answers while no worker takes connections: 503, and the metrics."""

    reason = "the model is loading"

    def respond(self, exchange: Exchange) -> None:
        """Answer and close the connection: the client's next one may find a worker."""
        if exchange.route == "metrics":
            reply = Reply(200, self.metrics.render(), m.CONTENT_TYPE, close=True)
        else:
            reply = error(503, f"no worker can answer: {self.reason}", close=True)
        exchange.connection.answer(exchange, reply)


class Serving(Application):
    """A worker's application: the model is loaded."""

    def __init__(self, settings: Settings, metrics: m.Metrics, renderer: Renderer, batcher: Batcher) -> None:
        super().__init__(settings, metrics, renderer)
        self.batcher = batcher

    def respond(self, exchange: Exchange) -> None:
        """Answer a complete request at once where that needs no model, else queue it for the model."""
        if exchange.route == "invocations":
            reply = self._enqueue(exchange)
            if reply is None:
                return
        elif exchange.route == "ping":
            reply = HEALTHY
        elif exchange.route == "execution-parameters":
            reply = Reply(200, json.dumps(execution_parameters(self.settings)).encode())
        else:
            reply = Reply(200, self.metrics.render(), m.CONTENT_TYPE)
        exchange.connection.answer(exchange, reply)

    def _enqueue(self, exchange: Exchange) -> Reply | None:
        """Queue a request for the model; return the refusal of an empty body or a full queue, else None."""
        if not exchange.body:
            return error(400, "the body is empty; send a photo")
        waiting = self.batcher.waiting()
        if waiting >= self.settings.queue:
            return error(503, f"{waiting} requests are waiting for the model already; try again")
        self.batcher.submit(exchange)
        return None

    def answered(self, replies: list[tuple[Exchange, Reply]]) -> None:
        """Hand on the model's answers to a batch; called on the event loop."""
        for exchange, reply in replies:
            exchange.connection.answer(exchange, reply)

    def tick(self) -> None:
        """Enforce the time limits and update the gauges; called a few times a second."""
        now = self.now()
        self.metrics.set(m.QUEUED, self.batcher.waiting())
        self.metrics.set(m.HEARTBEAT, now)
        for connection in list(self.connections):
            connection.tick(now)
            for exchange in list(connection.owed):
                if exchange.complete_at and now - exchange.complete_at > self.settings.request_seconds:
                    reason = f"the model was not free within {self.settings.request_seconds:g} s"
                    connection.answer(exchange, self._unanswered(exchange, reason))

    def give_up(self) -> None:
        """Answer all requests without the model: it hangs, and this process is about to end."""
        for connection in list(self.connections):
            for exchange in list(connection.owed):
                connection.answer(exchange, self._unanswered(exchange, "the model hangs and its worker is replaced"))

    def _unanswered(self, exchange: Exchange, reason: str) -> Reply:
        """The answer to a request that the model had too long, or that was queued for it, for this reason in vain."""
        if exchange in self.batcher.running:
            return error(504, f"the model did not answer within {self.settings.request_seconds:g} s")
        return error(503, f"{reason}; try again")


def execution_parameters(settings: Settings) -> dict[str, str | int]:
    """What a batch transform job asks for before it starts: how much of what it may send at a time.

    One photo a request, as many requests as the workers take in one call each. SageMaker refuses more than 100 MB
    under way. https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
    """
    payload = max(1, settings.max_body >> 20)  # MB; a photo that fits into it is accepted
    wanted = settings.worker_count * settings.max_batch
    return {
        "MaxConcurrentTransforms": max(1, min(wanted, _MOST_UNDER_WAY // payload)),
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": payload,
    }


def _path(target: bytes) -> bytes:
    try:
        return bytes(httptools.parse_url(target).path or b"")
    except httptools.HttpParserInvalidURLError:
        return b""
