"""What checking a signed request costs the local cloud's port, in microseconds: `.venv/bin/python bench/front.py`.

Signed requests of several sizes go through the port's ASGI application into an application that answers at once, in one
process without a network. What that application alone takes is subtracted. Reported are the median and the 99th
percentile of 5,000 requests each. Nothing else should be running.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from localcloud.http.front import Front
from localcloud.http.signature import Key

SECRET = "of forty characters" * 2
CASES = (
    ("SageMaker, 100 B", "sagemaker", SigV4Auth, 100),
    ("SageMaker, 50 KB (a pipeline's definition)", "sagemaker", SigV4Auth, 50_000),
    ("S3 put, 100 B", "s3", S3SigV4Auth, 100),
    ("S3 put, 8 MiB (a part of a large object)", "s3", S3SigV4Auth, 8 * 1024 * 1024),
)
TIMES = 5000


async def answers(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """An application that reads one message and answers."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def definition(size: int) -> bytes:
    """A request of about `size` bytes whose pipeline definition has many brackets, as those of the SDK have."""
    step = {"Name": "step", "Type": "Processing", "Arguments": {"Inputs": [{"S3Input": {"S3Uri": "s3://bucket/key"}}]}}
    steps = [step] * (size // len(json.dumps(step)))
    return json.dumps({"PipelineName": "name", "PipelineDefinition": json.dumps({"Steps": steps})}).encode()


def request(service: str, signer: Any, body: bytes) -> dict[str, Any]:
    """A signed request as an ASGI scope."""
    headers = {"Content-Length": str(len(body)), "User-Agent": "Boto3/1.43.106"}
    if service != "s3":
        headers |= {"X-Amz-Target": "SageMaker.CreatePipeline", "Content-Type": "application/x-amz-json-1.1"}
    made = AWSRequest(
        "POST" if service != "s3" else "PUT", "http://127.0.0.1:4747/bucket/key", data=body, headers=headers
    )
    signer(Credentials("000000000000", SECRET), service, "us-east-1").add_auth(made)
    lines = [(b"host", b"127.0.0.1:4747"), *((n.lower().encode(), str(v).encode()) for n, v in made.headers.items())]
    path = "/bucket/key"
    return {"type": "http", "method": made.method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": lines}  # fmt: skip


async def measured(app: Any, scope: dict[str, Any], body: bytes, times: int) -> list[float]:
    """Microseconds of each of `times` requests."""

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200, message

    took = []
    for _ in range(times):
        began = time.perf_counter()
        await app(dict(scope), receive, send)
        took.append((time.perf_counter() - began) * 1e6)
    return took


async def main() -> None:
    """Measure and print a table."""
    front = Front(answers, answers, lambda key: Key(SECRET))  # type: ignore[arg-type]  # the front reads no more of it
    print("| request | p50 µs | p99 µs |\n|---|---|---|")
    for name, service, signer, size in CASES:
        body, times = definition(size) if service == "sagemaker" else b"x" * size, TIMES if size < 1_000_000 else 50
        scope = request(service, signer, body)
        alone = statistics.median(await measured(answers, scope, body, times))
        took = await measured(front, scope, body, times)
        p99 = statistics.quantiles(took, n=100)[98]
        print(f"| {name} | {statistics.median(took) - alone:.0f} | {p99 - alone:.0f} |")


if __name__ == "__main__":
    asyncio.run(main())
