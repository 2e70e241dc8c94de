"""Access keys that MiniStack's IAM and STS have given out, and those that Lambda functions act as their roles with."""

import importlib
import re
import secrets
import threading
from collections.abc import Mapping
from typing import Any

from localcloud.ministack.emulator import Emulator
from localcloud.ministack.private_names import find_names

OWNERS_KEY = re.compile(r"\d{12}")


class AccessKeys:
    """Looks up keys in the account and region of the emulator's settings.

    Unpatched, MiniStack gives a function the owner's key or, under AUTH, one that is computed from public names only,
    so that everybody on the machine could sign as the function. Here each function has a random key of its role.
    """

    def __init__(self, emulator: Emulator) -> None:
        """Patch the emulator's Lambda runtime so that a function keeps its keys; PrivateNameError if MiniStack lacks a
        name.
        """
        self._emulator = emulator
        names = {
            "core.iam_evaluator": ("resolve_credential", "is_root_access_key", "CredentialResolutionError"),
            "core.router": ("extract_access_key_id",),
            "core.lambda_runtime": ("execution_credentials", "_account_region_from_function_config"),
            "services.lambda_svc": ("execution_credentials",),
            "services.sts": ("register_session",),
        }
        modules: dict[str, Any] = {name: importlib.import_module(f"ministack.{name}") for name in names}
        for name, private in names.items():
            find_names(modules[name], *private)
        self._iam, self._router = modules["core.iam_evaluator"], modules["core.router"]
        self._runtime, self._sts = modules["core.lambda_runtime"], modules["services.sts"]
        self._lock = threading.Lock()
        self._of_functions: dict[tuple[str, str], dict[str, str]] = {}
        self._known: dict[str, tuple[str, str]] = {}
        """Secret and session token of the functions' keys, which never expire."""
        for module in (self._runtime, modules["services.lambda_svc"]):
            module.execution_credentials = self.of_function

    def find(self, access_key: str) -> tuple[str, str | None] | None:
        """(secret, session token or None) of a key; None for one that does not exist, is inactive or has expired."""
        if access_key in self._known:
            return self._known[access_key]
        found = self._resolve(access_key)
        return None if found is None else (found.secret_access_key, found.session_token)

    def principal(self, headers: Mapping[str, str]) -> tuple[str, str] | None:
        """(ARN, id) of the role or user that signed a request with these headers; None for the owner."""
        found = self._resolve(self._router.extract_access_key_id(dict(headers), {}))
        return None if found is None else (found.principal_arn, found.principal_id)

    def account(self, headers: Mapping[str, str]) -> str | None:
        """The account whose owner signed a request with these headers: an owner's access key is its number."""
        key: str = self._router.extract_access_key_id(dict(headers), {})
        return key if OWNERS_KEY.fullmatch(key) else None

    def _resolve(self, access_key: str) -> Any:
        """Return MiniStack's record of an access key; None for the owner's, and for one that is not valid."""
        if self._iam.is_root_access_key(access_key):
            return None
        with self._emulator.scope():
            found = self._iam.resolve_credential(access_key)
        return None if isinstance(found, self._iam.CredentialResolutionError) else found

    def of_function(self, config: dict[str, Any]) -> dict[str, str]:
        """AWS_* variables with which a function (MiniStack's record of its configuration) acts as its role."""
        account, _ = self._runtime._account_region_from_function_config(config)
        name, role = config["FunctionName"][:64], config.get("Role", "").rpartition("/")[2]
        with self._lock:
            place = config["FunctionArn"], config.get("Role", "")
            if place not in self._of_functions:
                self._of_functions[place] = {
                    "AWS_ACCESS_KEY_ID": f"ASIA{secrets.token_hex(8).upper()}",
                    "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20),
                    "AWS_SESSION_TOKEN": secrets.token_hex(64),
                }
            made = self._of_functions[place]
            self._known[made["AWS_ACCESS_KEY_ID"]] = made["AWS_SECRET_ACCESS_KEY"], made["AWS_SESSION_TOKEN"]
            self._sts.register_session(
                made["AWS_ACCESS_KEY_ID"],
                {
                    "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
                    "UserId": f"{role}:{name}",
                    "SecretAccessKey": made["AWS_SECRET_ACCESS_KEY"],
                    "SessionToken": made["AWS_SESSION_TOKEN"],
                },
            )
        return dict(made)
