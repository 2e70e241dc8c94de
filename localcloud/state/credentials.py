"""The owner's access key: made with the home, kept in `credentials` there in the form that AWS's tools read.

Further profiles in the file let the owners of other accounts in: the access key is that account's number, the secret
that of its own local cloud. What they may do, the policies of this account's resources say.
"""

import configparser
import os
import secrets
from pathlib import Path

from localcloud.sandbox.homes import MARK

FILE = MARK
_PROFILE = "default"
_SHORTEST = 16  # characters of a secret


def owner_secret(home: Path, account: str) -> str:
    """The secret access key of the home's owner, whose access key is the account's number; made at the first start.

    The file is readable by its owner only. ValueError names a file that holds no secret, or is another user's.
    """
    path = home / FILE
    if not path.exists():
        _write(path, account, secrets.token_urlsafe(30))
    # Another user's key is known to that user, who could then run jobs as this one; also behind a link.
    if path.stat().st_uid != os.geteuid():
        raise ValueError(f"{path} belongs to another user, who knows the key: delete the file, and a new one is made.")
    secret = _profiles(path).get(_PROFILE, {}).get("aws_secret_access_key", "")
    if len(secret) < _SHORTEST:
        raise ValueError(f"{path} holds no aws_secret_access_key: delete the file, and a new one is made.")
    return secret


def visitor_secret(home: Path, account: str) -> str | None:
    """The secret access key of the owner of another account; None if no profile of the home lets that account in."""
    for name, profile in _profiles(home / FILE).items():
        if name != _PROFILE and profile.get("aws_access_key_id") == account:
            secret = profile.get("aws_secret_access_key", "")
            return secret if len(secret) >= _SHORTEST else None
    return None


def _profiles(path: Path) -> dict[str, dict[str, str]]:
    """The profiles of a credentials file by name; none if it is not in the form of one."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (configparser.Error, UnicodeDecodeError):
        return {}
    return {name: dict(parser[name]) for name in parser.sections()}


def _write(path: Path, account: str, secret: str) -> None:
    """Write the credentials file, whole or not at all, readable by its owner only."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    text = f"[{_PROFILE}]\naws_access_key_id = {account}\naws_secret_access_key = {secret}\n"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)
