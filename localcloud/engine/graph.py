"""Plans an execution: what each step waits for, and which steps may start now. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter

from localcloud.engine.definition import Definition, DefinitionError, Step
from localcloud.engine.references import find

ACTIVE = frozenset({"Starting", "Executing", "Stopping"})
ENDED_BADLY = frozenset({"Failed", "Stopped"})


@dataclass(frozen=True)
class Plan:
    """`ready`: the steps that may start now, in document order. `done`: no step runs, and none will start."""

    ready: tuple[str, ...]
    done: bool


def own_arguments(step: Step) -> object:
    """The part of a step that its own references are in: without the steps inside a condition's branches."""
    if step.type == "Condition":
        return step.arguments.get("Conditions", [])
    return [step.arguments, step.target, step.check]


def dependencies(definition: Definition) -> dict[str, frozenset[str]]:
    """For each step the names of those it waits for: DependsOn, steps it refers to, the condition it is inside of.

    Raises:
        DefinitionError: a dependency is unknown, or the steps wait for each other in a circle.
    """
    needs: dict[str, frozenset[str]] = {}
    for step in definition.steps.values():
        names = {get.name for get in find(own_arguments(step)) if get.kind == "Steps"} | set(step.depends_on)
        for name in sorted(names):
            if name not in definition.steps:
                raise DefinitionError(f"Step {step.name!r} depends on {name!r}, which is not in the definition.")
        needs[step.name] = frozenset(names | ({step.parent} if step.parent else set()))
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        raise DefinitionError(f"The steps wait for each other in a circle: {' -> '.join(error.args[1])}.") from None
    return needs


def reused(definition: Definition, selected: Collection[str]) -> frozenset[str]:
    """The steps whose results a selective execution needs from an earlier one: what the selected ones wait for.

    Raises:
        DefinitionError: a name is no step's.
    """
    unknown = sorted(set(selected) - set(definition.steps))
    if unknown:
        raise DefinitionError(f"The selected step {unknown[0]!r} is not in the definition.")
    needs = dependencies(definition)
    return frozenset(need for name in selected for need in needs[name]) - frozenset(selected)


def restricted(definition: Definition, names: Collection[str]) -> tuple[Definition, dict[str, frozenset[str]]]:
    """The definition with these steps only, and what each of them waits for among them."""
    needs = {name: need & frozenset(names) for name, need in dependencies(definition).items() if name in names}
    return replace(definition, steps={name: step for name, step in definition.steps.items() if name in names}), needs


def in_order(needs: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """The steps so that each comes after those that it waits for: what `plan` goes through."""
    return tuple(TopologicalSorter(needs).static_order())


def plan(
    definition: Definition,
    needs: Mapping[str, frozenset[str]],
    status: Mapping[str, str],
    outcomes: Mapping[str, bool],
    order: Sequence[str] | None = None,
) -> Plan:
    """What may start, given the status of the steps that have started and the outcome of the conditions evaluated.

    A step never starts when something it waits for failed, was stopped, or stands in a branch not taken; steps that do
    not wait for it go on. `order` is that of `in_order(needs)`, for callers that plan often.
    """
    never: set[str] = set()
    ready: list[str] = []
    waiting = False
    for name in order or in_order(needs):
        if name in status:
            continue
        step = definition.steps[name]
        not_taken = step.parent is not None and outcomes.get(step.parent, step.branch) != step.branch
        if not_taken or any(need in never or status.get(need) in ENDED_BADLY for need in needs[name]):
            never.add(name)
        elif all(status.get(need) == "Succeeded" for need in needs[name]):
            ready.append(name)
        else:
            waiting = True
    if len(ready) > 1:
        position = {name: number for number, name in enumerate(definition.steps)}
        ready.sort(key=position.__getitem__)
    active = any(state in ACTIVE for state in status.values())
    return Plan(tuple(ready), not ready and not active and not waiting)
