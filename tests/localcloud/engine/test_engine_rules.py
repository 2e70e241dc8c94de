"""Conditions, the step cache's key and age, retry policies, parameters: the documented rules."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.engine.caching import KEY_ARGUMENTS, cache_key, parse_duration
from localcloud.engine.conditions import ConditionError, evaluate
from localcloud.engine.definition import Definition, Parameter
from localcloud.engine.parameters import ParameterError, bind
from localcloud.engine.retries import RetryPolicy, classify, delay_before_retry, parse_retry_policies


def compare(kind: str, left: Any, right: Any) -> dict[str, Any]:
    return {"Type": kind, "LeftValue": left, "RightValue": right}


@given(st.integers(-5, 5) | st.floats(-5, 5), st.integers(-5, 5) | st.floats(-5, 5))
def test_comparisons_are_those_of_numbers(left: float, right: float) -> None:
    assert evaluate(compare("Equals", left, right)) == (left == right)
    assert evaluate(compare("GreaterThan", left, right)) == (left > right)
    assert evaluate(compare("GreaterThanOrEqualTo", left, right)) == (left >= right)
    assert evaluate(compare("LessThan", left, right)) == (left < right)
    assert evaluate(compare("LessThanOrEqualTo", left, right)) == (left <= right)


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        (compare("Equals", "a", "a"), True),
        (compare("Equals", True, True), True),
        ({"Type": "In", "QueryValue": "a", "Values": ["b", "a"]}, True),
        ({"Type": "In", "QueryValue": 1, "Values": ["1", True]}, False),
        ({"Type": "Not", "Condition": compare("Equals", 1, 2)}, True),
        ({"Type": "Or", "Conditions": [compare("Equals", 1, 2), compare("LessThan", 1, 2)]}, True),
        ({"Type": "Or", "Conditions": [compare("Equals", 1, 2)]}, False),
    ],
)
def test_conditions_nest(condition: dict[str, Any], outcome: bool) -> None:
    assert evaluate(condition) is outcome


@pytest.mark.parametrize(("left", "right"), [("0.9", 0.85), (True, 1), ([1], [1]), (None, None)])
def test_what_cannot_be_compared_is_an_error_not_false(left: Any, right: Any) -> None:
    with pytest.raises(ConditionError, match="cannot compare"):
        evaluate(compare("GreaterThanOrEqualTo", left, right))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("P30d", 30 * 86400),
        ("PT1H30M", 5400),
        ("P1Y2M", (365 + 60) * 86400),
        ("P2W", 14 * 86400),
        ("PT5S", 5),
        ("30d", 30 * 86400),
        ("T12H", 43_200),
    ],
)
def test_durations_are_iso_8601(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["P", "PT", "T", "30", "30 days", "P-1D", "", None, 30, "P1.5D"])
def test_what_is_no_duration_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_duration(text)


PROCESSING = {
    "AppSpecification": {"ImageUri": "i", "ContainerEntrypoint": ["python3", "a.py"]},
    "ProcessingInputs": [{"InputName": "x"}],
    "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large"}},
    "RoleArn": "r",
}


def test_the_key_ignores_instances_outputs_and_role() -> None:
    other = {**PROCESSING, "RoleArn": "s", "ProcessingResources": {}, "ProcessingOutputConfig": {"Outputs": []}}
    assert cache_key("Processing", PROCESSING) == cache_key("Processing", other)


@pytest.mark.parametrize("name", KEY_ARGUMENTS["Training"])
def test_the_key_depends_on_each_documented_argument(name: str) -> None:
    assert cache_key("Training", {name: {"a": "1"}}) != cache_key("Training", {name: {"a": "2"}})


@given(st.permutations(list(PROCESSING.items())))
def test_the_key_does_not_depend_on_the_order_of_members(items: list[tuple[str, Any]]) -> None:
    assert cache_key("Processing", dict(items)) == cache_key("Processing", PROCESSING)


def test_only_jobs_are_cached() -> None:
    assert cache_key("RegisterModel", {}) is None


@given(st.floats(0, 100), st.floats(1, 4), st.integers(1, 20))
def test_delays_grow_by_the_rate_and_end_after_max_attempts(interval: float, rate: float, attempts: int) -> None:
    policy = RetryPolicy(("SageMaker.JOB_INTERNAL_ERROR",), interval, rate, attempts)
    delays = [delay_before_retry([policy], "SageMaker.JOB_INTERNAL_ERROR", n, 0) for n in range(attempts + 2)]
    assert delays[:attempts] == [interval * rate**n for n in range(attempts)]
    assert delays[attempts:] == [None, None]


def test_the_first_policy_that_names_the_failure_decides() -> None:
    policies = [RetryPolicy(("Step.THROTTLING",), 1), RetryPolicy(("SageMaker.CAPACITY_ERROR",), 7)]
    assert delay_before_retry(policies, "SageMaker.CAPACITY_ERROR", 0, 0) == 7
    assert delay_before_retry(policies, "SageMaker.RESOURCE_LIMIT", 0, 0) is None
    assert delay_before_retry(policies, None, 0, 0) is None


def test_no_retry_comes_after_expire_after_min() -> None:
    (policy,) = parse_retry_policies(
        [{"ExceptionType": ["Step.SERVICE_FAULT"], "IntervalSeconds": 10, "BackoffRate": 1, "ExpireAfterMin": 1}]
    )
    assert delay_before_retry([policy], "Step.SERVICE_FAULT", 30, 50) == 10
    assert delay_before_retry([policy], "Step.SERVICE_FAULT", 30, 51) is None


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        ("InternalServerError: the disk is full", "SageMaker.JOB_INTERNAL_ERROR"),
        ("ResourceLimitExceeded: too many", "SageMaker.RESOURCE_LIMIT"),
        ("AlgorithmError: ValueError, exit code: 1", None),
        ("ClientError: no such bucket", None),
    ],
)
def test_the_code_of_a_failure_says_which_policy_it_is_for(failure: str, kind: str | None) -> None:
    assert classify(failure) == kind


PARAMETERS = Definition(
    {
        "Epochs": Parameter("Epochs", "Integer", 60),
        "Rate": Parameter("Rate", "Float", 0.1),
        "Fast": Parameter("Fast", "Boolean", False),
        "Mode": Parameter("Mode", "String", "a", ("a", "b")),
        "Needed": Parameter("Needed", "String"),
    }
)


def given_values(**values: str) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


@given(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20))
def test_parameters_get_their_types(epochs: int, rate: float, text: str) -> None:
    values = bind(PARAMETERS, given_values(Epochs=str(epochs), Rate=json.dumps(rate), Fast="true", Needed=text))
    assert values == {"Epochs": epochs, "Rate": rate, "Fast": True, "Mode": "a", "Needed": text}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "'Needed' has no default"),
        ({"Needed": "", "Other": "1"}, "no parameter 'Other'"),
        ({"Needed": "", "Epochs": "true"}, "'Epochs' is of type Integer; 'true' is not"),
        ({"Needed": "", "Rate": "NaN"}, "'Rate' is of type Float; 'NaN' is not"),
        ({"Needed": "", "Rate": "1e400"}, "'Rate' is of type Float; '1e400' is not"),
        ({"Needed": "", "Epochs": "9223372036854775808"}, "'Epochs' is of type Integer"),
        ({"Needed": "", "Fast": "1"}, "'Fast' is of type Boolean"),
        ({"Needed": "", "Mode": "c"}, "must be one of a, b"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(values: dict[str, str], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        bind(PARAMETERS, given_values(**values))


@pytest.mark.parametrize(("text", "value"), [("True", True), ("false", False)])
def test_a_boolean_may_be_written_as_in_python(text: str, value: bool) -> None:
    assert bind(PARAMETERS, given_values(Needed="", Fast=text))["Fast"] is value


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(ParameterError, match="more than once"):
        bind(PARAMETERS, given_values(Needed="a") + given_values(Needed="b"))
