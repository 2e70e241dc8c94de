"""Puts the interpreter of this package in the place of MiniStack's own.

MiniStack's takes null for what is missing, knows 30 of the 39 comparisons of Choice, leaves TimeoutSeconds of machines,
HeartbeatSeconds and paths of numbers unread, runs on after an execution was stopped, and gives wrong arguments of
functions as sentences of Python's. What it does by services, JSONata and Map Runs stays.
"""

import functools
import importlib
import json
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

from localcloud.ministack.asl import choices, json_paths, payloads, retries
from localcloud.ministack.asl.callbacks import Callbacks
from localcloud.ministack.asl.engine import Engine
from localcloud.ministack.asl.errors import RUNTIME, StateError
from localcloud.ministack.asl.histories import Histories
from localcloud.ministack.asl.integrations import Integrations
from localcloud.ministack.asl.intrinsics import evaluate
from localcloud.ministack.asl.lifecycle import Lifecycle
from localcloud.ministack.asl.machines import Machines
from localcloud.ministack.asl.queries import Finished, Queries, status_change
from localcloud.ministack.asl.requests import Refused
from localcloud.ministack.asl.tasks import Tasks
from localcloud.ministack.private_names import find_names
from localcloud.ministack.threads import Threads

logger = logging.getLogger("localcloud")

_REPLACED = (
    "_ExecutionError", "_run_execution", "_run_sub_machine", "_fail_execution", "_start_execution",
    "_start_sync_execution", "_stop_execution", "_invoke_nested_start_execution",
    "_invoke_nested_start_execution_sync", "_send_task_success", "_send_task_failure", "_send_task_heartbeat",
    "_execute_pass", "_execute_choice", "_execute_wait", "_execute_task", "_execute_parallel", "_execute_map",
    "_fail_state_error", "_evaluate_rule", "_add_event", "_emit_execution_status_event",
    "_resolve_path", "_resolve_path_or_ctx", "_resolve_ctx_path",
    "_resolve_params_obj", "_evaluate_intrinsic", "_apply_input_path", "_apply_output_path", "_apply_parameters",
    "_apply_result_selector", "_apply_result_path_raw", "_error_matches",
)  # fmt: skip
_USED = (
    "_state_machines", "_state_machine_versions", "_state_machine_aliases", "_executions", "_activities",
    "_activity_tasks", "_describe_execution", "_get_execution_history", "_resolve_state_machine_arn",
    "_execution_version_arn", "_default_encryption", "_nested_start_execution_request", "_state_query_language",
    "_apply_jsonata_arguments", "_apply_jsonata_output", "_apply_jsonata_template", "_apply_state_assign",
    "_call_lambda", "_resolve_lambda_function_ref", "_create_state_machine", "_update_state_machine",
    "_describe_state_machine", "_delete_state_machine", "_create_activity", "_delete_activity", "_describe_activity",
    "_get_activity_task", "_describe_state_machine_for_execution", "_publish_state_machine_version",
    "_create_state_machine_alias", "_list_state_machine_versions", "_list_state_machine_aliases", "_list_map_runs",
    "_describe_map_run", "_update_map_run", "_test_state", "_map_runs", "_SM_INTERNAL_KEYS",
    "_register_sfn_jsonata_functions", "_jsonata_state_field", "_jsonata_wait_seconds", "_jsonata_wait_timestamp",
    "_json_type", "_invoke_resource", "_run_distributed_map", "_read_map_items", "json_response",
    "error_response_json", "get_region", "get_account_id", "new_uuid", "now_iso",
    "_finalize_response",
)  # fmt: skip


def install(states: ModuleType, functions: Any, threads: Threads, changed: Callable[[str], None]) -> Lifecycle:
    """Patch `ministack.services.stepfunctions`; `functions` is `ministack.services.lambda_svc`.

    `changed(service)` is called after an execution ran.
    """
    find_names(states, *_REPLACED, *_USED)
    machines: Any = states
    waiting, services = Callbacks(machines), Integrations(machines, functions)
    machines._send_event = services.send
    history = Histories(lambda: str(machines.now_iso()))
    engine = Engine(machines, threads, Tasks(machines, threads, waiting, services, history), history)
    life = Lifecycle(machines, threads, engine, history)
    queries = Queries(machines)

    def run(arn: str) -> None:
        try:
            life.run(arn)
        finally:
            changed("states")

    def run_sub_machine(inner: dict[str, Any], start: str, value: Any, execution: Any, context: Any) -> Any:
        return engine.walk({"States": inner, "StartAt": start}, value, execution, context)

    made: dict[str, Any] = {
        "_ExecutionError": StateError,
        "_run_execution": run,
        "_run_sub_machine": run_sub_machine,
        "_fail_execution": life.fail,
        "_start_execution": life.start,
        "_start_sync_execution": life.start_sync,
        "_stop_execution": life.stop,
        "_invoke_nested_start_execution": life.nested,
        "_invoke_nested_start_execution_sync": life.nested_sync,
        "_send_task_success": waiting.succeed,
        "_send_task_failure": waiting.fail,
        "_send_task_heartbeat": waiting.heartbeat,
        "_execute_pass": engine.pass_on,
        "_execute_choice": engine.choose,
        "_execute_wait": engine.wait,
        "_execute_task": engine.task,
        "_execute_parallel": engine.parallel,
        "_execute_map": engine.map,
        "_fail_state_error": engine.failure,
        "_evaluate_rule": choices.holds,
        "_resolve_path": _found,
        "_resolve_path_or_ctx": _found,
        "_resolve_ctx_path": lambda path, context: _found(path, None, context),
        "_resolve_params_obj": payloads.fill,
        "_evaluate_intrinsic": evaluate,
        "_apply_input_path": payloads.input_path,
        "_apply_output_path": payloads.output_path,
        "_apply_parameters": payloads.parameters,
        "_apply_result_selector": payloads.result_selector,
        "_apply_result_path_raw": payloads.result_path,
        "_add_event": history.add,
        "_emit_execution_status_event": functools.partial(_tell_status, machines),
        "_error_matches": lambda names, error: retries.matches(names, StateError(error, "")),
    }
    for name in _REPLACED:
        setattr(machines, name, made[name])
    finalize = machines._finalize_response
    machines._finalize_response = lambda answer: answer if isinstance(answer[2], Finished) else finalize(answer)
    refused = Refused(machines)
    machines._describe_execution = refused.unless_there(queries.describe, "execution")
    shown = queries.of_history(machines._get_execution_history)
    machines._get_execution_history = refused.unless_there(shown, "execution")
    machines._get_activity_task = waiting.offering(machines._get_activity_task)
    Machines(machines, life).install()
    _leave_eval_out(machines)
    return life


def _tell_status(machines: Any, execution: dict[str, Any]) -> None:
    """Send the event of an execution's status; Express executions say nothing to EventBridge."""
    if execution.get("sync"):
        return
    detail = status_change(execution, machines._state_machines.get(execution["stateMachineArn"]))
    entry = {
        "Source": "aws.states",
        "DetailType": "Step Functions Execution Status Change",
        "Detail": json.dumps(detail),
        "Resources": [execution["executionArn"]],
    }
    try:
        events = importlib.import_module("ministack.services.eventbridge")
        events._put_events({"Entries": [entry]}, allow_aws_source=True)
    except Exception:
        logger.warning("the status of %s could not be told to EventBridge", execution["executionArn"], exc_info=True)


def _found(path: str, data: Any, context: Any = None) -> Any:
    try:
        return json_paths.find(path, data, context)
    except json_paths.MissingPathError:
        raise StateError(RUNTIME, f"Invalid path '{path}' : No results for path: {path}") from None


def _leave_eval_out(machines: Any) -> None:
    """Let JSONata have no $eval, which Step Functions leaves out of it."""
    register = machines._register_sfn_jsonata_functions

    def register_without_eval(expression: Any) -> None:
        register(expression)
        expression.assign("eval", None)

    machines._register_sfn_jsonata_functions = register_without_eval
