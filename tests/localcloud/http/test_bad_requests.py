"""What every operation answers to requests that no AWS client would send: a refusal in AWS's words, never a fault.

boto3 checks requests itself, so these are signed and sent raw. They are made from botocore's model of each operation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.model import Shape, StructureShape

from localcloud import resources
from localcloud.api import OPERATIONS
from localcloud.api.shapes import compiled, service_model
from tests.fakes.signing import signed
from tests.localcloud.conftest import RunningCloud

resources.load()
_MODEL = service_model("sagemaker")
_ARN = "arn:aws:sagemaker:us-east-1:000000000000"
# Values of nothing that is there; the first one that a member's pattern and length allow is taken.
_ABSENT = (
    "absent", "arn:aws:iam::000000000000:role/absent", f"{_ARN}:pipeline/absent",
    f"{_ARN}:pipeline/absent/execution/absent123456", f"{_ARN}:model-package/absent/1", "s3://absent/absent",
    f"{_ARN}:artifact/{'0' * 32}", "absent0000",
)  # fmt: skip
# Those that name nothing, or for which what they name need not be there.
_NAME_NOTHING = re.compile(
    "(Create|Disassociate|Batch).*|Search|QueryLineage|List(?!Tags|ModelCardVersions|Pipeline[VEP]|TrainingJobsFor).*"
)
_CODES = {"ValidationException", "ResourceNotFound", "SerializationException", "ResourceNotFoundException"}


def _value(shape: Shape) -> Any:
    """A value that the model allows, of nothing that is there."""
    if shape.type_name == "structure":
        return _request(shape)
    if shape.type_name == "list":
        return [_value(shape.member)] * shape.metadata.get("min", 0)
    if shape.type_name in ("map", "boolean"):
        return {} if shape.type_name == "map" else False
    if shape.type_name != "string":
        return shape.metadata.get("min", 1)
    if shape.enum:
        return shape.enum[0]
    pattern = compiled(shape.metadata.get("pattern", "(?s).*"))
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 10**6)
    return next(text for text in _ABSENT if pattern.fullmatch(text) and least <= len(text) <= most)


def _request(shape: StructureShape) -> dict[str, Any]:
    """The required members and no other; of a union the first."""
    names = [*shape.required_members] or [*shape.members][: int(getattr(shape, "is_tagged_union", False))]
    return {name: _value(shape.members[name]) for name in names}


def _refused(shape: StructureShape) -> Iterator[tuple[str, Any]]:
    """Requests that the model does not allow, each with what is wrong."""
    good = _request(shape)
    yield "a list", []
    for name in shape.required_members:
        yield f"no {name}", {key: value for key, value in good.items() if key != name}
    for name, member in shape.members.items():
        yield f"{name} of a wrong type", {**good, name: "text" if member.type_name != "string" else ["text"]}
        if member.type_name == "string" and "max" in member.metadata:
            yield f"{name} too long", {**good, name: "a" * (member.metadata["max"] + 1)}
        if member.type_name == "string" and member.enum:
            yield f"{name} made up", {**good, name: "made-up"}
        if member.type_name == "list":
            yield f"{name} with nothing in it", {**good, name: [None]}


@pytest.fixture(scope="module")
def connection() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=60) as client:
        yield client


def _ask(cloud: RunningCloud, connection: httpx.Client, operation: str, request: Any) -> httpx.Response:
    body = json.dumps(request).encode()
    target = {"x-amz-target": f"SageMaker.{operation}", "content-type": "application/x-amz-json-1.1"}
    url = f"{cloud.url}/"
    return connection.post(url, content=body, headers=signed(cloud.secret, "POST", url, body, target))


def _fault(answer: httpx.Response) -> str | None:
    """What is wrong with a refusal, if anything is."""
    if answer.status_code not in (400, 404):
        return f"status {answer.status_code}: {answer.text[:300]}"
    error = answer.json()
    if error["__type"] not in _CODES or not re.match(r"(?s)[A-Z0-9].{15,}", error["message"]):
        return f"{error['__type']}: {error['message'][:300]}"
    return None


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_what_the_model_does_not_allow_is_refused(
    cloud: RunningCloud, connection: httpx.Client, operation: str
) -> None:
    shape = _MODEL.operation_model(operation).input_shape

    faults = {what: _fault(_ask(cloud, connection, operation, request)) for what, request in _refused(shape)}

    assert {what: fault for what, fault in faults.items() if fault is not None} == {}


@pytest.mark.parametrize("operation", sorted(name for name in OPERATIONS if not _NAME_NOTHING.fullmatch(name)))
def test_what_is_not_there_is_refused(cloud: RunningCloud, connection: httpx.Client, operation: str) -> None:
    request = _request(_MODEL.operation_model(operation).input_shape)

    assert _fault(_ask(cloud, connection, operation, request)) is None
