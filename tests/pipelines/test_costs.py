"""Costs in a parameter: what the pipeline takes, the training job takes too, and reads as the same costs."""

import importlib.util
import sys
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from pipelines import costs

_CLASSES = ("bicycle", "motorcycle")


def _job():
    """training/costs.py, which is no package and shares no module with this side."""
    spec = importlib.util.spec_from_file_location("training_costs", Path(__file__).parents[2] / "training/costs.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_JOB = _job()
_numbers = st.one_of(
    st.floats(-1, 2e6).map(str), st.sampled_from(["5", " 5 ", "nan", "inf", "1e6", "", "five", "1_0", "\u0661"])
)
_parts = st.one_of(_numbers, st.tuples(st.sampled_from([*_CLASSES, " bicycle ", "car", ""]), _numbers).map("=".join))
_texts = st.one_of(st.lists(_parts, max_size=4).map(",".join), st.sampled_from(["none", " none "]))


def _read(function, text, review):
    """What a reader of costs makes of the texts, in a form that can be compared; "refused" for a ValueError."""
    try:
        found = function(text, review, _CLASSES)
    except ValueError:
        return "refused"
    return found and (dict(found.wrong_bay), found.review, found.equal)


@given(_texts, st.floats())
@example("5,motorcycle=10", 1.0)
@example("bicycle=2,motorcycle=10", 0.0)
@example("bicycle=2", 1.0)
def test_both_sides_read_the_same_costs(text, review):
    assert _read(costs.of, text, review) == _read(_JOB.parse, text, review)
