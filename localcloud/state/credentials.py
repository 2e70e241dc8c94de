"""The owner's access key: made with the home, kept in `credentials` there in the form that AWS's tools read."""

import configparser
import os
import secrets
from pathlib import Path

FILE = "credentials"
_PROFILE = "default"


def owner_secret(home: Path, account: str) -> str:
    """The secret access key of the home's owner, whose access key is the account's number; made at the first start.

    The file is readable by its owner only. ValueError names a file that holds no secret.
    """
    path = home / FILE
    if not path.exists():
        _write(path, account, secrets.token_urlsafe(30))
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text())
        secret = parser[_PROFILE]["aws_secret_access_key"]
    except (configparser.Error, KeyError, UnicodeDecodeError):
        secret = ""
    if len(secret) < 16:
        raise ValueError(f"{path} holds no aws_secret_access_key: delete the file, and a new one is made.")
    return secret


def _write(path: Path, account: str, secret: str) -> None:
    """Write the credentials file, whole or not at all, readable by its owner only."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    text = f"[{_PROFILE}]\naws_access_key_id = {account}\naws_secret_access_key = {secret}\n"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)
