"""The secrets of access keys that MiniStack's IAM and STS have given out."""

import importlib
from typing import Any

from localcloud.ministack.emulator import Emulator
from localcloud.ministack.private_names import find_names


class AccessKeys:
    """Looks up keys of IAM users and temporary keys of STS, in the account and region of the emulator's settings."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._iam: Any = importlib.import_module("ministack.core.iam_evaluator")
        find_names(self._iam, "resolve_credential", "is_root_access_key", "CredentialResolutionError")

    def find(self, access_key: str) -> tuple[str, str | None] | None:
        """(secret, session token or None) of a key; None for one that does not exist, is inactive or has expired."""
        if self._iam.is_root_access_key(access_key):
            return None
        with self._emulator.scope():
            found = self._iam.resolve_credential(access_key)
        if isinstance(found, self._iam.CredentialResolutionError):
            return None
        return found.secret_access_key, found.session_token
