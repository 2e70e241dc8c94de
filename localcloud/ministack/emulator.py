"""Runs MiniStack inside this process: S3, Lambda, Step Functions, EventBridge, CloudFormation, CloudWatch, Logs, SQS.

All private names that are used are looked up when the emulator is opened; one that is missing stops the start with a
sentence that names it, instead of failing in the middle of a run.
"""

import asyncio
import contextlib
import functools
import importlib
import importlib.util
import json
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from localcloud.ministack import (
    alarms,
    definitions,
    encryption,
    event_entries,
    execution_logs,
    function_limits,
    function_logs,
    imports,
    json_requests,
    list_tokens,
    map_runs,
    patches,
    repeated,
    schedules,
    stacks,
    threads,
    worker_calls,
)
from localcloud.ministack.asl import installation
from localcloud.ministack.durable import Durable, recover_objects
from localcloud.ministack.lambda_workers import Workers
from localcloud.ministack.private_names import find_names, need
from localcloud.ministack.queue_metrics import QueueMetrics
from localcloud.ministack.state_files import StateFiles
from localcloud.settings import DiskError, Settings

logger = logging.getLogger("localcloud")

SERVICE = "sagemaker"
_MODULES = (
    "core.router", "core.persistence", "core.responses", "core.lambda_runtime", "services.eventbridge",
    "services.stepfunctions", "services.lambda_svc", "services.cloudwatch", "services.cloudwatch_logs", "services.s3",
    "services.scheduler", "services.sns", "services.sqs",
)  # fmt: skip


def environment(settings: Settings) -> dict[str, str]:
    """The variables the server process runs with: nothing of the caller's shell but where programs and packages are.

    MiniStack reads its settings from them when it is imported, and Lambda workers are started with (some of) them.
    """
    emulator = settings.emulator_dir
    return {
        "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "HOME": str(settings.home),
        "LANG": "C.UTF-8",
        "TMPDIR": str(emulator / "tmp"),
        **settings.client_environment(),
        "MINISTACK_ACCOUNT_ID": settings.account,
        "MINISTACK_REGION": settings.region,
        # The name in addresses that it gives out, of queues for example.
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(settings.port),
        "BIND_HOST": "127.0.0.1",
        "DOCKER_HOST": f"unix://{emulator}/no-docker.sock",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(emulator / "state"),
        "S3_DATA_DIR": str(emulator / "s3"),
        "LAMBDA_WARM_TTL_SECONDS": "60",
        "LOG_LEVEL": "WARNING",
        # MiniStack's own switch: signatures and policies are checked.
        "AUTH": "true" if settings.enforce_iam else "false",
    }


class Emulator:
    """MiniStack inside this process, its ASGI application as `app`.

    Open it once, after os.environ was set to `environment` and before anything else imports MiniStack.
    """

    def __init__(self, settings: Settings) -> None:
        """Import MiniStack with its state below the emulator's directory, check the private names, apply all patches.

        PrivateNameError if the installed version lacks one of the names.
        """
        self._settings = settings
        self.changed: Callable[[str], None] = lambda service: None
        """Called with a service's name when its state changed without a request to it."""
        self.printed: Callable[[str], None] = lambda text: None
        """Called with what a function printed."""
        self.check_function: Callable[[dict[str, Any]], None] = lambda config: None
        """ValueError if a Lambda function with this configuration may not be created or changed."""
        self._resource_types: dict[str, Any] = {}
        self._loading = threading.Lock()
        # Lambda folders of a killed server; they are in our own TMPDIR, so other processes lose nothing.
        shutil.rmtree(settings.emulator_dir / "tmp", ignore_errors=True)
        for name in ("tmp", "state", "s3"):
            (settings.emulator_dir / name).mkdir(parents=True, exist_ok=True)
        recover_objects(settings.emulator_dir, after_crash=settings.after_crash)
        with imports.light():
            self._main: Any = importlib.import_module("ministack.app")
            self._modules: dict[str, Any] = {name: importlib.import_module(f"ministack.{name}") for name in _MODULES}
        self._check_names()
        repeated.install(self._modules)
        # The emulator's own callbacks are set later, so they are looked up when they are called.
        patches.name_lambda_errors(
            self._modules, lambda service: self.changed(service), lambda text: self.printed(text)
        )
        own = set(environment(settings)) - set(settings.client_environment())
        patches.clean_lambda_environment(self._modules, own)
        workers = Workers(self._modules["core.lambda_runtime"], self._modules["services.lambda_svc"])
        worker_calls.install(self._modules["core.lambda_runtime"])
        pool, machines = threads.Threads(), self._modules["services.stepfunctions"]
        threads.install(pool, machines, self._modules["core.lambda_runtime"])
        functions = self._modules["services.lambda_svc"]
        self._pool = pool
        self._life = life = installation.install(machines, functions, pool, lambda service: self.changed(service))
        patches.retry_events(self._modules)
        patches.fail_on_a_full_disk(self._modules)
        patches.refuse_unreadable_archives(self._modules)
        function_limits.install(self._main, functions)
        event_entries.install(self._modules["services.eventbridge"])
        patches.ask_s3_for_presigned(self._main)
        encryption.install(self._modules["services.s3"], settings)
        alarms.install(self._modules["services.cloudwatch"], functools.partial(self.put_event, source="aws.cloudwatch"))
        self._queue_metrics = QueueMetrics(self._modules["services.sqs"], self._modules["services.cloudwatch"])
        list_tokens.install(self._modules)
        definitions.install(machines)
        patches.copy_by_entry(self._modules)
        patches.leave_dates_to_the_server(self._main)
        patches.send_no_wildcards(self._main)
        patches.skip_routes(self._main)
        self.files = StateFiles(self._main, self._modules["core.persistence"])
        self.durable = Durable(settings.emulator_dir, self._main, self._modules, life.expire)
        self.app: Callable[..., Any] = json_requests.install(self._main, self._modules)
        function_logs.install(self._main, functions, self.durable.logs.put_function_lines, workers.usage)
        life.history.added = execution_logs.ExecutionLogs(self.durable.logs.put_lines).add

    def _check_names(self) -> None:
        """PrivateNameError if MiniStack lacks a name that this module uses."""
        find_names(
            self._main,
            "app",
            "SERVICE_HANDLERS",
            "AUTH",
        )
        modules = self._modules
        find_names(modules["core.router"], "SERVICE_PATTERNS", "detect_service")
        find_names(modules["services.s3"], "_atomic_write", "_delete_persisted_bucket")
        find_names(modules["core.responses"], "request_scope")
        workers = ("_PYTHON_WORKER_SCRIPT", "subprocess.Popen", "Worker._spawn", "reset")
        find_names(modules["core.lambda_runtime"], *workers)
        find_names(modules["services.eventbridge"], "_put_events", "_dispatch_to_lambda")
        find_names(modules["services.stepfunctions"], "_SERVICE_DISPATCH", "_ExecutionError")
        find_names(
            modules["services.lambda_svc"],
            "_execute_function_warm",
            "_get_func_record_for_ref",
            "_execution_record_for_config",
            "invoke_async_with_retry",
        )
        find_names(
            modules["services.cloudwatch_logs"],
            "_put_log_events",
            "_create_log_group",
            "_create_log_stream",
            "_log_groups",
        )
        # Importing CloudFormation takes longer than all else together, so it is looked at here and imported at need.
        spec = importlib.util.find_spec("ministack.services.cloudformation")
        folder = Path(spec.origin or "").parent if spec else Path()
        for module, name, begins in (
            ("provisioners", "_RESOURCE_HANDLERS", "\n_RESOURCE_HANDLERS = {"),
            ("engine", "CfnLoader", "\nclass CfnLoader(yaml.SafeLoader):"),
            ("stacks", "_create_stack_task_in_region", "\ndef _create_stack_task_in_region(coro, "),
            ("stacks", "_runs_on_worker_thread", "\ndef _runs_on_worker_thread(resource_type: str) -> bool:"),
        ):
            source = folder / f"{module}.py"
            need(
                source.is_file() and begins in source.read_text(encoding="utf-8"),
                f"the private name ministack.services.cloudformation.{module}.{name} is missing",
            )

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Act for the settings' account and region in MiniStack's stores."""
        with self._modules["core.responses"].request_scope(self._settings.account, self._settings.region):
            yield

    # SageMaker beside MiniStack's services

    def register_service(self, handler: Callable[..., Any]) -> None:
        """Route SageMaker requests to `handler(method, path, headers, body, query) -> (status, headers, body)`."""
        self._modules["core.router"].SERVICE_PATTERNS[SERVICE] = {
            "target_prefixes": ["SageMaker."],
            "credential_scope": SERVICE,
        }
        self._main.SERVICE_HANDLERS[SERVICE] = handler

    def wrap_handlers(self, wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> None:
        """Replace each service's handler by `wrap(service, handler)`; handlers as in `register_service`."""
        handlers = self._main.SERVICE_HANDLERS
        for service, handler in list(handlers.items()):
            handlers[service] = wrap(service, handler)

    def register_resource_type(
        self,
        name: str,
        create: Callable[[str, dict[str, Any], str], tuple[str, dict[str, Any]]],
        update: Callable[[str, dict[str, Any], dict[str, Any], str], tuple[str, dict[str, Any]]],
        delete: Callable[[str, dict[str, Any]], None],
    ) -> None:
        """Add a CloudFormation type; ValueError from one of the three fails the resource with its message.

        `create(logical_id, properties, stack) -> (Ref, attributes)`, `update(Ref, old, new, stack)` likewise,
        `delete(Ref, properties)`.
        """
        self._resource_types[name] = {"create": create, "update": update, "delete": delete}

    def _load_stacks(self) -> None:
        """Import CloudFormation and patch it, when it is first used: importing it takes long."""
        with self._loading:
            if not self._resource_types:
                return
            types, self._resource_types = self._resource_types, {}
            stacks.install(
                types,
                self._modules["services.s3"],
                self._modules["services.stepfunctions"],
                lambda config: self.check_function(config),
                self.files.write,
            )

    async def before(self, service: str) -> None:
        """To be awaited before a request to a service is handled."""
        if service == "cloudformation":
            await asyncio.to_thread(self._load_stacks)
        if service == "monitoring":
            # Alarms whose data has run out change their state although nothing comes.
            with self.scope():
                self._queue_metrics.record()
                self._modules["services.cloudwatch"]._evaluate_all_alarms()

    def keep_map_runs(self, put: Callable[[str, str, bytes], None]) -> None:
        """Run distributed Maps; `put(bucket, key, body)` writes an S3 object, for ResultWriter."""
        states = self._modules["services.stepfunctions"]
        map_runs.MapRuns(states, self._pool, self._life.history, put, self.durable.executions.of_map_run)

    def register_pipeline_target(self, start: schedules.Start) -> None:
        """Let schedules and rules start SageMaker pipelines; `start(request)` is StartPipelineExecution."""
        schedules.install(
            self._modules["services.eventbridge"],
            self._modules["services.scheduler"],
            start,
            self._store_schedules,
        )

    def _store_schedules(self) -> None:
        """Write when schedules fired; soon, if it cannot be written now."""
        try:
            self.files.write("scheduler")
        except DiskError as error:
            logger.warning("that a schedule fired could not be stored: %s", error)
            self.changed("scheduler")

    def register_integration(self, resource: str, call: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Add a Step Functions SDK integration: parameters in, result out; LookupError(name, cause) fails the state."""
        self.register_integrations(resource, lambda _, parameters: call(parameters))

    def register_integrations(self, prefix: str, call: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
        """Add all integrations whose resource begins so: `call(resource, parameters)`, else as one integration."""
        failed = self._modules["services.stepfunctions"]._ExecutionError

        def run(resource: str, parameters: dict[str, Any]) -> dict[str, Any]:
            try:
                return call(resource, parameters)
            except LookupError as error:
                raise failed(*error.args) from None

        self._modules["services.stepfunctions"]._SERVICE_DISPATCH[prefix] = run

    # EventBridge and CloudWatch Logs, without going through HTTP

    def put_event(
        self, detail_type: str, resources: list[str], detail: Mapping[str, Any], source: str = "aws.sagemaker"
    ) -> None:
        """An event of an AWS source on the default bus; PutEvents over HTTP refuses such sources, as AWS does."""
        entry = {
            "Source": source,
            "DetailType": detail_type,
            "Resources": resources,
            "Detail": json.dumps(detail),
        }
        with self.scope():
            status, _, body = self._modules["services.eventbridge"]._put_events(
                {"Entries": [entry]}, allow_aws_source=True
            )
        self.changed("events")
        if status != 200 or json.loads(body)["FailedEntryCount"]:
            raise RuntimeError(f"EventBridge refused the event {detail_type!r}: {body!r}")

    def put_log_events(self, group: str, stream: str, events: list[dict[str, Any]]) -> None:
        """Append `{"timestamp": ms, "message": text}` to a stream, which comes to be with its group by itself."""
        logs = self._modules["services.cloudwatch_logs"]
        names = {"logGroupName": group, "logStreamName": stream}
        with self.scope():
            if group not in logs._log_groups:
                logs._create_log_group(names)
            if stream not in logs._log_groups[group]["streams"]:
                logs._create_log_stream(names)
            status, _, body = self.durable.logs.keep({**names, "logEvents": events})
        self.changed("logs")
        if status != 200:
            raise RuntimeError(f"CloudWatch Logs refused events for {group}: {body!r}")

    # State

    def resume(self) -> None:
        """Go on with what the last stop interrupted; once requests are answered."""
        self.durable.resume(self._modules["core.responses"].request_scope)

    def close(self) -> None:
        """End the Lambda worker processes and close the stores."""
        self._modules["core.lambda_runtime"].reset()
        self.durable.close()
