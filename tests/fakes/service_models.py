"""What botocore's own model says of requests and answers, for fakes that take and give no others."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.validate import ParamValidator


@cache
def service_model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@cache
def operations() -> dict[str, str]:
    """The operation of each method of the boto3 client."""
    return {xform_name(operation): operation for operation in service_model("sagemaker").operation_names}


def check_request(operation: str, request: dict[str, Any], service: str = "sagemaker") -> None:
    """Fail unless botocore would send the request."""
    shape = service_model(service).operation_model(operation).input_shape
    # botocore fills these in by itself.
    tokens = {name: "0" * 36 for name, member in shape.members.items() if member.metadata.get("idempotencyToken")}
    report = ParamValidator().validate(tokens | request, shape)
    assert not report.has_errors(), f"{operation}: {report.generate_report()}"


def unknown_members(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """The members of an answer that AWS's model of it does not have."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in value.items():
            if name not in shape.members:
                yield f"{path}.{name}"
            else:
                yield from unknown_members(shape.members[name], member, f"{path}.{name}")
    elif shape.type_name == "list":
        for item in value:
            yield from unknown_members(shape.member, item, f"{path}[]")
