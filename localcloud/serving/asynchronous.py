"""InvokeEndpointAsync: keeps a request, invokes the endpoint when there is room, and writes what it answers to S3.

A request is in the store when it is accepted, and leaves it when its result is in S3: none is lost, and after a kill
one may be invoked twice. Source: "Asynchronous inference" in SageMaker's developer guide.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.api import ApiError
from localcloud.cloud import Cloud
from localcloud.serving.deployment import VariantSpec
from localcloud.state import s3_addresses

logger = logging.getLogger("localcloud")

Document = dict[str, Any]
KIND = "async-invocation"
MOST_BYTES = 1_073_741_824
_SECONDS = 900
_TTL_SECONDS = 21_600
_AT_ONCE = 4
# Members of the request that are sent to the container.
_PASSED = ("ContentType", "Accept", "CustomAttributes", "InferenceId")

Invoke = Callable[[str, dict[str, str], bytes, float], Awaitable[tuple[dict[str, str], bytes]]]
"""Invokes an endpoint with members and a body; the last argument is how many seconds the container has."""


class AsyncInvoker:
    """The asynchronous requests of all endpoints. Used from the event loop only."""

    def __init__(
        self, cloud: Cloud, invoke: Invoke, s3_as: Callable[[str | None], Any], stopping: Callable[[], bool]
    ) -> None:
        self._cloud, self._invoke, self._s3_as, self._stopping = cloud, invoke, s3_as, stopping
        self._tasks: set[asyncio.Task[None]] = set()
        self._room: dict[str, asyncio.Semaphore] = {}

    def accept(self, endpoint: str, members: Document, config: Document | None, variant: VariantSpec) -> Document:
        """Keep a request; the members of the answer. ApiError if the endpoint is not asynchronous."""
        if config is None:
            raise ApiError(
                "ValidationError", f"Endpoint {endpoint} is not asynchronous: it has no AsyncInferenceConfig."
            )
        output, identifier = config["OutputConfig"], str(uuid.uuid4())
        # A client may give a folder and a file name of its own.
        folder = "/".join(filter(None, [output["S3OutputPath"].rstrip("/"), members.get("S3OutputPathExtension")]))
        request = {
            "Id": identifier,
            "EndpointName": endpoint,
            "Members": members,
            "RoleArn": variant.role_arn,
            "OutputLocation": f"{folder.rstrip('/')}/{members.get('Filename') or f'{identifier}.out'}",
            "Notifications": output.get("NotificationConfig", {}),
            "AtOnce": config.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", _AT_ONCE)
            * variant.count,
            "Time": self._cloud.clock(),
        }
        if output.get("S3FailurePath"):
            request["FailureLocation"] = f"{output['S3FailurePath'].rstrip('/')}/{identifier}-error.out"
        self._cloud.store.insert(KIND, identifier, request)
        self._start(request)
        inference = members.get("InferenceId") or identifier
        return {
            "InferenceId": inference,
            "OutputLocation": request["OutputLocation"],
            "FailureLocation": request.get("FailureLocation"),
        }

    def resume(self) -> None:
        """Go on with the requests that an earlier local cloud has accepted; called once endpoints are known."""
        for request in self._cloud.store.documents(KIND):
            self._start(request)

    async def close(self) -> None:
        """Stop working; requests without a result stay in the store."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, request: Document) -> None:
        task = asyncio.create_task(self._run(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, request: Document) -> None:
        """Answer one accepted request when its endpoint has room, write the response or failure, forget the request.

        If its server is stopped meanwhile the request is kept for the next start.
        """
        room = self._room.setdefault(request["EndpointName"], asyncio.Semaphore(request["AtOnce"]))
        async with room:
            try:
                answer_type, answer = await self._answer(request)
                await asyncio.to_thread(self._put, request, request["OutputLocation"], answer, answer_type)
                failure = None
            except ApiError as error:
                failure = error.message
            except (ClientError, BotoCoreError) as error:
                failure = str(error)
            except Exception as error:
                logger.exception("asynchronous request %s failed", request["Id"])
                failure = f"{type(error).__name__}: {error}"
            if failure is not None and self._stopping():
                # Its server was stopped: it is invoked again at the next start.
                return
            try:
                await asyncio.to_thread(self._tell, request, failure)
            except (ClientError, BotoCoreError) as error:
                logger.warning("the end of asynchronous request %s could not be told: %s", request["Id"], error)
            self._cloud.store.delete(KIND, request["Id"])

    async def _answer(self, request: Document) -> tuple[str, bytes]:
        """Send a stored request to the endpoint; returns content type and body. ApiError if it failed or expired."""
        members = request["Members"]
        if self._cloud.clock() > request["Time"] + members.get("RequestTTLSeconds", _TTL_SECONDS):
            raise ApiError("ValidationError", "The request waited longer than RequestTTLSeconds.")
        body = await asyncio.to_thread(self._input, request)
        passed = {name: members[name] for name in _PASSED if name in members}
        seconds = float(members.get("InvocationTimeoutSeconds", _SECONDS))
        headers, answer = await self._invoke(request["EndpointName"], passed, body, seconds)
        return headers["Content-Type"], answer

    # In threads

    def _input(self, request: Document) -> bytes:
        """Read the stored request's input from S3; ApiError when it is too long."""
        bucket, key = s3_addresses.split(request["Members"]["InputLocation"])
        answer = self._s3_as(request["RoleArn"]).get_object(Bucket=bucket, Key=key)
        if answer["ContentLength"] > MOST_BYTES:
            raise ApiError("ValidationError", f"The input is longer than {MOST_BYTES:,} bytes.")
        body: bytes = answer["Body"].read()
        return body

    def _put(self, request: Document, uri: str, body: bytes, content_type: str) -> None:
        bucket, key = s3_addresses.split(uri)
        self._s3_as(request["RoleArn"]).put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def _tell(self, request: Document, failure: str | None) -> None:
        """Write the failure to S3 and notify the topic that the configuration names."""
        if failure is not None and "FailureLocation" in request:
            self._put(request, request["FailureLocation"], failure.encode(), "text/plain")
        topic = request["Notifications"].get("SuccessTopic" if failure is None else "ErrorTopic")
        if topic is None:
            return
        message = {
            "awsRegion": self._cloud.settings.region,
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
            "invocationStatus": "Completed" if failure is None else "Failed",
            "requestParameters": {
                "endpointName": request["EndpointName"],
                "inputLocation": request["Members"]["InputLocation"],
            },
            "inferenceId": request["Members"].get("InferenceId") or request["Id"],
            **({"failureReason": failure} if failure is not None else {}),
            "responseParameters": {
                "outputLocation" if failure is None else "failureLocation": request["OutputLocation"]
                if failure is None
                else request.get("FailureLocation")
            },
        }
        self._cloud.client("sns").publish(TopicArn=topic, Message=json.dumps(message))
