"""What paths of states find."""

from typing import Any

import pytest

from localcloud.ministack.asl import json_paths
from localcloud.ministack.asl.errors import StateError

DATA: dict[str, Any] = {
    "a-b": 1,
    "a b": 2,
    "é": 3,
    "1st": 4,
    "none": None,
    "list": [{"name": "x", "n": 1}, {"name": "y", "n": 2}],
    "deep": {"list": [10, 20, 30]},
    "it's": 5,
}
CONTEXT = {"Execution": {"Id": "arn"}, "QueryLanguage": "JSONPath", "variables": {"count": {"of": 7}}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.a-b", 1),
        ("$.a b", 2),
        ("$.é", 3),
        ("$.1st", 4),
        ("$['a b']", 2),
        ('$["a-b"]', 1),
        (r"$['it\'s']", 5),
        ("$.none", None),
        ("$.list[1].name", "y"),
        ("$.list[-1].n", 2),
        ("$.list[*].name", ["x", "y"]),
        ("$.deep.*", [[10, 20, 30]]),
        ("$.none[*].x", []),
        ("$.list[?(@.name == 'y')].n", [2]),
        ("$.list[?(@.name != 'y' && @.n < 5)].n", [1]),
        ("$.list[?(@.gone)]", []),
        ("$..n", [1, 2]),
        ("$.deep.list[0:2]", [10, 20]),
        ("$.deep.list[0,2]", [10, 30]),
        ("$$.Execution.Id", "arn"),
        ("$count.of", 7),
    ],
)
def test_a_path_finds_what_it_leads_to(path: str, found: Any) -> None:
    assert json_paths.find(path, DATA, CONTEXT) == found


def test_the_root_is_all() -> None:
    assert json_paths.find("$", DATA) is DATA
    assert json_paths.find("$$", DATA, CONTEXT) == {"Execution": {"Id": "arn"}}


@pytest.mark.parametrize(
    "path", ["$.gone", "$.list[2]", "$.none.x", "$.list.name", "$.deep[0]", "$$.Task.Token", "$gone"]
)
def test_a_path_that_leads_to_nothing_is_missing(path: str) -> None:
    with pytest.raises(json_paths.MissingPathError):
        json_paths.find(path, DATA, CONTEXT)


@pytest.mark.parametrize("path", ["$.", "$.list[", "$.list[?(", "x"])
def test_what_is_no_path_fails_the_state(path: str) -> None:
    with pytest.raises(StateError, match="Invalid path"):
        json_paths.find(path, DATA, CONTEXT)
