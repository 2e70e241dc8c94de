"""Patches of MiniStack where it differs from AWS. Each function changes the given modules (by name) in place."""

import copy
import functools
import inspect
import io
import itertools
import json
import logging
import subprocess
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from localcloud.ministack import function_errors
from localcloud.ministack.private_names import find_names, need
from localcloud.settings import DiskError

logger = logging.getLogger("localcloud")

Modules = Mapping[str, Any]

_ERROR_MARK = "__localcloud_lambda_error__"
_WORKER_ERROR = (
    '_real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()}) + "\\n")'
)
_COMPARED_BYTES = 16 * 2**20
_WORKER_RESULT = '_real_stdout.write(json.dumps({"status": "ok", "result": result}) + "\\n")'
_MARSHALLED_RESULT = """try:
                answer = json.dumps({"status": "ok", "result": result})
            except Exception as e:
                raise type("Runtime.MarshalError", (Exception,), {})(f"Unable to marshal response: {e}") from None
            _real_stdout.write(answer + "\\n")"""
_WORKER_INIT_ERROR = '_real_stdout.write(json.dumps({"status": "error", "error": str(e)}) + "\\n")'
_TOLD_INIT_ERROR = (
    '_real_stdout.write(json.dumps({"status": "error", "error": json.dumps('
    '[type(e).__name__, str(e), module_name, handler_name, "mod" in locals()])}) + "\\n")'
)
_LONGEST_NAME = 255
_WILDCARDS = [f"Access-Control-{name}" for name in ("Allow-Origin", "Allow-Methods", "Allow-Headers", "Expose-Headers")]
# Variables of the server that a Lambda worker inherits; credentials and the function's configuration are added.
_INHERITED_BY_LAMBDA = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")


def name_lambda_errors(modules: Modules, changed: Callable[[str], None], printed: Callable[[str], None]) -> None:
    """Report a handler's exception under its class name, so that Retry and Catch on a named error match.

    Unpatched, the worker returns str(e) only, every error arrives as Runtime.HandlerError, and the worker is killed.
    Patched, the worker returns the error as a marked result and stays warm, as on AWS.
    `changed(service)` is called after an invocation, `printed(text)` with what the function printed.
    """
    runtime, service = modules["core.lambda_runtime"], modules["services.lambda_svc"]
    script: str = runtime._PYTHON_WORKER_SCRIPT
    need(script.count(_WORKER_ERROR) == 1, "lambda_runtime._PYTHON_WORKER_SCRIPT reports errors in another way")
    need(script.count(_WORKER_RESULT) == 1, "lambda_runtime._PYTHON_WORKER_SCRIPT writes results in another way")
    need(script.count(_WORKER_INIT_ERROR) == 1, "lambda_runtime._PYTHON_WORKER_SCRIPT fails to start in another way")
    script = script.replace(_WORKER_RESULT, _MARSHALLED_RESULT).replace(_WORKER_INIT_ERROR, _TOLD_INIT_ERROR)
    marked = (
        '_real_stdout.write(json.dumps({"status": "ok", "result": {"' + _ERROR_MARK + '": {'
        '"errorMessage": str(e), "errorType": type(e).__name__, '
        '"stackTrace": traceback.format_tb(e.__traceback__)[1:], "trace": traceback.format_exc()}}}) + "\\n")'
    )
    runtime._PYTHON_WORKER_SCRIPT = script.replace(_WORKER_ERROR, marked)
    original = service._execute_function_warm

    @functools.wraps(original)
    def execute(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        """The emulator's result of an invocation, with an error as Lambda has it in its body."""
        answer: dict[str, Any] = original(func, event, request_id)
        changed("lambda")
        printed(answer.get("log") or "")
        body = answer.get("body")
        if isinstance(body, dict) and answer.get("error"):
            return {**answer, "body": function_errors.readable(function_errors.as_on_aws(body, request_id))}
        if not (isinstance(body, dict) and _ERROR_MARK in body):
            return answer
        error = dict(body[_ERROR_MARK])
        log = "\n".join(filter(None, [answer.get("log", ""), f"[ERROR] {error.pop('trace')}"]))
        told = function_errors.readable({**error, "requestId": request_id})
        return {"body": told, "error": True, "log": function_errors.readable(log)}

    service._execute_function_warm = execute


def clean_lambda_environment(modules: Modules, own: set[str]) -> None:
    """Start Lambda workers without the variables named in `own`, the server's settings."""
    runtime = modules["core.lambda_runtime"]
    source = inspect.getsource(runtime.Worker._spawn)
    need("spawn_env = {**os.environ, **env_vars}" in source, "lambda_runtime.Worker._spawn builds its variables anew")
    hidden = own - set(_INHERITED_BY_LAMBDA)

    class Subprocess(ModuleType):
        """The subprocess module with a Popen that removes the server's settings."""

        def __getattr__(self, name: str) -> Any:
            return getattr(subprocess, name)

        @staticmethod
        def Popen(command: Any, *, env: Mapping[str, str] | None = None, **options: Any) -> Any:  # noqa: N802 - its name
            shown = None if env is None else {name: value for name, value in env.items() if name not in hidden}
            return subprocess.Popen(command, env=shown, **options)

    runtime.subprocess = Subprocess("subprocess")


def retry_events(modules: Modules) -> None:
    """Invoke the function of an EventBridge rule asynchronously, with retries and dead-letter queue, as AWS does.

    MiniStack has asynchronous invocation but calls the target of a rule once.
    """
    service = modules["services.lambda_svc"]

    def dispatch(arn: str, payload: str) -> None:
        func, config, name = service._get_func_record_for_ref(arn)
        if not func or not config:
            logger.warning("EventBridge: the function %s that a rule targets does not exist", name)
            return
        try:
            event = json.loads(payload)
        except ValueError:
            event = payload
        service.invoke_async_with_retry(service._execution_record_for_config(func, config), event)

    modules["services.eventbridge"]._dispatch_to_lambda = dispatch


def fail_on_a_full_disk(modules: Modules) -> None:
    """Raise DiskError when an S3 object cannot be written, so that the put is not acknowledged."""
    s3 = modules["services.s3"]
    original = s3._atomic_write

    @functools.wraps(original)
    def write(path: str, data: Any, **options: Any) -> None:
        try:
            original(path, data, **options)
        except OSError as error:
            raise DiskError(f"{path} could not be written: {error.strerror}") from error

    s3._atomic_write = write


def copy_by_entry(modules: Modules) -> None:
    """Copy a service's state one entry at a time, so that requests that change it meanwhile do not stop the copy.

    An entry that changes while it is copied is copied again; unpatched, the whole copy starts again.
    """
    for name in ("AccountScopedDict", "AccountRegionScopedDict"):
        scoped = getattr(modules["core.responses"], name)

        def copied(self: Any, memo: dict[int, Any]) -> Any:
            """A deep copy, entry by entry: entries that others add or remove meanwhile do not fail it."""
            made = type(self)()
            memo[id(self)] = made
            for key in list(self._data):
                for tries_left in range(20, 0, -1):
                    try:
                        if key in self._data:
                            made._data[key] = copy.deepcopy(self._data[key], memo)
                        break
                    except KeyError:
                        break
                    except RuntimeError:
                        if tries_left == 1:
                            raise
                        time.sleep(0.001)
            return made

        scoped.__deepcopy__ = copied


def leave_dates_to_the_server(main: Any) -> None:
    """Add no Date to answers: the server adds one that it formats once a second."""
    find_names(main, "_with_date_header")
    main._with_date_header = lambda send: send


def send_no_wildcards(main: Any) -> None:
    """Leave out the four CORS headers that MiniStack adds to each answer: AWS sends none, and no web page is served."""
    find_names(main, "_dispatch_service_request")
    dispatch = main._dispatch_service_request

    @functools.wraps(dispatch)
    async def dispatch_service_request(*request: Any) -> Any:
        status, headers, body = await dispatch(*request)
        for name in _WILDCARDS:
            headers.pop(name, None)
        return status, headers, body

    main._dispatch_service_request = dispatch_service_request


def skip_routes(main: Any) -> None:
    """Hand a request for `/` with X-Amz-Target on to its service at once: so all of AWS's JSON protocols send it.

    Unpatched, MiniStack asks some thirty times before whether host and path are those of something else.
    """
    for name in ("_handle_pre_body_request", "_handle_special_data_plane_request"):
        find_names(main, name)
        original = getattr(main, name)

        @functools.wraps(original)
        async def handle(
            method: str, path: str, headers: dict[str, str], *rest: Any, _original: Any = original, **named: Any
        ) -> Any:
            if path == "/" and "x-amz-target" in headers and headers["host"].startswith(("127.0.0.1", "localhost")):
                return None
            return await _original(method, path, headers, *rest, **named)

        setattr(main, name, handle)


def refuse_yaml_aliases(loader: Any) -> None:
    """Refuse a template with YAML aliases in CloudFormation's words: nine nested ones are a billion values.

    Source: CloudFormation User Guide, "CloudFormation template format" (YAML: aliases are not supported).
    """
    from yaml import AliasEvent  # at the first template, like what it patches

    compose = loader.compose_node

    @functools.wraps(compose)
    def compose_node(self: Any, parent: Any, index: Any) -> Any:
        if self.check_event(AliasEvent):
            raise ValueError("YAML aliases are not allowed in CloudFormation templates")
        return compose(self, parent, index)

    loader.compose_node = compose_node


def refuse_unreadable_archives(modules: Modules) -> None:
    """Refuse a function's archive that cannot be unpacked when it is given, as Lambda does, not when it is invoked.

    One that can be is written at once: DiskError before anything is changed.
    """
    service = modules["services.lambda_svc"]
    find_names(service, "_reject_unreadable_zip", "_write_code_blob", "error_response_json")
    check = service._reject_unreadable_zip

    @functools.wraps(check)
    def refuse(data: bytes | None) -> Any:
        """Lambda's refusal of an archive; None, with the archive on the disk, if there is nothing to refuse."""
        problem = None if not data or check(data) else unreadable(data)
        if problem is None:
            refused = check(data)
            if data and not refused:
                try:
                    service._write_code_blob(data)
                except OSError as error:
                    raise DiskError(f"The function's archive could not be written: {error.strerror}") from error
            return refused
        message = f"Could not unzip uploaded file. Please check your file, then try to upload again. ({problem})"
        return service.error_response_json("InvalidParameterValueException", message, 400)

    service._reject_unreadable_zip = refuse


def ask_s3_for_presigned(main: Any) -> None:
    """Have S3 answer whatever a URL with its signature in the query is for, when it is signed for S3.

    MiniStack guesses the service of such a URL from its path, which is that of an object and can look like any.
    """
    find_names(main, "detect_service")
    detect = main.detect_service

    @functools.wraps(detect)
    def detect_by_scope(method: str, path: str, headers: dict[str, str], query: dict[str, Any]) -> str:
        if "authorization" not in headers:
            scope = str((query.get("X-Amz-Credential") or [""])[0]).split("/")
            if (len(scope) == 5 and scope[3] == "s3") or ("AWSAccessKeyId" in query and "Signature" in query):
                return "s3"
        found: str = detect(method, path, headers, query)
        return found

    main.detect_service = detect_by_scope


def unreadable(data: bytes) -> str | None:
    """Why a zip file cannot be unpacked, as a part of a sentence; None if it can. Bytes are compared up to 16 MiB."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = {member.filename.rstrip("/") for member in members if not member.is_dir()}
            for member in members:
                if member.flag_bits & 1:
                    return f"{member.filename!r:.100} is encrypted"
                folders = itertools.accumulate(member.filename.split("/")[:-1], "{}/{}".format)
                if not names.isdisjoint(folders):
                    return f"{member.filename!r:.100} is in a file, not in a folder"
                if any(len(part.encode(errors="replace")) > _LONGEST_NAME for part in member.filename.split("/")):
                    return f"the name {member.filename!r:.100} is too long"
            broken = archive.testzip() if sum(m.file_size for m in members) <= _COMPARED_BYTES else None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError) as error:
        return str(error)[:200]
    return None if broken is None else f"the bytes of {broken!r:.100} are not those that were packed"
