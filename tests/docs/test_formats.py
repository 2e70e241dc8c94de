"""docs/formats.json: valid JSON Schema, with an example of each format, and named where the formats are listed."""

import pytest
from jsonschema import Draft202012Validator

from tests.formats import PAGE, SCHEMA, check, example

NAMES = sorted(set(SCHEMA["$defs"]) - {"prediction"})


def test_the_page_is_a_json_schema():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", NAMES)
def test_a_format_describes_itself_and_its_example_is_in_it(name):
    assert SCHEMA["$defs"][name]["description"]
    check(name, example(name))


def test_a_document_with_another_member_is_in_no_format():
    with pytest.raises(AssertionError, match="'clases' was unexpected"):
        check("dataset", {**example("dataset"), "clases": []})


def test_the_architecture_leads_to_the_page():
    assert f"({PAGE.name})" in (PAGE.parent / "architecture.md").read_text("utf-8")
