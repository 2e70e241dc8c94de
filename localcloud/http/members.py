"""Members of requests to the services around SageMaker, checked by botocore's models as AWS checks them.

The emulator takes any value, and fails, or keeps what it cannot read later, where one has another type than the model
says. SageMaker's own requests are checked in `localcloud.api.shapes`. Names and texts are left to the emulator.

Sources: the models of botocore; https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html, aws-query-protocol and
aws-restjson1-protocol for how they are written.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, NoReturn
from urllib.parse import parse_qsl

from botocore.model import OperationModel, Shape

from localcloud.api.shapes import (
    LARGEST,
    bounds,
    broken_bound,
    detected,
    expected,
    lower_first,
    problem,
    service_model,
)
from localcloud.http.body import BodyError
from localcloud.http.signature import Request

_BY_PREFIX = {
    "AWSStepFunctions": "stepfunctions",
    "AWSEvents": "events",
    "Logs_20140328": "logs",
    "AmazonSQS": "sqs",
    "GraniteServiceVersion20100801": "cloudwatch",
}
"""The service of each prefix of X-Amz-Target."""
_QUERY = {"iam": "iam", "sts": "sts", "sns": "sns", "cloudformation": "cloudformation", "monitoring": "cloudwatch"}
"""The model of each service that is asked in forms, by its name in signatures."""
_REST = ("lambda", "scheduler")
_S3_NUMBERS = ("max-keys", "max-uploads", "max-parts", "part-number-marker")
_DIGITS = re.compile("[0-9]{1,10}")
_TOO_MANY_DIGITS = re.compile("[0-9]{19}")
_TYPES: dict[str, Any] = {
    "structure": dict, "map": dict, "list": list, "boolean": bool, "integer": int, "long": int,
    "float": (int, float), "double": (int, float), "timestamp": (int, float, str),
}  # fmt: skip
_REQUIRED_TOO = {"Tag": ("key",)}
"""What the model of Step Functions leaves to the documentation (API reference, "Tag")."""
_NO_NUMBERS = ("NaN", "Infinity", "-Infinity")
"""How JSON carries these values of a float."""


def check_members(form: str, service: str, request: Request, document: dict[str, Any] | None, data: bytes) -> bytes:
    """BodyError where a member has another type than AWS's model says, is out of its bounds, or lacks.

    `form` is what `errors.protocol` gives, `service` the name in the signature, `document` the body `data` of AWS JSON.
    The body without members that are null, which count as not given.
    """
    if form == "json" and document is not None:
        if _check_json(request.headers.get("x-amz-target", ""), document):
            return json.dumps(document).encode()
    elif form == "s3":
        _check_s3(request)
    elif form == "query" and service in _QUERY:
        _check_form(_QUERY[service], parse_qsl(data.decode(errors="replace"), keep_blank_values=True, separator="&"))
    elif form == "rest-json" and service in _REST and not request.path.endswith("/invocations"):
        return _check_rest(service, request, data)
    return data


def _check_json(target: str, document: dict[str, Any]) -> bool:
    """Check the members of a request of AWS JSON; whether some were null, and are taken out of the document."""
    prefix, _, name = target.rpartition(".")
    service = _BY_PREFIX.get(prefix)
    if service is None:
        return False
    operation = _operations(service).get(name)
    if operation is None or operation.input_shape is None:
        return False
    code = "InvalidParameterException" if service == "logs" else "ValidationException"
    # SQS names what lacks with codes of its own.
    return _check_problems(service, operation.input_shape, document, code, required=service != "sqs")


def _check_problems(service: str, shape: Shape, document: Any, code: str, required: bool) -> bool:
    """BodyError for all that is wrong with a document; a wrong type has a code of its own.

    Whether members were null, and are taken out of it.
    """
    problems: list[str] = []
    walk = _Walk(problems, required)
    walk.value(_Kind.of(service, shape), document)
    if problems:
        raise BodyError(code, detected(problems), 400)
    return walk.removed


def _check_form(service: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Check the numbers of a request of the query protocol."""
    pairs = list(pairs)
    operation = _operations(service).get(dict(pairs).get("Action", ""))
    if operation is None:
        return
    for name, text in pairs:
        shape = _named(operation.input_shape, name.split("."))
        if shape is not None and shape.type_name in ("integer", "long"):
            _check_digits(name, text, shape, "ValidationError")


def _check_s3(request: Request) -> None:
    """Check the numbers in the query and the Range of a request to S3, in S3's words."""
    for name, text in parse_qsl(request.query, keep_blank_values=True, separator="&"):
        if name in _S3_NUMBERS and not (_DIGITS.fullmatch(text) and int(text) < 2**31):
            message = f"Argument {name} must be an integer between 0 and 2147483647, not {text[:100]!r}."
            raise BodyError("InvalidArgument", message, 400)
    if _TOO_MANY_DIGITS.search(request.headers.get("range", "")):
        raise BodyError("InvalidRange", "The requested range is not satisfiable", 416)


def _check_rest(service: str, request: Request, data: bytes) -> bytes:
    """Check the numbers in the query of a request of REST, and the members in its body; the body without nulls."""
    for operation, path, query in _rest_operations(service):
        if operation.http["method"] == request.method and query in request.query and path.fullmatch(request.path):
            break
    else:
        return data
    shape = operation.input_shape
    numbers = {
        member.serialization.get("name", name): member
        for name, member in shape.members.items()
        if member.serialization.get("location") == "querystring" and member.type_name in ("integer", "long")
    }
    for name, text in parse_qsl(request.query, keep_blank_values=True, separator="&"):
        if name in numbers:
            _check_digits(name, text, numbers[name], "ValidationException")
    if data.strip() and not shape.serialization.get("payload"):
        document = _read(data)
        if _check_problems(service, shape, document, "ValidationException", required=False):
            return json.dumps(document).encode()
    return data


def _read(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise BodyError("SerializationException", "The body is not JSON in UTF-8.", 400) from None


@cache
def _operations(service: str) -> Mapping[str, OperationModel]:
    model = service_model(service)
    return {name: model.operation_model(name) for name in model.operation_names}


@cache
def _rest_operations(service: str) -> list[tuple[OperationModel, "re.Pattern[str]", str]]:
    """The operations of a service, what their paths look like while percent-encoded, and the query they all have."""
    found = []
    for operation in _operations(service).values():
        path, _, query = operation.http["requestUri"].partition("?")
        pattern = re.sub(
            r"\\\{[^}]+\\\}", lambda label: ".+" if "+" in label[0] else "[^/]+", re.escape(path.rstrip("/"))
        )
        if operation.input_shape is not None:
            found.append((operation, re.compile(pattern + "/?"), query))
    return sorted(found, key=lambda one: not one[2])


def _named(shape: Shape | None, parts: list[str]) -> Shape | None:
    """The shape of a form's parameter, such as `Entries.member.1.DelaySeconds`; None if the model has none."""
    while shape is not None and parts:
        if shape.type_name == "structure":
            members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
            shape, parts = members.get(parts[0]), parts[1:]
        elif shape.type_name in ("list", "map"):
            # Without "member" or "entry" where the list is flattened; then the number.
            parts = parts[1 if shape.serialization.get("flattened") else 2 :]
            if shape.type_name == "map":
                shape, parts = (shape.value if parts[:1] == ["value"] else shape.key), parts[1:]
            else:
                shape = shape.member
        else:
            return None
    return shape


def _check_digits(name: str, text: str, shape: Shape, code: str) -> None:
    """BodyError unless the text is a whole number that the shape can hold and its bounds allow."""
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text) or abs(int(text)) > LARGEST[shape.type_name]:
        raise BodyError(code, f"Value {text[:100]!r} at {name!r} is no number of type {shape.type_name}.", 400)
    rule = broken_bound(int(text), bounds(shape))
    if rule:
        raise BodyError(code, detected([problem(int(text), name, rule)]), 400)


class _Kind:
    """What a JSON value of one shape of a service may be; quicker to ask than botocore's shape."""

    made: ClassVar[dict[tuple[str, str], "_Kind"]] = {}

    def __init__(self, service: str, shape: Shape) -> None:
        # Before the members are made: a shape may have itself inside.
        self.made[service, shape.name] = self
        self.name = shape.type_name
        self.types = _TYPES.get(self.name, str)
        self.largest = LARGEST.get(self.name)
        self.bounds = bounds(shape) if self.name in ("integer", "long") else None
        self.inner: _Kind | None = None
        self.members: dict[str, tuple[str, _Kind]] = {}
        self.required: list[str] = []
        if self.name == "structure":
            self.members = {name: (lower_first(name), self.of(service, part)) for name, part in shape.members.items()}
            self.required = [*shape.required_members] or [*_REQUIRED_TOO.get(shape.name, ())]
        elif self.name in ("list", "map"):
            self.inner = self.of(service, shape.member if self.name == "list" else shape.value)

    @classmethod
    def of(cls, service: str, shape: Shape) -> "_Kind":
        """The one of this shape."""
        return cls.made.get((service, shape.name)) or cls(service, shape)


class _Walk:
    """Walks kinds and a JSON value together; only members that are given are looked at.

    A path is a pair of the path above and a name or, in a list, a number; None is the request.
    """

    def __init__(self, problems: list[str], required: bool) -> None:
        self._problems, self._required = problems, required
        self.removed = False
        """Whether a member was null, and is taken out."""

    def value(self, kind: _Kind, value: Any, path: Any = None) -> None:
        """BodyError for a wrong type; a member that lacks and a number out of bounds go to `problems`."""
        name = kind.name
        if value is None:
            self._note(None, path, "Member must not be null")
        elif not isinstance(value, kind.types) or (isinstance(value, bool) and name != "boolean"):
            if not (name in ("float", "double") and value in _NO_NUMBERS):
                _refuse_type(kind, value, path)
        elif name == "structure":
            self._structure(kind, value, path)
        elif kind.inner is not None:
            for key, item in value.items() if name == "map" else enumerate(value, 1):
                self.value(kind.inner, item, (path, key))
        elif name == "timestamp" and isinstance(value, str):
            try:
                datetime.fromisoformat(value)
            except ValueError:
                _refuse_type(kind, value, path)
        elif kind.largest is not None:
            if not -kind.largest <= value <= kind.largest:
                _refuse_type(kind, value, path)
            rule = broken_bound(value, kind.bounds) if kind.bounds else None
            if rule:
                self._note(value, path, rule)

    def _structure(self, kind: _Kind, value: dict[str, Any], path: Any) -> None:
        """Look at the members of a structure."""
        if None in value.values():
            for name in [name for name, member in value.items() if member is None]:
                del value[name]
            self.removed = True
        for name, member in value.items():
            known = kind.members.get(name)
            if known is not None:
                self.value(known[1], member, (path, known[0]))
        if self._required:
            for name in kind.required:
                if name not in value:
                    self._note(None, (path, lower_first(name)), "Member must not be null")

    def _note(self, value: Any, path: Any, rule: str) -> None:
        self._problems.append(problem(value, _written(path), rule))


def _written(path: Any) -> str:
    """A path as AWS writes it: `tags.1.member.key`."""
    parts: list[str] = []
    while path is not None:
        path, name = path
        parts.append(f"{name}.member" if isinstance(name, int) else str(name))
    return ".".join(reversed(parts))


def _refuse_type(kind: _Kind, value: Any, path: Any) -> NoReturn:
    raise BodyError("SerializationException", expected(kind.name, value, _written(path)), 400)
