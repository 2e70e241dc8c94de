"""Makes the parts of one local cloud from its settings, connects them, starts and stops them."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from localcloud import resources
from localcloud.cloud import Cloud
from localcloud.engine.service import Engine
from localcloud.http.front import Front
from localcloud.http.protocol import Protocol
from localcloud.http.signature import Key, SignatureError
from localcloud.iam.clients import connect
from localcloud.iam.identities import Enforced, Unenforced
from localcloud.iam.visitors import Visitor
from localcloud.images.catalog import CatalogError, known_rules
from localcloud.images.environments import Images, Runtime
from localcloud.jobs.service import JobService
from localcloud.ministack import integrations, interrupted_stacks
from localcloud.ministack.access_keys import OWNERS_KEY, AccessKeys
from localcloud.ministack.emulator import Emulator
from localcloud.ministack.iam_evaluator import Evaluator
from localcloud.ministack.iam_services import enforce_roles
from localcloud.ministack.persistence import Saver
from localcloud.ministack.resource_policies import ResourcePolicies
from localcloud.resources.model_package_groups import policy_for
from localcloud.sandbox.process import Launchers
from localcloud.sandbox.sandbox import detect
from localcloud.serving.invoke import Invoker
from localcloud.serving.manager import Manager
from localcloud.settings import Settings, StartError
from localcloud.state import damage
from localcloud.state.credentials import visitor_secret
from localcloud.state.embedded_metrics import EmbeddedMetrics
from localcloud.state.events import Outbox
from localcloud.state.logs import BatchedLogs
from localcloud.state.store import Store

logger = logging.getLogger("localcloud")


class Assembly:
    """The parts of one cloud; `front` is the ASGI application of the port."""

    def __init__(self, settings: Settings) -> None:
        """Assemble all parts of the local cloud from `settings`; nothing runs or answers before `start`.

        Stacks whose change was interrupted by a kill are marked as failed.
        """
        for directory in (settings.jobs_dir, settings.endpoints_dir):
            directory.mkdir(parents=True, exist_ok=True)
        damage.check(settings)
        resources.load()
        for stack in interrupted_stacks.mark_interrupted(settings.emulator_dir / "state" / "cloudformation.json"):
            logger.warning("stack %s: its change was interrupted when the local cloud was stopped", stack)
        self._emulator = Emulator(settings)
        store = Store(settings.database)
        images = _images(settings)
        self._outbox = Outbox(store, self._emulator.put_event)
        clients = _clients(settings)
        evaluator = Evaluator(settings, self._emulator) if settings.enforce_iam else None
        self.cloud = Cloud(
            settings=settings,
            store=store,
            events=self._outbox,
            logs=BatchedLogs(self._emulator.put_log_events),
            client=clients,
            images=images,
            identities=Unenforced(clients) if evaluator is None else Enforced(evaluator, settings),
        )
        self._saver = Saver(self._emulator.files, self._emulator.durable.settle)
        self._emulator.changed = self._saver.mark
        self._printed = EmbeddedMetrics(lambda: clients("cloudwatch"))
        self._emulator.printed = self._printed.read
        self._access_keys = AccessKeys(self._emulator)
        self._policies = ResourcePolicies(settings.region)
        self._protocol = Protocol(self.cloud, self._access_keys.principal, self._visitor)
        self.cloud.call = self._protocol.call
        self._launchers = Launchers()
        sandbox = detect(settings.jobs_dir, self._launchers, settings.home, images.visible, settings.homes)
        self.cloud.jobs = JobService(self.cloud, settings.max_jobs, sandbox, self._launchers)
        self.cloud.engine = Engine(self.cloud, self.cloud.jobs)
        self.cloud.endpoints = Manager(self.cloud, sandbox, self._launchers)
        self._emulator.wrap_handlers(self._saved)
        self._emulator.register_service(self._protocol.handle)
        integrations.register(self._emulator, self.cloud)
        if evaluator is not None:
            enforce_roles(evaluator, self._emulator, settings)
        self._invoker = Invoker(self.cloud, self.cloud.endpoints)
        self.front = Front(self._emulator.app, self._invoker, self._key_of, self.cloud.identities.access)

    def _key_of(self, access_key: str) -> Key:
        """Return what signatures of an access key are checked against; SignatureError for an unknown key."""
        settings = self.cloud.settings
        if access_key == settings.account:
            return Key(settings.secret)
        visitor = visitor_secret(settings.home, access_key) if OWNERS_KEY.fullmatch(access_key) else None
        if visitor is not None:
            return Key(visitor, visitor=True)
        found = self._access_keys.find(access_key)
        if found is None:
            raise SignatureError("unknown", "The security token included in the request is invalid.")
        return Key(*found)

    def _visitor(self, headers: Mapping[str, str]) -> Visitor | None:
        """The owner of another account, if such a one signed the request."""
        account = self._access_keys.account(headers)
        if account is None or account == self.cloud.settings.account:
            return None
        return Visitor(
            account, lambda who, need: self._policies.allow(policy_for(self.cloud, need.resource), who, need)
        )

    def _saved(self, service: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a service's handler so that what a request changes is on disk before it is answered."""

        async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
            """Take the room that the request needs on the disk, handle it, and store what it changed."""
            self._policies.begin()
            request = service, _operation(path, headers, body, query), method, path
            room = self._saver.before(*request, len(body))
            try:
                await self._emulator.before(service)
                answer = await handler(method, path, headers, body, query)
                await self._saver.after(*request, room)
            finally:
                if room is not None:
                    room.release()
            return answer

        return handle

    async def cloud_started(self) -> None:
        """Resume what was running; called once the port answers."""
        await asyncio.to_thread(self._emulator.resume)
        await asyncio.to_thread(self._outbox.resend)
        await asyncio.to_thread(self.cloud.endpoints.resume)
        self._invoker.asynchronous.resume()
        await asyncio.to_thread(self.cloud.engine.recover)

    async def cloud_stopping(self) -> None:
        """Stop jobs, executions and model servers while the port still answers; they store their outputs through it."""
        self.front.ready = None
        for name, stop in (("the engine", self.cloud.engine.close), ("the endpoints", self.cloud.endpoints.stop)):
            try:
                await asyncio.to_thread(stop)
            except Exception:
                # What comes after it has to be stopped all the same.
                logger.exception("stopping %s failed", name)
        await asyncio.to_thread(self._launchers.close)
        await self._invoker.close()
        await asyncio.to_thread(self.cloud.runner.stop)
        await asyncio.to_thread(self._printed.stop)
        await asyncio.to_thread(self.cloud.logs.flush)

    def close(self) -> None:
        """Store the last state, after the port has been closed."""
        self._protocol.close()
        self._saver.stop()
        self._emulator.close()
        self.cloud.store.close()


def _images(settings: Settings) -> Images:
    """Return the images that the settings name; StartError when the user's file of rules cannot be used."""
    fallback = None
    if settings.image_env is not None:
        fallback = Runtime(settings.image_env, settings.image_root or settings.image_env)
    try:
        rules = known_rules(settings.images)
    except CatalogError as error:
        raise StartError(f"{error}.") from None
    return Images(settings.environments, rules, fallback, settings.installer)


def _operation(path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> str:
    """The operation's name in any of AWS's protocols; empty for REST, where the method says enough."""
    target = headers.get("x-amz-target", "")
    if target:
        return target.rpartition(".")[2]
    if "/operation/" in path:
        return path.rpartition("/")[2]
    if "Action" in query:
        return query["Action"][0]
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        return parse_qs(body[:100_000].decode("utf-8", "replace")).get("Action", [""])[0]
    return ""


def _clients(settings: Settings) -> Callable[[str], Any]:
    """boto3 clients at our own port, made when they are first asked for."""
    making = threading.Lock()
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        """The client of a service, such as `s3`; made once, by whichever thread comes first."""
        with making:
            if service not in made:
                made[service] = connect(service, settings, settings.account, settings.secret)
            return made[service]

    return client
