"""The formats of docs/formats.json: a check for what one part of Loading Bay writes, an example for what reads it."""

import copy
import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

PAGE = Path(__file__).parents[1] / "docs" / "formats.json"
SCHEMA: dict[str, Any] = json.loads(PAGE.read_text("utf-8"))


def _closed(schema: Any) -> Any:
    """The schema, in which an object has no member that is not named, unless the schema says otherwise."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: value if key == "examples" else _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed


_CLOSED = _closed(SCHEMA)


def check(name: str, document: Any) -> None:
    """AssertionError, which names the place, unless the document is in the format of this name."""
    validator = Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": _CLOSED["$defs"]})
    found = [f"{name}: {error.json_path}: {error.message:.200}" for error in validator.iter_errors(document)]
    if found:
        raise AssertionError("; ".join(found))


def example(name: str) -> Any:
    """A document in the format of this name, which every reader must understand."""
    return copy.deepcopy(SCHEMA["$defs"][name]["examples"][0])
