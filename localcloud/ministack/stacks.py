"""CloudFormation of MiniStack, patched when it is first used: our types, checks, and what is stored before a change."""

import asyncio
import importlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.ministack import definitions, function_limits, patches, templates
from localcloud.ministack.private_names import find_names
from localcloud.settings import DiskError

logger = logging.getLogger("localcloud")

STATE = "cloudformation"
"""The name of the state file of stacks."""


def install(
    types: Mapping[str, Any],
    s3: Any,
    machines: Any,
    check_function: Callable[[dict[str, Any]], None],
    write: Callable[[str], None],
) -> None:
    """Import CloudFormation and patch it: it takes long, so at its first use.

    `types` are resource types by name, `s3` and `machines` MiniStack's modules of S3 and Step Functions. ValueError of
    `check_function(properties)` fails a function of a stack. `write(file)` writes a state file, or raises DiskError.
    """
    names = ("stacks", "handlers", "changesets", "provisioners", "engine")
    stacks, *handling, provisioners, engine = (
        importlib.import_module(f"ministack.services.cloudformation.{name}") for name in names
    )
    resources = provisioners._RESOURCE_HANDLERS
    resources.update(types)
    _run_in_threads(stacks, types)
    begin_on_disk([stacks, *handling], lambda: write(STATE))
    _delete_buckets_whole(resources["AWS::S3::Bucket"], s3)
    patches.refuse_yaml_aliases(engine.CfnLoader)
    templates.install_numbers(engine)
    _check_functions(resources["AWS::Lambda::Function"], check_function)
    templates.install(handling)
    definitions.install_in_stacks(resources["AWS::StepFunctions::StateMachine"], machines)


def _run_in_threads(stacks: Any, types: Mapping[str, Any]) -> None:
    """Have stacks make resources of these types in threads: they call the port, which the event loop serves."""
    already = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda name: name in types or already(name)


def begin_on_disk(modules: list[Any], write: Callable[[], None]) -> None:
    """Call `write()`, which stores how stacks stand, before a change that just began touches its first resource.

    So a kill finds a stack changing whose resources are part old, part new. Where it cannot be stored, the request is
    refused by the saver, but the change goes on: MiniStack cannot take it back. The first of `modules` has the function
    that starts changes, the others have imported it.
    """
    name = "_create_stack_task_in_region"
    for module in modules:
        find_names(module, name)
    start = getattr(modules[0], name)

    def start_stored(change: Any, *of_stack: Any) -> None:
        async def work() -> None:
            try:
                await asyncio.to_thread(write)
            except (Exception, DiskError) as error:
                logger.warning("that a stack changes could not be stored: %s", error)
            await change

        start(work(), *of_stack)

    for module in modules:
        setattr(module, name, start_stored)


def _delete_buckets_whole(bucket: dict[str, Any], s3: Any) -> None:
    """Delete a bucket's folder with the bucket when a stack does: MiniStack would find it at the next start."""
    forget, delete = s3._delete_persisted_bucket, bucket["delete"]

    def gone(name: str, properties: dict[str, Any]) -> None:
        delete(name, properties)
        forget(name)

    bucket["delete"] = gone


def _check_functions(function: dict[str, Any], check: Callable[[dict[str, Any]], None]) -> None:
    """Check functions of stacks as well, which are made without CreateFunction."""
    create, update = function["create"], function["update"]

    def refuse(properties: dict[str, Any]) -> None:
        if refusal := function_limits.refused_configuration(properties):
            raise ValueError(refusal[1])
        check(properties)

    def checked_create(logical_id: str, properties: dict[str, Any], *rest: Any) -> Any:
        refuse(properties)
        return create(logical_id, properties, *rest)

    def checked_update(physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        refuse(new)
        return update(physical_id, old, new, *rest)

    function["create"], function["update"] = checked_create, checked_update
