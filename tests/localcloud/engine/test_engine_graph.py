"""The plan of an execution, as properties over any graph of steps, conditions and failures."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.engine.definition import Definition, DefinitionError, Step
from localcloud.engine.graph import dependencies, plan, restricted, reused


def step(
    name: str, *needs: str, kind: str = "Processing", parent: str | None = None, branch: bool | None = None
) -> Step:
    return Step(name, kind, {}, depends_on=needs, parent=parent, branch=branch)


def of(*steps: Step) -> Definition:
    return Definition({}, {s.name: s for s in steps})


@st.composite
def graphs(draw: Any) -> Definition:
    """Steps that depend on earlier ones, some of them conditions with steps in both branches."""
    steps: list[Step] = []
    for number in range(draw(st.integers(1, 9))):
        earlier = [s.name for s in steps]
        needs = draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True)) if earlier else []
        conditions = [s.name for s in steps if s.type == "Condition"]
        parent = draw(st.none() | st.sampled_from(conditions)) if conditions else None
        branch = draw(st.booleans()) if parent else None
        kind = draw(st.sampled_from(["Processing", "Condition"]))
        steps.append(step(f"S{number}", *needs, kind=kind, parent=parent, branch=branch))
    return of(*draw(st.permutations(steps)))


def execute(definition: Definition, data: Any) -> tuple[dict[str, str], list[str], dict[str, bool]]:
    """Play an execution in an order that hypothesis draws; what each step ended as, the order, the outcomes."""
    needs, status, outcomes, order = dependencies(definition), {}, {}, []
    while True:
        planned = plan(definition, needs, status, outcomes)
        for name in planned.ready:
            assert name not in status, "a step is started once"
            status[name] = "Executing"
            order.append(name)
        running = [name for name, state in status.items() if state == "Executing"]
        if planned.done:
            assert not running
            return status, order, outcomes
        assert running, "while it is not done, something runs"
        name = data.draw(st.sampled_from(running))
        status[name] = data.draw(st.sampled_from(["Succeeded", "Succeeded", "Failed"]))
        if definition.steps[name].type == "Condition" and status[name] == "Succeeded":
            outcomes[name] = data.draw(st.booleans())


@settings(max_examples=200)
@given(graphs(), st.data())
def test_every_execution_ends_in_order_and_runs_what_it_should(definition: Definition, data: Any) -> None:
    status, order, outcomes = execute(definition, data)
    needs = dependencies(definition)
    for name, current in definition.steps.items():
        may_run = all(status.get(need) == "Succeeded" for need in needs[name]) and (
            current.parent is None or outcomes.get(current.parent) == current.branch
        )
        assert (name in status) == may_run
        if name in status:
            assert all(order.index(need) < order.index(name) for need in needs[name])


def test_ready_steps_come_in_document_order() -> None:
    definition = of(step("B"), step("A"), step("C"))
    assert plan(definition, dependencies(definition), {}, {}).ready == ("B", "A", "C")


def test_what_waits_for_a_branch_not_taken_never_starts() -> None:
    definition = of(step("Gate", kind="Condition"), step("Yes", parent="Gate", branch=True), step("After", "Yes"))
    planned = plan(definition, dependencies(definition), {"Gate": "Succeeded"}, {"Gate": False})
    assert (planned.ready, planned.done) == ((), True)


def test_a_condition_does_not_wait_for_what_only_its_branches_refer_to() -> None:
    inner = {"Name": "In", "Arguments": {"x": {"Get": "Steps.Slow.ExitMessage"}}}
    gate = Step("Gate", "Condition", {"Conditions": [], "IfSteps": [inner]})
    definition = of(step("Slow"), gate)
    assert dependencies(definition)["Gate"] == frozenset()


def test_a_step_in_a_branch_that_its_condition_waits_for_is_a_circle() -> None:
    with pytest.raises(DefinitionError, match="circle"):
        dependencies(of(step("Gate", "In", kind="Condition"), step("In", parent="Gate", branch=True)))


def test_a_selection_runs_its_steps_and_nothing_after_them() -> None:
    chosen, needs = restricted(of(step("Stage"), step("Train", "Stage"), step("Score", "Train")), {"Stage", "Train"})
    assert list(chosen.steps) == ["Stage", "Train"]
    assert plan(chosen, needs, {"Stage": "Succeeded", "Train": "Succeeded"}, {}).done


def test_a_selection_reuses_what_its_steps_wait_for() -> None:
    definition = of(step("Stage"), step("Train", "Stage"), step("Score", "Train", "Stage"))
    assert reused(definition, {"Train", "Score"}) == {"Stage"}
    assert reused(definition, {"Stage", "Train"}) == frozenset()
    _, needs = restricted(definition, {"Train", "Score"})
    assert needs == {"Train": frozenset(), "Score": {"Train"}}


def test_a_selection_of_an_unknown_step_is_refused_by_name() -> None:
    with pytest.raises(DefinitionError, match="'Sage' is not in the definition"):
        reused(of(step("Stage")), {"Sage"})
