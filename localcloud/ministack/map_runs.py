"""Map Runs of Step Functions: the children of a distributed Map, redrives of those that failed, and ResultWriter.

Sources: AWS Step Functions Developer Guide, "Using Map state in Distributed mode", "Redriving Map Runs in Step
Functions executions", "ResultWriter", and a published sample of its files.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.ministack.asl import histories, limits, runs
from localcloud.ministack.asl.errors import RUNTIME, StateError, StoppedError
from localcloud.ministack.threads import Threads

_MOST_AT_ONCE = 64
_MOST_REDRIVES = 1000
_COUNTS = (
    "pending", "running", "succeeded", "failed", "timedOut", "aborted", "total", "resultsWritten",
    "failuresNotRedrivable", "pendingRedrive",
)  # fmt: skip
_EXCEEDED = "States.ExceedToleratedFailureThreshold"
_OUTCOMES = ("FAILED", "PENDING", "SUCCEEDED")
# Members of a line in a result file, and where they are in a child execution.
_MEMBERS = {
    "ExecutionArn": "executionArn",
    "Input": "input",
    "InputDetails": "inputDetails",
    "Name": "name",
    "Output": "output",
    "OutputDetails": "outputDetails",
    "Error": "error",
    "Cause": "cause",
    "StartDate": "startDate",
    "StateMachineArn": "stateMachineArn",
    "Status": "status",
    "StopDate": "stopDate",
}
_SPELLING = {"included": "Included"}

Execution = dict[str, Any]


class MapRuns:
    """Takes the place of the emulator's function that runs a distributed Map."""

    def __init__(
        self,
        states: Any,
        threads: Threads,
        history: histories.Histories,
        put: Callable[[str, str, bytes], None],
        children_of: Callable[[str], list[Execution]],
    ) -> None:
        """`states` is the emulator's module of Step Functions; `put(bucket, key, body)` writes an S3 object;
        `children_of(map_run_arn)` gives the children that ended.
        """
        self._states = states
        self._threads, self._history, self._put, self._children_of = threads, history, put, children_of
        self._states._run_distributed_map = self.run

    def run(
        self, state: dict[str, Any], value: Any, inputs: list[Any], processor: Any, execution: Execution, context: Any
    ) -> tuple[Any, None]:
        """The result of a distributed Map state, given its children's inputs: with a ResultWriter where that is.

        The results are also written when the Map failed; then its error is raised afterwards.
        """
        redriven = self._states._map_runs.get(state.get("MapRunArn"))
        if redriven and redriven["status"] == "SUCCEEDED":
            # What failed is what its state made of the results: a new one begins.
            redriven = None
        run = self._again(redriven) if redriven else self._new(state, len(inputs), execution)
        arn, what = run["mapRunArn"], "Redriven" if redriven else "Started"
        told = {"mapRunArn": arn, **({"redriveCount": run["redriveCount"]} if redriven else {})}
        self._history.add(execution, f"MapRun{what}", {f"mapRun{what}EventDetails": told})
        failed: StateError | None = None
        result: Any = None
        try:
            result = self._results(run, inputs, processor, execution, context, bool(redriven))
            if writer := state.get("ResultWriter"):
                result = self._written(arn, writer["Parameters"])
            if run["status"] == "FAILED":
                failed = StateError(_EXCEEDED, "The specified tolerated failure threshold was exceeded")
        except StoppedError:
            raise
        except StateError as error:
            run["status"], failed = "FAILED", error
        if failed is None:
            self._history.add(execution, "MapRunSucceeded")
            return result, None
        self._history.add(
            execution, "MapRunFailed", {"mapRunFailedEventDetails": {"error": failed.error, "cause": failed.cause}}
        )
        raise failed

    def _new(self, state: dict[str, Any], count: int, execution: Execution) -> dict[str, Any]:
        """The record of a Map Run that begins."""
        _, _, _, region, account, _, machine = execution["stateMachineArn"].split(":")[:7]
        label = state.get("Label") or self._states.new_uuid()
        arn = f"arn:aws:states:{region}:{account}:mapRun:{machine}/{label}:{self._states.new_uuid()}"
        run = {
            "mapRunArn": arn, "executionArn": execution["executionArn"], "status": "RUNNING",
            "startDate": self._states.now_iso(), "maxConcurrency": int(state.get("MaxConcurrency") or 0),
            "toleratedFailurePercentage": float(state.get("ToleratedFailurePercentage") or 0),
            "toleratedFailureCount": int(state.get("ToleratedFailureCount") or 0), "redriveCount": 0,
            "_stateMachineArn": f"{execution['stateMachineArn']}/{label}",
            "_limits": [name for name in ("ToleratedFailureCount", "ToleratedFailurePercentage") if name in state],
        }  # fmt: skip
        for counts in ("itemCounts", "executionCounts"):
            run[counts] = {"total": count}
        self._states._map_runs[arn] = run
        return run

    def _again(self, run: dict[str, Any]) -> dict[str, Any]:
        """The record of a Map Run that is redriven: what did not succeed waits again."""
        if run["redriveCount"] >= _MOST_REDRIVES:
            raise StateError(RUNTIME, f"The Map Run was redriven {_MOST_REDRIVES} times, which is the most.")
        run.pop("stopDate", None)
        run.update(status="RUNNING", redriveCount=run["redriveCount"] + 1, redriveDate=self._states.now_iso())
        return run

    def _results(
        self, run: dict[str, Any], inputs: list[Any], processor: Any, execution: Execution, context: Any, again: bool
    ) -> list[Any]:
        """The outputs of all children, None for those that failed; the run is marked with how it ended."""
        found = self._children_of(run["mapRunArn"]) if again else []
        known = {child["index"]: child for child in found if "index" in child}
        total, done = run["itemCounts"]["total"], sum(child["status"] == "SUCCEEDED" for child in known.values())
        for name in ("itemCounts", "executionCounts"):
            run[name] = dict.fromkeys(_COUNTS, 0) | {"total": total, "succeeded": done, "pending": total - done}
        results: list[Any] = [None] * total
        changed = threading.Condition()

        def count(was: str, now: str) -> None:
            with changed:
                for counts in (run["itemCounts"], run["executionCounts"]):
                    counts[was] -= 1
                    counts[now] += 1
                changed.notify_all()

        def work(number: int) -> Callable[[], None]:
            """What runs the child of this number."""

            def do() -> None:
                """Run one child; how it ended is counted."""
                runs.current().check()
                child = self._child(run, number, inputs, known.get(number), execution)
                count("pending", "running")
                outcome = "aborted"
                try:
                    results[number], outcome = self._ended(child, processor, execution, context, number)
                finally:
                    count("running", outcome)

            return do

        left = []
        for number in range(len(results)):
            if number in known and known[number]["status"] == "SUCCEEDED":
                results[number] = json.loads(known[number]["output"])
            else:
                left.append(work(number))
        try:
            runs.together(self._threads, left, run["maxConcurrency"] or _MOST_AT_ONCE)
        except StoppedError:
            with changed:
                changed.wait_for(lambda: run["itemCounts"]["running"] == 0)
            for counts in (run["itemCounts"], run["executionCounts"]):
                counts |= {"aborted": counts["aborted"] + counts["pending"], "pending": 0}
            run.update(status="ABORTED", stopDate=self._states.now_iso())
            raise
        counts = run["itemCounts"]
        for one in (counts, run["executionCounts"]):
            one["resultsWritten"] = one["succeeded"]
        run.update(status="FAILED" if _exceeds(run) else "SUCCEEDED", stopDate=self._states.now_iso())
        return results

    def _child(
        self, run: dict[str, Any], number: int, inputs: list[Any], known: Execution | None, execution: Execution
    ) -> Execution:
        """The record of a child that begins, which is stored; one that is redriven keeps its name and input."""
        if known is not None:
            for name in ("error", "cause", "stopDate"):
                known.pop(name, None)
            child = {**known, "status": "RUNNING", "output": None, "stopDate": None}
        else:
            name, machine = self._states.new_uuid(), run["_stateMachineArn"]
            child = {
                "executionArn": f"{machine.replace(':stateMachine:', ':execution:')}:{name}",
                "stateMachineArn": machine, "name": name, "status": "RUNNING",
                "startDate": self._states.now_iso(), "stopDate": None, "input": limits.as_json(inputs[number]),
                "inputDetails": {"included": True}, "output": None,
                "outputDetails": {"included": True}, "mapRunArn": run["mapRunArn"], "index": number, "events": [],
            }  # fmt: skip
        self._states._executions[child["executionArn"]] = child
        return child

    def _ended(
        self, child: Execution, processor: Any, execution: Execution, context: Any, number: int
    ) -> tuple[Any, str]:
        """Run a child to its end: its output, and how it ended as Map Runs count it."""
        value = json.loads(child["input"])
        own = {
            **context,
            "variables": dict(context.get("variables") or {}),
            "Execution": {
                "Id": child["executionArn"], "Input": value, "Name": child["name"], "StartTime": child["startDate"],
            },
            "Map": {"Item": {"Index": number, "Value": value}},
        }  # fmt: skip
        output, outcome = None, "succeeded"
        try:
            with runs.Run(runs.current()) as mine, histories.at(histories.Place()):
                call = self._states._run_sub_machine
                output = runs.within(
                    mine, call, processor.get("States", {}), processor.get("StartAt"), value, child, own
                )
            ended = {"output": limits.as_json(output)}
        except StoppedError:
            child.update(stopDate=self._states.now_iso())
            child["status"] = "ABORTED"
            raise
        except Exception as error:
            told = error if isinstance(error, StateError) else StateError("States.TaskFailed", str(error))
            ended, outcome = {"error": told.error, "cause": told.cause}, "failed"
        # First what others read once they see the status.
        child.update(ended, stopDate=self._states.now_iso())
        child["status"] = outcome.upper()
        return output, outcome

    def _written(self, arn: str, place: Mapping[str, Any]) -> dict[str, Any]:
        """Where ResultWriter wrote the results of a Map Run. StateError if it cannot."""
        files, manifest = result_files(arn, self._children_of(arn), place["Bucket"], place.get("Prefix", ""))
        try:
            for key, body in files.items():
                self._put(place["Bucket"], key, body)
        except (BotoCoreError, ClientError) as error:
            raise StateError("States.ResultWriterFailed", str(error)) from error
        return {"MapRunArn": arn, "ResultWriterDetails": {"Bucket": place["Bucket"], "Key": manifest}}


def _exceeds(run: Mapping[str, Any]) -> bool:
    """Whether more children failed than is tolerated; with no limit set, none is."""
    counts = run["itemCounts"]
    failed, total = counts["failed"], counts["total"]
    exceeded = {
        "ToleratedFailureCount": failed > run["toleratedFailureCount"],
        "ToleratedFailurePercentage": failed * 100 > run["toleratedFailurePercentage"] * total,
    }
    return bool(failed) and (not run["_limits"] or any(exceeded[name] for name in run["_limits"]))


def result_files(
    map_run_arn: str, children: Iterable[Mapping[str, Any]], bucket: str, prefix: str
) -> tuple[dict[str, bytes], str]:
    """The objects that ResultWriter writes for a Map Run, and the key of its manifest.

    `children` are executions as MiniStack stores them. The objects are bytes by key: one file for each outcome that
    occurred, and the manifest, all under `prefix` and the run's id.
    """
    place = "/".join(filter(None, [prefix.strip("/"), map_run_arn.rsplit(":", 1)[-1]]))
    by_outcome: dict[str, list[dict[str, Any]]] = {outcome: [] for outcome in _OUTCOMES}
    for child in children:
        status = str(child["status"])
        by_outcome[status if status == "SUCCEEDED" else "FAILED"].append(_line(child))
    files = {
        f"{place}/{outcome}_0.json": json.dumps(lines, separators=(",", ":")).encode()
        for outcome, lines in by_outcome.items()
        if lines
    }
    listed = {
        outcome: [{"Key": key, "Size": len(body)} for key, body in files.items() if key.endswith(f"/{outcome}_0.json")]
        for outcome in _OUTCOMES
    }
    manifest = {"DestinationBucket": bucket, "MapRunArn": map_run_arn, "ResultFiles": listed}
    key = f"{place}/manifest.json"
    return {**files, key: json.dumps(manifest, separators=(",", ":")).encode()}, key


def _line(child: Mapping[str, Any]) -> dict[str, Any]:
    """Return a child execution as a line of ResultWriter's files has it."""
    found = {ours: child[theirs] for ours, theirs in _MEMBERS.items() if child.get(theirs) is not None}
    for details in ("InputDetails", "OutputDetails"):
        if details in found:
            found[details] = {_SPELLING.get(name, name): value for name, value in found[details].items()}
    succeeded = found.get("Status") == "SUCCEEDED"
    reason = "Execution is SUCCEEDED and cannot be redriven" if succeeded else ""
    return {
        **found,
        "RedriveCount": 0,
        "RedriveStatus": "NOT_REDRIVABLE" if succeeded else "REDRIVABLE_BY_MAP_RUN",
        **({"RedriveStatusReason": reason} if reason else {}),
    }
