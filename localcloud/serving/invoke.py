"""InvokeEndpoint and InvokeEndpointAsync of the SageMaker runtime, answered by model servers."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Mapping
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from botocore.model import Shape

from localcloud.api import ApiError
from localcloud.api.asgi import Receive, Scope, Send
from localcloud.api.shapes import check_member, service_model
from localcloud.cloud import Cloud
from localcloud.containers import ServedModel
from localcloud.serving import asynchronous, serverless
from localcloud.serving.answers import AT_ONCE, MOST_BYTES, Limits, LostError, Target
from localcloud.serving.asynchronous import AsyncInvoker
from localcloud.serving.capture import Captured, wanted
from localcloud.serving.fleet import Fleet
from localcloud.serving.instance import Instance
from localcloud.serving.manager import Manager
from localcloud.serving.variant import Variant

if TYPE_CHECKING:
    from localcloud.serving.exchange import Exchange

# A server that ended is restarted within seconds: up to this many requests wait for it, up to this many seconds.
_WAIT_SECONDS = 30.0
_MOST_WAITING = 256
_MOST_SHADOWS = 64
# Captured requests up to this many bytes are written on the event loop: quicker than handing them to a thread.
_WRITTEN_AT_ONCE = 262_144
_DYING_SECONDS = 0.1
REFUSED = ("EnableExplanations", "InferenceComponentName", "SessionId", "PrefixAwareId")
_PASSED = {
    "CustomAttributes": "X-Amzn-SageMaker-Custom-Attributes",
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
    "ContentType": "Content-Type",
    "Accept": "Accept",
}


@cache
def _headers(operation: str) -> dict[str, tuple[str, Shape]]:
    """Name and shape of the members that an operation takes as headers, by the header's name in small letters."""
    members = service_model("sagemaker-runtime").operation_model(operation).input_shape.members
    return {
        member.serialization["name"].lower(): (name, member)
        for name, member in members.items()
        if member.serialization.get("location") == "header"
    }


class Invoker:
    """Answers `POST /endpoints/NAME/invocations`, and `.../async-invocations`."""

    def __init__(self, cloud: Cloud, manager: Manager) -> None:
        self._cloud = cloud
        self._manager = manager
        self.asynchronous = AsyncInvoker(cloud, self._invoke_async, manager.s3_as, lambda: manager.stopping)
        self._waiting = 0
        self._shadows: set[asyncio.Task[None]] = set()

    @cached_property
    def _exchange(self) -> "Exchange":
        """The connections to model servers, made at the first request: the client they need is slow to import."""
        from localcloud.serving.exchange import Exchange

        return Exchange()

    async def __call__(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to the endpoint `name` (percent-encoded)."""
        try:
            endpoint = unquote(name)
            operation = "InvokeEndpointAsync" if scope["path"].endswith("/async-invocations") else "InvokeEndpoint"
            members = self._members(scope, operation)
            body = await _body(scope, receive)
            self._cloud.identities.admit(scope, body, operation, {"EndpointName": endpoint})
            if operation == "InvokeEndpointAsync":
                status = 202
                headers, answer = await self._accept(endpoint, members)
            else:
                status = 200
                headers, answer = await self._invoke(endpoint, members, body)
        except ApiError as error:
            status = error.status
            answer = json.dumps({"Message": error.message, **error.members}).encode()
            headers = {"Content-Type": "application/json"}
            if error.code:
                headers["x-amzn-ErrorType"] = error.code
        raw = [(key.lower().encode("latin-1"), value.encode("latin-1", "replace")) for key, value in headers.items()]
        raw += [(b"content-length", str(len(answer)).encode()), (b"x-amzn-requestid", str(uuid.uuid4()).encode())]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": answer})

    async def close(self) -> None:
        """Stop with asynchronous requests, and close the connections to the servers."""
        await self.asynchronous.close()
        if "_exchange" in vars(self):
            await self._exchange.close()

    async def _accept(self, endpoint: str, members: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        """Store a request of InvokeEndpointAsync; returns the headers and body of the response (status 202).

        The headers name the S3 addresses where its result, or its failure, will be. ApiError for an invalid request.
        """
        if not members.get("InputLocation", "").startswith("s3://"):
            raise _invalid("InvokeEndpointAsync needs InputLocation, an address such as s3://bucket/key.")
        fleet, variant, _ = await self._choose(endpoint, None)
        accepted = self.asynchronous.accept(endpoint, members, fleet.async_config, variant.spec)
        headers = {"Content-Type": "application/json"}
        for member in ("OutputLocation", "FailureLocation"):
            if accepted[member] is not None:
                headers[f"X-Amzn-SageMaker-{member}"] = accepted[member]
        return headers, json.dumps({"InferenceId": accepted["InferenceId"]}).encode()

    async def _invoke_async(
        self, endpoint: str, members: dict[str, str], body: bytes, seconds: float
    ) -> tuple[dict[str, str], bytes]:
        return await self._invoke(endpoint, members, body, Limits(asynchronous.MOST_BYTES, seconds))

    def _members(self, scope: Scope, operation: str) -> dict[str, Any]:
        """Return the request's members sent as headers, validated against botocore's model; ApiError if invalid."""
        members: dict[str, Any] = {}
        problems = []
        for raw, value in scope["headers"]:
            known = _headers(operation).get(raw.decode("latin-1").lower())
            if known is not None:
                name, shape = known
                text = value.decode("latin-1")
                members[name] = int(text) if shape.type_name == "integer" and text.isdecimal() else text
                problems += check_member(shape, members[name], name)
        if problems:
            plural = "s" if len(problems) > 1 else ""
            raise _invalid(f"{len(problems)} validation error{plural} detected: {'; '.join(problems)}")
        for name in REFUSED:
            if name in members:
                raise _invalid(f"The local cloud does not implement {name}; leave it out.")
        return members

    async def _invoke(
        self, endpoint: str, members: dict[str, str], body: bytes, limits: Limits = AT_ONCE
    ) -> tuple[dict[str, str], bytes]:
        """Send a request to an instance; returns headers and body of the response. ApiError on failure."""
        target = Target(members.get("TargetModel"), members.get("TargetContainerHostname"))
        choose = partial(self._choose, endpoint, members.get("TargetVariant"), target.model)
        fleet, variant, instance = await choose()
        if fleet.async_config is not None and limits is AT_ONCE:
            raise _invalid(f"Endpoint {endpoint} is asynchronous: use InvokeEndpointAsync.")
        serverless.check_load(variant.spec.serverless, sum(one.busy for one in variant.instances), len(body))
        sent = {_PASSED[name]: value for name, value in members.items() if name in _PASSED}
        sent.setdefault("Content-Type", "application/octet-stream")
        started, begun = time.time(), time.perf_counter()
        lost = 0
        while True:
            self._check_target(endpoint, variant.spec, target)
            sending = time.perf_counter()
            try:
                answer = await self._exchange.send(instance, sent, body, limits, target)
                break
            except LostError as error:
                if error.refused:
                    # Connection refused: the server did not get the request.
                    instance.healthy = False
                    fleet, variant, instance = await choose()
                    continue
                lost += 1
                if lost == 1 and error.ended:
                    # The server of a kept connection has ended. A prediction has no side effects, so it is sent once
                    # more, after a pause in which the end of a killed process becomes visible.
                    await asyncio.sleep(_DYING_SECONDS)
                    if not instance.alive:
                        instance.healthy = False
                    fleet, variant, instance = await choose()
                    continue
                now = time.perf_counter()
                self._manager.metrics.put(endpoint, variant.name, 0, now - sending, now - begun)
                raise self._model_error(endpoint, 0, _broken(error), error.container) from error
        now = time.perf_counter()
        self._manager.metrics.put(endpoint, variant.name, answer.status, now - sending, now - begun)
        if answer.status >= 400:
            said = answer.body[:100_000].decode("utf-8", "replace")
            raise self._model_error(endpoint, answer.status, said, answer.container)
        await self._capture(endpoint, fleet, variant, members, body, (answer.content_type, answer.body), started)
        for shadow in fleet.shadow():
            self._start_shadow(endpoint, fleet, shadow, members, sent, body)
        headers = {"Content-Type": answer.content_type, "x-Amzn-Invoked-Production-Variant": variant.name}
        attributes = answer.headers.get("X-Amzn-SageMaker-Custom-Attributes")
        if attributes is not None:
            headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
        return headers, answer.body

    def _check_target(self, endpoint: str, model: ServedModel, target: Target) -> None:
        """ApiError if a request must name a model or a container and does not, or names one that is not there."""
        if target.model is not None and not model.several:
            raise _invalid(
                f"Endpoint {endpoint} is not a multi-model endpoint and does not support target model header."
            )
        if target.model is None and model.several:
            raise _invalid(f"Request {uuid.uuid4()} is missing a target model header: give TargetModel.")
        names = [container.name for container in model.containers]
        if target.container is not None and not model.direct:
            raise _invalid(
                f"Endpoint {endpoint} is not configured for direct invocation and does not support target container "
                "hostname header."
            )
        if model.direct and target.container is None:
            raise _invalid(
                f"Endpoint {endpoint} is configured for direct invocation: give TargetContainerHostname, one of "
                f"{', '.join(names)}."
            )
        if target.container is not None and target.container not in names:
            raise _invalid(
                f"Container {target.container} of endpoint {endpoint} not found; there are: {', '.join(names)}."
            )

    async def _capture(
        self,
        endpoint: str,
        fleet: Fleet,
        variant: Variant,
        members: Mapping[str, str],
        body: bytes,
        answered: tuple[str, bytes],
        started: float,
    ) -> None:
        """Store request and response for data capture if they are sampled; ApiError (503) if the disk takes no more."""
        if fleet.capture is None or not wanted(fleet.capture):
            return
        deadline = time.monotonic() + _WAIT_SECONDS
        while self._manager.recorder.full:
            if time.monotonic() > deadline:
                sentence = "Captured requests cannot be written to the disk: free some space, or disable data capture."
                raise ApiError("ServiceUnavailable", sentence, 503)
            await asyncio.sleep(0.01)
        captured = Captured(
            endpoint=endpoint,
            variant=variant.name,
            role=variant.spec.role_arn,
            config=fleet.capture,
            content_type=members.get("ContentType", "application/octet-stream"),
            body=body,
            answer_type=answered[0],
            answer=answered[1],
            inference_id=members.get("InferenceId"),
            time=started,
        )
        if captured.size < _WRITTEN_AT_ONCE:
            self._manager.recorder.put(captured)
        else:
            await asyncio.to_thread(self._manager.recorder.put, captured)

    def _start_shadow(
        self, endpoint: str, fleet: Fleet, shadow: Variant, members: dict[str, str], sent: dict[str, str], body: bytes
    ) -> None:
        """Send a copy to a shadow variant without waiting for it; no copy if 64 are already in progress."""
        chosen = shadow.pick()
        if chosen is None or len(self._shadows) >= _MOST_SHADOWS:
            return

        async def run(instance: Instance) -> None:
            """Send the copy, record its metrics, and capture its answer."""
            started, sending = time.time(), time.perf_counter()
            status, answered = 0, ("", b"")
            # A failure is recorded in the shadow's metrics only.
            with contextlib.suppress(LostError):
                answer = await self._exchange.send(instance, sent, body)
                status, answered = answer.status, (answer.content_type, answer.body)
            seconds = time.perf_counter() - sending
            self._manager.metrics.put(endpoint, shadow.name, status, seconds, seconds)
            if 0 < status < 400:
                await self._capture(endpoint, fleet, shadow, members, body, answered, started)

        task = asyncio.create_task(run(chosen))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def _choose(
        self, endpoint: str, target: str | None, model: str | None = None
    ) -> tuple[Fleet, Variant, Instance]:
        """Return a healthy instance for the request, best one that has loaded `model`.

        Waits up to 30 s for one being restarted. ApiError if there is none.
        """
        deadline = time.monotonic() + _WAIT_SECONDS
        waiting = False
        try:
            while True:
                fleet = self._manager.fleet_of(endpoint)
                if fleet is None and self._manager.stopping:
                    raise _unavailable(endpoint, "the local cloud is stopping")
                if fleet is None and not self._manager.awaited(endpoint):
                    raise _invalid(f"Endpoint {endpoint} of account {self._cloud.settings.account} not found.")
                if fleet is not None:
                    try:
                        variant, instance = fleet.choose(target, model)
                    except KeyError:
                        raise _invalid(f"Variant {target} of endpoint {endpoint} not found.") from None
                    if instance is not None:
                        return fleet, variant, instance
                if not waiting:
                    if self._waiting >= _MOST_WAITING:
                        raise _unavailable(endpoint, "too many requests wait for it")
                    self._waiting += 1
                    waiting = True
                if time.monotonic() > deadline:
                    raise _unavailable(endpoint, f"none started within {_WAIT_SECONDS:.0f} s")
                await asyncio.sleep(0.02)
        finally:
            self._waiting -= waiting

    def _model_error(self, endpoint: str, status: int, text: str, container: str) -> ApiError:
        """ModelError (424) with what the container said."""
        settings = self._cloud.settings
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        side = "client" if 400 <= status < 500 else "server"
        return ApiError(
            "ModelError",
            f'Received {side} error ({status}) from {container} with message "{text}". '
            f"See the log group {group} in account {settings.account} for more information.",
            424,
            OriginalStatusCode=status,
            OriginalMessage=text,
            LogStreamArn=f"arn:aws:logs:{settings.region}:{settings.account}:log-group:{group}",
        )


def _broken(error: LostError) -> str:
    if isinstance(error.cause, TimeoutError):
        return f"Your invocation timed out while waiting for a response from container {error.container}."
    said = str(error.cause) or type(error.cause).__name__
    return f"The container closed the connection before it answered ({said})."


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationError", message)


def _unavailable(endpoint: str, why: str) -> ApiError:
    return ApiError("ServiceUnavailable", f"Endpoint {endpoint} has no healthy server now: {why}.", 503)


async def _body(scope: Scope, receive: Receive) -> bytes:
    """Read the whole body; ApiError 413, as AWS has it, as soon as it is longer than 6,291,456 bytes."""
    headers = dict(scope["headers"])
    if int(headers.get(b"content-length", b"0") or b"0") > MOST_BYTES:
        raise _too_long()
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _invalid("The connection was closed before the body was whole.")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MOST_BYTES:
            raise _too_long()
        if not message.get("more_body"):
            return b"".join(chunks)


def _too_long() -> ApiError:
    return ApiError("", f"HTTP content length exceeded {MOST_BYTES} bytes.", 413)
