"""Decides by IAM policies: MiniStack's evaluator, temporary credentials and the trust policies of roles.

MiniStack asks this evaluator for its own services (S3, Lambda, SQS and others); SageMaker's operations ask it here.
"""

from __future__ import annotations

import importlib
import json
import logging
import secrets
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote

from localcloud.iam.access import Need, NotAllowedError
from localcloud.ministack.emulator import Emulator
from localcloud.ministack.private_names import find_names
from localcloud.settings import Settings

logger = logging.getLogger("localcloud")

_DENIALS_KEPT = 200
_NAMES = {
    "core.iam_evaluator": (
        "enforce", "pin_signed_request", "pin_signed_body", "evaluate_resource_policy", "EvalContext", "AuthError",
        "pin_request_origin",
    ),
    "core.iam_actions": ("access_denied_response", "identity_denial_message", "request_tag_context"),
    "core.router": ("extract_access_key_id",),
    "services.sts": ("register_session", "_sessions"),
    "services.iam": ("_roles",),
}  # fmt: skip


class Evaluator:
    """Decides requests by the policies that MiniStack's IAM holds at that moment."""

    def __init__(self, settings: Settings, emulator: Emulator) -> None:
        self._settings, self._emulator = settings, emulator
        modules: dict[str, Any] = {name: importlib.import_module(f"ministack.{name}") for name in _NAMES}
        for name, private in _NAMES.items():
            find_names(modules[name], *private)
        self._iam, self._actions = modules["core.iam_evaluator"], modules["core.iam_actions"]
        self._router, self._sts, self._roles = modules["core.router"], modules["services.sts"], modules["services.iam"]
        self._lock = threading.Lock()
        self._allowed: dict[tuple[str, str], None] = {}
        self._denied: list[dict[str, str]] = []
        self._record_decisions()
        self._name_s3_objects_in_denials()
        self._tell_what_events_say()

    def access(self) -> dict[str, Any]:
        """Decisions since the start: `allowed`, sorted actions by role name; `denied`, the last 200 denials in order.

        A denial has the members role, action and resource.
        """
        with self._lock:
            roles: dict[str, list[str]] = {}
            for role, action in self._allowed:
                roles.setdefault(role, []).append(action)
            return {"allowed": {role: sorted(actions) for role, actions in roles.items()}, "denied": self._denied[:]}

    # Decisions

    def require(self, access_key: str, need: Need) -> None:
        """Raise NotAllowedError unless the principal of `access_key` is allowed `need`; signatures are not checked."""
        with self._emulator.scope():
            self._decide(access_key, need)

    def verify(self, scope: Mapping[str, Any], body: bytes, need: Need) -> None:
        """As `require`, for an HTTP request (ASGI scope and body), whose signature is checked too."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        path = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
        with self._emulator.scope():
            self._iam.pin_signed_request(scope["method"], path, query, scope["headers"])
            self._iam.pin_signed_body(body)
            self._decide(self._router.extract_access_key_id(headers, query), need)

    def key_of(self, headers: Mapping[str, str]) -> str:
        """The access key in a request's Authorization header; NotAllowedError if there is none."""
        key: str = self._router.extract_access_key_id(dict(headers), {})
        if not key:
            raise NotAllowedError("MissingAuthenticationToken", "Request is missing Authentication Token")
        return key

    def _decide(self, access_key: str, need: Need) -> None:
        """NotAllowedError, with AWS's words, if the policies of the key's owner do not allow what is needed."""
        self._iam.pin_request_origin("127.0.0.1", secure_transport=True)
        service = need.action.partition(":")[0]
        denied = self._iam.enforce(
            access_key, need.action, service, self._settings.region, need.resource, dict(need.keys)
        )
        if denied is None:
            return
        if isinstance(denied, self._iam.AuthError):
            raise NotAllowedError(denied.code, denied.message)
        raise NotAllowedError(
            "AccessDeniedException",
            self._actions.identity_denial_message(
                need.action, denied.principal_arn, need.resource, denied.decision == "Deny"
            ),
        )

    # Roles

    def assume(self, role_arn: str, service: str, session: str) -> dict[str, str]:
        """Credentials with which `service` (e.g. `states.amazonaws.com`) acts as a role, as AWS_* variables.

        They are valid until `forget`. NotAllowedError if the role does not exist or does not trust the service.
        """
        account, name = self._settings.account, role_arn.rpartition("/")[2]
        context = self._iam.EvalContext(
            principal_arn=service, principal_type="Service", principal_account=account, action="sts:AssumeRole",
            resource_arn=role_arn, region=self._settings.region, service_context={"aws:sourceaccount": account},
        )  # fmt: skip
        with self._emulator.scope():
            role = self._roles._roles.get_scoped(account, None, name)
            trust = None if role is None or role["Arn"] != role_arn else role["AssumeRolePolicyDocument"]
            if trust is None or self._iam.evaluate_resource_policy(trust, context, service).decision != "Allow":
                raise NotAllowedError(
                    "ValidationException",
                    f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
                    f"'{service}' to assume the role.",
                )
            key = f"ASIA{secrets.token_hex(8).upper()}"
            secret, token = secrets.token_hex(20), secrets.token_hex(64)
            self._sts.register_session(key, {
                "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
                "UserId": f"{role['RoleId']}:{session}",
                "SecretAccessKey": secret,
                "SessionToken": token,
            })  # fmt: skip
        return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}

    def forget(self, access_key: str) -> None:
        """Revoke credentials that `assume` gave."""
        self._sts._sessions.pop(access_key, None)

    def service_may(self, policy: Any, service: str, need: Need) -> bool:
        """Whether a resource policy (a parsed document) allows `service` the action `need`."""
        context = self._iam.EvalContext(
            principal_arn=service, principal_type="Service", principal_account=self._settings.account,
            action=need.action, resource_arn=need.resource, region=self._settings.region,
            service_context={name.lower(): value for name, value in need.keys.items()},
        )  # fmt: skip
        decision: str = self._iam.evaluate_resource_policy(policy, context, service).decision
        return decision == "Allow"

    # Patches

    def _record_decisions(self) -> None:
        """Record every decision about a role, including those that MiniStack makes for its own services."""
        enforce = self._iam.enforce

        def recorded(access_key: str, action: str, service: str, region: str, *rest: Any, **options: Any) -> Any:
            """Decide as MiniStack does, and note which role was allowed or denied what."""
            denied = enforce(access_key, action, service, region, *rest, **options)
            session = self._sts._sessions.get(access_key)
            if session is None:
                return denied
            role = session["Arn"].split("/")[1]
            resource = options.get("resource_arn", rest[0] if rest else "*")
            if denied is None:
                if (role, action) not in self._allowed:
                    with self._lock:
                        self._allowed[role, action] = None
            elif not isinstance(denied, self._iam.AuthError):
                logger.warning("IAM denies %s: %s on %s", role, action, resource)
                with self._lock:
                    self._denied = [
                        *self._denied[1 - _DENIALS_KEPT :],
                        {"role": role, "action": action, "resource": resource},
                    ]
            return denied

        self._iam.enforce = recorded

    def _name_s3_objects_in_denials(self) -> None:
        """Name the object in S3's denials, as AWS does; MiniStack leaves it out."""
        respond, sentence = self._actions.access_denied_response, self._actions.identity_denial_message

        def response(service: str, action: str, principal_arn: str, request_id: str, **options: Any) -> Any:
            if service == "s3" and not options.get("message") and not options.get("resource_policy_arn"):
                explicit = options.get("explicit_deny", False)
                resource = f'"{options.get("resource_arn", "*")}"'
                if principal_arn:
                    options["message"] = sentence(action, principal_arn, resource, explicit)
            return respond(service, action, principal_arn, request_id, **options)

        self._actions.access_denied_response = response

    def _tell_what_events_say(self) -> None:
        """Set events:source and events:detail-type of PutEvents, which MiniStack's conditions do not know."""
        tags_of = self._actions.request_tag_context

        def context(service: str, action: str, body: bytes, params: Any) -> dict[str, Any]:
            said: dict[str, Any] = tags_of(service, action, body, params)
            return {**said, **event_keys(body)} if action == "events:PutEvents" else said

        self._actions.request_tag_context = context


def event_keys(body: bytes) -> dict[str, Any]:
    """The condition keys of a PutEvents request: source and detail-type of its entries, a list where they differ."""
    try:
        entries = json.loads(body)["Entries"]
        told = {
            key: sorted({str(entry.get(member, "")) for entry in entries})
            for key, member in (("events:source", "Source"), ("events:detail-type", "DetailType"))
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {key: values[0] if len(values) == 1 else values for key, values in told.items()}
