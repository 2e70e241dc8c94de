"""Branches of Parallel states and iterations of Map states: run together, each with its part of the history."""

from collections.abc import Callable, Sequence
from typing import Any

from localcloud.ministack.asl import histories, redrives, runs
from localcloud.ministack.asl.errors import StateError, StoppedError
from localcloud.ministack.threads import Threads

_ABORTED = ("Task", "Wait", "Map", "Parallel")


class Branches:
    """Runs the branches or the iterations of a state, with the events that tell of them."""

    def __init__(self, threads: Threads, history: histories.Histories) -> None:
        self._threads, self._history = threads, history

    def run(
        self, execution: dict[str, Any], name: str, works: Sequence[Callable[[], Any]], most: int, kind: str
    ) -> list[Any]:
        """The results of all, at most `most` at a time; the first that fails stops the others, and its error is raised.

        `name` is the state's, `kind` its type. Where a redriven execution goes on, those that ended are not run again.
        """
        outer, add, is_map = histories.current(), self._history.add, kind == "Map"
        if not any(scope.startswith(outer.inner(name)) for scope in outer.resumed):
            add(
                execution,
                f"{kind}StateStarted",
                {"mapStateStartedEventDetails": {"length": len(works)}} if is_map else {},
            )
        began = outer.last

        def placed(number: int, work: Callable[[], Any]) -> Callable[[], Any]:
            """`work` where its events belong to a branch or an iteration."""

            def run() -> Any:
                """The result of a branch or an iteration, whose events belong to it."""
                follows = began if number < most else outer.last
                place = histories.Place(outer.inner(name, number), follows, outer.resumed)
                point = outer.resumed.get(place.scope)
                told = is_map and not (point and point.name is None)
                with histories.at(place):
                    try:
                        if told:
                            add(execution, *_iteration("Started", name, number))
                        result = work()
                    except StateError as error:
                        error.place = place
                        raise
                    if told:
                        add(execution, *_iteration("Succeeded", name, number), followed=False)
                outer.last = place.last
                return result

            return run

        try:
            results = runs.together(self._threads, [placed(*one) for one in enumerate(works)], most)
        except StoppedError:
            raise
        except StateError as error:
            self._fail(execution, name, is_map, error)
            raise
        finally:
            # What begins anew after this runs all.
            for scope in [scope for scope in outer.resumed if scope.startswith(outer.inner(name))]:
                outer.resumed.pop(scope, None)
        add(execution, f"{kind}StateSucceeded", followed=False)
        return results

    def _fail(self, execution: dict[str, Any], name: str, is_map: bool, error: StateError) -> None:
        """Tell that what ran beside a failed branch or iteration was aborted, and that an iteration failed."""
        place, outer = error.place, histories.current()
        if place is None:
            return
        error.of_branch, outer.last = True, place.last
        if "mapRunArn" in execution:
            return
        for scope, point in redrives.points(execution["events"]).items():
            inside = scope.startswith(outer.inner(name)) and not f"{scope}\x1f".startswith(f"{place.scope}\x1f")
            if not inside or point.entered is None:
                continue
            number = scope.removeprefix(outer.inner(name))
            if is_map and "\x1f" not in number:
                self._history.add(execution, *_iteration("Aborted", name, int(number)), followed=False)
            if point.kind in _ABORTED:
                self._history.add(execution, f"{point.kind}StateAborted", followed=False)
        if is_map:
            number = place.scope.removeprefix(outer.inner(name))
            self._history.add(execution, *_iteration("Failed", name, int(number)), followed=False)


def _iteration(what: str, name: str, number: int) -> tuple[str, dict[str, Any]]:
    return f"MapIteration{what}", {f"mapIteration{what}EventDetails": {"name": name, "index": number}}
