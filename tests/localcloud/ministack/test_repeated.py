"""What is worked out once, or more cheaply than MiniStack does: the same results."""

import importlib
import time
from typing import Any

import pytest

from localcloud.ministack import repeated

FUNCTION = "arn:aws:lambda:eu-west-1:000000000000:function:f:3"


def test_a_result_for_a_text_is_remembered_and_an_error_is_not() -> None:
    asked: list[Any] = []

    def work(value: Any) -> str:
        asked.append(value)
        if value == "no":
            raise ValueError(value)
        return f"of {value}"

    known = repeated.remembering(work)

    assert [known("a"), known("a"), known(["b"]), known(["b"])] == ["of a", "of a", "of ['b']", "of ['b']"]
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            known("no")
    assert asked == ["a", ["b"], ["b"], "no", "no"]


@pytest.mark.parametrize("text", [FUNCTION, FUNCTION.replace("lambda", "s3"), "arn:aws", "f", "", None, {}, ["arn:"]])
def test_arns_have_the_parts_that_ministack_finds(text: Any) -> None:
    functions = importlib.import_module("ministack.services.lambda_svc")

    def parts(work: Any) -> Any:
        try:
            return work(text)
        except (ValueError, TypeError) as error:
            return type(error), str(error)

    for name in repeated._OF_ARNS["services.lambda_svc"]:
        original = getattr(functions, name)
        known = repeated.remembering(original)

        assert parts(known) == parts(known) == parts(original)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (1_795_780_800_000_000_000, "2026-11-27T12:00:00.000Z"),
        (1_795_780_800_999_999_999, "2026-11-27T12:00:00.999Z"),
        (1_795_780_801_007_000_000, "2026-11-27T12:00:01.007Z"),
    ],
)
def test_the_time_has_milliseconds(monkeypatch: pytest.MonkeyPatch, nanoseconds: int, text: str) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: nanoseconds)

    assert repeated.now() == text
