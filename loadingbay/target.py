"""Decides, once, which cloud a command talks to, and makes its clients.

- `LOADINGBAY_CLOUD=aws` (or `--cloud aws`): AWS, with its ordinary chain of credentials. Never by accident.
- `AWS_ENDPOINT_URL` is set: whatever answers there, with the credentials of the environment. If it is an address on
  this machine and the folder has a local cloud, it is that one: a terminal with the exports of `up` is an ordinary one.
- otherwise: the local cloud of this folder, in `.loadingbay/cloud`, on port `LOADINGBAY_PORT` or 4747. No AWS variable
  and no file of the AWS tools is read for it.

`LOADINGBAY_ENFORCE_IAM=1` (or `up --enforce-iam`) starts the local cloud with IAM enforced.
`LOADINGBAY_STAGE` (or `--stage`) names another stage than `loadingbay`: a second stack beside the first.
"""

from __future__ import annotations

import configparser
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from loadingbay import sessions
from loadingbay.errors import UsageError, WorkError
from loadingbay.sessions import Keys
from pipelines.settings import DEFAULT_STAGE

DEFAULT_PORT = 4747
_STAGE = re.compile(r"[a-z][a-z0-9-]{0,22}[a-z0-9]")  # as the template's parameter Name
LOCAL_ACCOUNT = "000000000000"
LOCAL_REGION = "us-east-1"


@dataclass(frozen=True)
class Target:
    """The cloud that a command talks to, and the stage there: the name of the stack, its pipeline and its endpoint.

    `endpoint_url` is None for AWS. `home` is the directory of the local cloud that we may start, else None.
    `enforce_iam` says whether the local cloud is to hold everything to its role's policies; AWS always does.
    `keys` sign requests to another address on this machine; None means AWS's chain of credentials. `clients` holds the
    boto3 clients by service: tests put their own there, others are made when they are asked for.
    """

    kind: Literal["local", "aws", "endpoint"]
    endpoint_url: str | None
    region: str | None
    home: Path | None = None
    port: int = DEFAULT_PORT
    stage: str = DEFAULT_STAGE
    enforce_iam: bool = False
    keys: Keys | None = None
    clients: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, compare=False, repr=False)

    @property
    def local(self) -> bool:
        """Whether the target is a local cloud on this machine, which may be polled often."""
        return self.endpoint_url is not None and _is_loopback(self.endpoint_url)

    @property
    def interval(self) -> float:
        """Seconds between two polls of something in progress."""
        return 0.2 if self.local else 5.0

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make any AWS tool use this target; empty for AWS itself."""
        if self.kind != "local" or self.endpoint_url is None:
            return {"AWS_ENDPOINT_URL": self.endpoint_url} if self.endpoint_url else {}
        keys = self._local_keys()
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
            "AWS_DEFAULT_REGION": LOCAL_REGION,
        }

    @property
    def name(self) -> str:
        """The name of the target as shown to a person."""
        if self.kind == "aws":
            return f"AWS, account {self.account}, region {self.client('sts').meta.region_name}"
        return f"{'the local cloud' if self.kind == 'local' else 'the cloud'} at {self.endpoint_url}"

    def client(self, service: str) -> Any:
        """The boto3 client of a service, the same one each time. Making one is not thread-safe, using it is."""
        from botocore.config import Config

        with self._lock:
            if service not in self.clients:
                config = Config(
                    retries={"mode": "standard", "max_attempts": 5},
                    connect_timeout=5,
                    max_pool_connections=16,
                    inject_host_prefix=self.kind == "aws",
                    s3={"addressing_style": "auto" if self.kind == "aws" else "path"},
                    # {} is "no proxy", None "that of the environment", which must not be asked for this machine.
                    proxies={} if self.local else None,
                )
                client = self._session.client(service, endpoint_url=self.endpoint_url, config=config)
                if self.local:
                    client.meta.events.register_first("needs-retry", _not_when_nothing_listens)
                self.clients[service] = client
            return self.clients[service]

    @cached_property
    def _session(self) -> Any:
        """Make the boto3 session: with the keys of a local address, else with AWS's chain of credentials."""
        keys = self._local_keys() if self.kind == "local" else self.keys
        if keys is not None:
            return sessions.isolated(self.region or LOCAL_REGION, keys)
        session = sessions.ordinary(self.region)
        if self.kind == "aws":
            sessions.require_region(session)
        return session

    def _local_keys(self) -> Keys:
        """The local cloud's key. Its secret is in a file of its home from its first start on; before, none is known.

        WorkError when the file is there and in no form that can be read.
        """
        profiles = configparser.RawConfigParser()
        file = self.home / "credentials" if self.home else None
        try:
            profiles.read(file or (), "utf-8")
        except (configparser.Error, UnicodeDecodeError):
            raise WorkError(
                f"{file} is no file of credentials: stop the local cloud with `loadingbay down` and delete the file; "
                "`loadingbay up` makes a new one"
            ) from None
        return Keys(LOCAL_ACCOUNT, profiles.get("default", "aws_secret_access_key", fallback=_UNKNOWN))

    @cached_property
    def account(self) -> str:
        """The account's 12 digits."""
        return LOCAL_ACCOUNT if self.kind == "local" else str(self.client("sts").get_caller_identity()["Account"])

    @property
    def partition(self) -> str:
        """The part of AWS that the region is in, as ARNs name it: aws, aws-cn, aws-us-gov."""
        return str(self._session.get_partition_for_region(self.resolved_region))

    @property
    def resolved_region(self) -> str:
        """The region's name. Raises UsageError when none is configured."""
        region = self.region or self.client("s3").meta.region_name
        if not region or region == "aws-global":
            raise UsageError("no AWS region is configured: set AWS_DEFAULT_REGION, for example to eu-central-1")
        return str(region)


def _not_when_nothing_listens(caught_exception: Exception | None, **_: Any) -> None:
    """Raise botocore's error at once when a port of this machine is closed: no retry opens it, and they take 25 s."""
    from botocore.exceptions import EndpointConnectionError

    if isinstance(caught_exception, EndpointConnectionError):
        raise caught_exception


_UNKNOWN = "unknown"  # as a secret, it is refused with that word


def choose(environment: Mapping[str, str], folder: Path, cloud: str | None = None, stage: str | None = None) -> Target:
    """The target that these variables ask for; `folder` is where `.loadingbay` lies.

    Raises UsageError when they contradict each other or name something unknown.
    """
    wanted = cloud or environment.get("LOADINGBAY_CLOUD") or ""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    url = environment.get("AWS_ENDPOINT_URL", "").rstrip("/")
    name = stage or environment.get("LOADINGBAY_STAGE") or DEFAULT_STAGE
    if not _STAGE.fullmatch(name):
        raise UsageError(
            f"stage {name}: must be 2 to 24 lower-case letters, digits and hyphens, starting with a letter"
        )
    if wanted not in {"", "aws", "local"}:
        raise UsageError(f"LOADINGBAY_CLOUD={wanted}: must be aws or local")
    if wanted == "aws":
        if url:
            raise UsageError(f"both LOADINGBAY_CLOUD=aws and AWS_ENDPOINT_URL={url} are set: unset one of them")
        return Target("aws", None, region, stage=name)
    home = folder / ".loadingbay" / "cloud"
    port = _port("LOADINGBAY_PORT", environment.get("LOADINGBAY_PORT") or str(DEFAULT_PORT))
    if url and wanted != "local":
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"AWS_ENDPOINT_URL={url}: must start with http:// or https://")
        try:
            given_port, here = urlsplit(url).port, _is_loopback(url)
        except ValueError:
            raise UsageError(
                f"AWS_ENDPOINT_URL={url}: must be an address such as http://127.0.0.1:{DEFAULT_PORT}"
            ) from None
        if not (here and home.is_dir()):
            keys = _keys(environment) if here else None
            return Target("endpoint", url, region or (LOCAL_REGION if here else None), stage=name, keys=keys)
        port = given_port or port
    enforce = _flag("LOADINGBAY_ENFORCE_IAM", environment.get("LOADINGBAY_ENFORCE_IAM", ""))
    return Target("local", f"http://127.0.0.1:{port}", LOCAL_REGION, home, port, name, enforce)


def _keys(environment: Mapping[str, str]) -> Keys | None:
    """The keys for an address on this machine that is not this folder's local cloud: those of the environment.

    None when only a profile is named, or half a key: boto3's chain of credentials decides, or says what is missing.
    """
    key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        return Keys(key, secret, environment.get("AWS_SESSION_TOKEN", ""))
    return None if key or environment.get("AWS_PROFILE") else Keys(LOCAL_ACCOUNT, _UNKNOWN)


def _flag(name: str, text: str) -> bool:
    if text not in {"", "0", "1"}:
        raise UsageError(f"{name}={text}: must be 1 or 0")
    return text == "1"


def _port(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1024 <= int(text[:6]) <= 65535:
        raise UsageError(f"{name}={text}: must be a port number from 1024 to 65535")
    return int(text)


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
