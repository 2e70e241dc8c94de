"""Fills the arguments of a step with values in place of its references, for an early check. Pure."""

from __future__ import annotations

from typing import Any

from botocore.model import Shape

from localcloud.engine.references import is_reference
from localcloud.images import ANY_IMAGE, ANY_PATH, ANY_TEXT

# What a reference may come to be, as harmless as the member's rules allow.
_BY_MEMBER = {
    "LocalPath": ANY_PATH,
    "S3InputMode": "File",
    "S3Uri": "s3://any/any",
    "TrainingInputMode": "File",
    "ImageUri": ANY_IMAGE,
    "Image": ANY_IMAGE,
}
_LONG = 2_592_000
_ENDS = ("MinValue", "MaxValue")
_TEXTS = (ANY_TEXT, "s3://any/any", "arn:aws:iam::000000000000:role/any")


class UnknownFormError(ValueError):
    """A reference stands for a whole structure, of which nothing can be said before it has a value."""


def without_references(value: Any, shape: Shape, name: str = "") -> Any:
    """A copy of a request in which each reference is replaced by a value that its member could have.

    `shape` is botocore's of the value, `name` the member that it stands in. An optional member that is one of a fixed
    set of words (an enum) is left out instead, which stands for its default. Members that are null are left out too.

    UnknownFormError if a reference stands for a structure.
    """
    if is_reference(value):
        return _specimen(shape, name)
    if shape.type_name == "structure" and isinstance(value, dict):
        if any(is_reference(value.get(end)) for end in _ENDS):
            # A range of one number, which is in order with every scaling.
            value = {**value, **dict.fromkeys(_ENDS, "0.5")}
        if is_reference(value.get("EnableManagedSpotTraining")):
            waits = "MaxWaitTimeInSeconds" in (value.get("StoppingCondition") or {})
            value = {**value, "EnableManagedSpotTraining": waits}
        return {
            key: without_references(item, shape.members[key], key)
            for key, item in value.items()
            if item is not None and key in shape.members and not _may_be_left_out(item, key, shape)
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [without_references(item, shape.member, name) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: without_references(item, shape.value, name) for key, item in value.items()}
    return value


def _may_be_left_out(item: Any, key: str, shape: Shape) -> bool:
    if key in ("InstanceType", "S3InputMode"):
        # The one says in which of two forms a request names its instances; an input needs the other.
        return False
    return is_reference(item) and bool(getattr(shape.members[key], "enum", None)) and key not in shape.required_members


def _specimen(shape: Shape, name: str) -> Any:
    """Return a value that a member of this shape and name could have; UnknownFormError for a structure."""
    kind = shape.type_name
    if kind == "string":
        return _text(shape, name)
    if kind in ("integer", "long", "float", "double"):
        # A time to wait is as long as the job may run.
        return _LONG if name == "MaxWaitTimeInSeconds" else max(1, shape.metadata.get("min", 1))
    if kind == "boolean":
        return False
    if kind == "list":
        return [_specimen(shape.member, name)]
    if kind == "map":
        return {}
    if kind == "structure":
        raise UnknownFormError(name)
    return 0


def _text(shape: Shape, name: str) -> str:
    """Return a text that a member of this shape and name could have."""
    known = next((text for member, text in _BY_MEMBER.items() if name.endswith(member)), None)
    if shape.enum:
        return known if known is not None and known in shape.enum else str(shape.enum[0])
    if known is not None:
        return known
    if "s3" in str(shape.metadata.get("pattern", "")) or name.endswith(("S3OutputPath", "Url", "Uri")):
        return _TEXTS[1]
    return _TEXTS[2] if name.endswith("Arn") else _TEXTS[0]
