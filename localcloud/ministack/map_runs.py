"""Distributed Map of Step Functions as on AWS: child executions have their own names, and ResultWriter writes to S3.

Unpatched, MiniStack runs and counts the children, but gives them the parent's name and ignores ResultWriter.
Source: AWS Step Functions Developer Guide, "ResultWriter", and a published sample of its files.
"""

import functools
import importlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.ministack.asl import runs
from localcloud.ministack.asl.errors import StoppedError
from localcloud.ministack.execution_store import STOPPED
from localcloud.ministack.private_names import find_names

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


def install(put: Callable[[str, str, bytes], None], children_of: Callable[[str], list[dict[str, Any]]]) -> None:
    """Patch ministack.services.stepfunctions; `put(bucket, key, body)` writes an S3 object.

    `children_of(map_run_arn)` gives the child executions of a Map Run that ended.
    """
    machines: Any = importlib.import_module("ministack.services.stepfunctions")
    find_names(
        machines,
        "_run_distributed_map",
        "_run_sub_machine",
        "_map_runs",
        "_ExecutionError",
    )
    run_child, run_map = machines._run_sub_machine, machines._run_distributed_map

    @functools.wraps(run_child)
    def run_named_child(states: Any, start: str, value: Any, execution: dict[str, Any], context: dict[str, Any]) -> Any:
        """Run a machine. A child of a Map Run has a history of its own, and is named by the context; it is marked where
        it is stopped.
        """
        if "mapRunArn" not in execution:
            return run_child(states, start, value, execution, context)
        context["Execution"] = {
            "Id": execution["executionArn"],
            "Input": value,
            "Name": execution["name"],
            "StartTime": execution["startDate"],
        }
        with runs.Run(runs.current()) as own:
            try:
                return runs.within(own, run_child, states, start, value, execution, context)
            except StoppedError:
                # MiniStack calls a child that was stopped failed; the store knows better.
                execution[STOPPED] = True
                raise

    @functools.wraps(run_map)
    def run_map_with_results(
        state: dict[str, Any], value: Any, effective: Any, processor: Any, execution: dict[str, Any], context: Any
    ) -> Any:
        """Run a Map state; with a ResultWriter write its results to S3 and return where the manifest is, as on AWS.

        The results are also written when the Map failed; then its error is raised afterwards. ResultSelector and what
        else shapes a Map's output is applied by the caller.
        """
        writer = state.get("ResultWriter")
        before = set(machines._map_runs)
        failed = result = after = None
        try:
            result, after = run_map(state, value, effective, processor, execution, context)
        except machines._ExecutionError as error:
            failed = error
        arns = [arn for arn in machines._map_runs if arn not in before and _is_of(machines._map_runs[arn], execution)]
        if runs.current().stopped:
            for arn in arns:
                abort(machines._map_runs[arn])
            raise StoppedError
        if not writer:
            if failed is not None:
                raise failed
            return result, after
        place = writer["Parameters"]
        if arns:
            children = children_of(arns[0])
            files, manifest = result_files(arns[0], children, place["Bucket"], place.get("Prefix", ""))
            try:
                for key, body in files.items():
                    put(place["Bucket"], key, body)
            except (BotoCoreError, ClientError) as error:
                raise machines._ExecutionError("States.ResultWriterFailed", str(error)) from error
        if failed is not None:
            raise failed
        written = {"Bucket": place["Bucket"], "Key": manifest}
        return {"MapRunArn": arns[0], "ResultWriterDetails": written}, after

    machines._run_sub_machine, machines._run_distributed_map = run_named_child, run_map_with_results


def abort(run: dict[str, Any]) -> None:
    """Mark a Map Run, whose execution was stopped, and what of it did not succeed, as aborted."""
    run["status"] = "ABORTED"
    for counts in (run["itemCounts"], run["executionCounts"]):
        counts["aborted"] += counts["failed"]
        counts["failed"] = 0


def _is_of(run: Mapping[str, Any], execution: Mapping[str, Any]) -> bool:
    return bool(run["executionArn"] == execution["executionArn"])


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
