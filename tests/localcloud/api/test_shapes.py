"""Requests against botocore's model: what AWS refuses is refused, in its words."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud import resources
from localcloud.api import OPERATIONS, ApiError
from localcloud.api.shapes import AnswerError, check_request, compiled, lower_first, service_model, shape_answer

resources.load()
MODEL = service_model("sagemaker")
ROLE = "arn:aws:iam::000000000000:role/any"
ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/p"
TOKEN = "t" * 32


def check(operation: str, request: Any, **options: Any) -> dict[str, Any]:
    return check_request(MODEL.operation_model(operation).input_shape, request, **options)


def refused(operation: str, request: Any) -> str:
    with pytest.raises(ApiError) as error:
        check(operation, request)
    return str(error.value)


def test_a_good_request_passes_without_members_that_aws_does_not_know() -> None:
    request = {"PipelineName": "p", "ClientRequestToken": TOKEN, "RoleArn": ROLE}

    assert check("CreatePipeline", {**request, "Unheard": "of"}) == request


def test_all_missing_members_are_named_at_once() -> None:
    assert refused("CreateModelPackageGroup", {}) == (
        "ValidationException: 1 validation error detected: Value null at 'modelPackageGroupName' failed to satisfy "
        "constraint: Member must not be null"
    )
    assert refused("CreatePipeline", {}).startswith("ValidationException: 3 validation errors detected: ")


@pytest.mark.parametrize(
    ("operation", "request_", "sentence"),
    [
        (
            "ListPipelines",
            {"SortBy": "Size"},
            "Value 'Size' at 'sortBy' failed to satisfy constraint: Member must satisfy enum value set: "
            "[Name, CreationTime]",
        ),
        ("ListPipelines", {"MaxResults": 101}, "Member must have value less than or equal to 100"),
        ("ListPipelines", {"MaxResults": 0}, "Member must have value greater than or equal to 1"),
        (
            "CreateModelPackageGroup",
            {"ModelPackageGroupName": "with_underscore"},
            "Member must satisfy regular expression pattern: ",
        ),
        (
            "CreateModelPackageGroup",
            {"ModelPackageGroupName": "a" * 64},
            "Member must have length less than or equal to 63",
        ),
        (
            "AddTags",
            {"ResourceArn": ARN, "Tags": [{"Key": "a", "Value": "b"}, {"Key": "", "Value": "c"}]},
            "Value '' at 'tags.2.member.key' failed to satisfy constraint: Member must have length greater than or",
        ),
        (
            "CreateModelPackage",
            {"CustomerMetadataProperties": {"classes": "a,b"}},
            "Map value must satisfy constraint: [Member must satisfy regular expression pattern: ",
        ),
        (
            "CreateModelPackage",
            {"CustomerMetadataProperties": {"k" * 129: "b"}},
            "Map keys must satisfy constraint: [Member must have length less than or equal to 128]",
        ),
    ],
)
def test_a_broken_rule_is_told_in_the_words_of_aws(operation: str, request_: Any, sentence: str) -> None:
    assert sentence in refused(operation, request_)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ([], "Expected structure, got list"),
        ({"MaxResults": "5"}, "Expected integer at 'maxResults', got str '5'"),
        ({"MaxResults": True}, "Expected integer at 'maxResults', got bool"),
        ({"PipelineNamePrefix": 5}, "Expected string at 'pipelineNamePrefix', got int"),
        ({"CreatedAfter": "yesterday"}, "Expected timestamp at 'createdAfter', got str"),
    ],
)
def test_a_wrong_type_is_a_serialization_error(request_: Any, sentence: str) -> None:
    assert refused("ListPipelines", request_).startswith(f"SerializationException: {sentence}")


@pytest.mark.parametrize(
    ("operation", "request_", "member"),
    [
        ("ListPipelines", {"MaxResults": 2**31}, "integer at 'maxResults'"),
        ("ListPipelines", {"MaxResults": -(2**70)}, "integer at 'maxResults'"),
        ("ListPipelines", {"CreatedAfter": 1e400}, "timestamp at 'createdAfter'"),
        ("ListPipelines", {"CreatedAfter": 10**400}, "timestamp at 'createdAfter'"),
        ("CreateEndpointConfig", {"ProductionVariants": [{"InitialVariantWeight": 1e39}]}, "float at 'production"),
        (
            "CreateTrainingJob",
            {"DebugRuleConfigurations": [{"VolumeSizeInGB": 2**31}]},
            "integer at 'debugRuleConfigurations.1.member.volumeSizeInGB'",
        ),
    ],
)
def test_a_number_that_its_type_cannot_hold_is_refused(operation: str, request_: Any, member: str) -> None:
    assert refused(operation, request_).startswith(f"SerializationException: Expected {member}")


def broken(shape: Any, path: str, above: tuple[str, ...] = ()) -> Iterator[tuple[str, Any, str]]:
    """Each constraint below a shape: where it is, a value of the shape that breaks it, and a part of what is said."""
    kind, rules = shape.type_name, shape.metadata
    if kind == "structure" and shape.name not in above:
        prefix = f"{path}." if path else ""
        for name, member in shape.members.items():
            for where, value, rule in broken(member, prefix + lower_first(name), (*above, shape.name)):
                yield where, {name: value}, rule
            if name in shape.required_members:
                yield prefix + lower_first(name), {}, "must not be null"
    elif kind == "list":
        for where, value, rule in broken(shape.member, f"{path}.1.member", above):
            yield where, [value], rule
    elif kind in ("integer", "long", "float", "double"):
        if "min" in rules:
            yield path, rules["min"] - 1, f"greater than or equal to {rules['min']}"
        if "max" in rules and rules["max"] < 2**31 - 1:
            yield path, rules["max"] + 1, f"less than or equal to {rules['max']}"
    elif kind == "string":
        if shape.enum:
            yield path, "none of them", "enum value set"
        if rules.get("min", 0) > 0:
            yield path, "", f"greater than or equal to {rules['min']}"
        if "max" in rules and rules["max"] < 10_000:
            yield path, "a" * (rules["max"] + 1), f"less than or equal to {rules['max']}"
        if "pattern" in rules and not shape.enum and not compiled(rules["pattern"]).fullmatch("\a"):
            yield path, "\a", "regular expression pattern"


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_every_constraint_of_an_operation_is_kept(operation: str) -> None:
    shape = MODEL.operation_model(operation).input_shape

    kept = [(where, rule, refused(operation, request)) for where, request, rule in broken(shape, "")]

    assert [(where, rule) for where, rule, said in kept if f"at '{where}'" not in said or rule not in said] == []


def test_letters_of_all_languages_are_letters_in_tags() -> None:
    tags = [{"Key": "Straße", "Value": "東京 ñ"}]

    assert check("AddTags", {"ResourceArn": ARN, "Tags": tags})["Tags"] == tags


def test_what_the_caller_skips_is_taken_as_it_is() -> None:
    reference = {"Get": "Parameters.Name"}
    request = {"ModelPackageGroupName": reference}

    assert check("CreateModelPackageGroup", request, skip=lambda value: value == reference) == request


def test_every_pattern_of_sagemaker_compiles() -> None:
    patterns = {MODEL.shape_for(name).metadata.get("pattern") for name in MODEL.shape_names} - {None}

    assert len(patterns) > 200
    assert all(compiled(pattern) for pattern in patterns)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = sorted(MODEL.operation_model("CreateTrainingJob").input_shape.members)


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=6))
def test_no_json_whatever_breaks_the_check(request: dict[str, Any]) -> None:
    with pytest.raises(ApiError):
        check("CreateTrainingJob", request)


def answer(value: Any, strict: bool = True) -> Any:
    return shape_answer(MODEL.operation_model("DescribeModelPackageGroup").output_shape, value, strict)


GROUP = {
    "ModelPackageGroupName": "g",
    "ModelPackageGroupArn": "arn",
    "CreationTime": 1.5,
    "CreatedBy": {},
    "ModelPackageGroupStatus": "Completed",
}


def test_an_answer_leaves_out_what_is_unset_or_private() -> None:
    assert answer({**GROUP, "ModelPackageGroupDescription": None, "_Own": 1}) == GROUP


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"Unheard": 1}, r"unknown members \['Unheard'\]"),
        ({"ModelPackageGroupArn": None}, r"missing required members \['ModelPackageGroupArn'\]"),
        ({"CreationTime": "now"}, r"answer.CreationTime: expected timestamp, got 'now'"),
        ({"ModelPackageGroupStatus": "Done"}, r"'Done' is none of"),
    ],
)
def test_an_answer_that_aws_would_not_give_is_a_bug(change: Any, sentence: str) -> None:
    with pytest.raises(AnswerError, match=sentence):
        answer({**GROUP, **change})


def test_outside_of_tests_unknown_members_are_dropped() -> None:
    assert answer({**GROUP, "Unheard": 1}, strict=False) == GROUP
