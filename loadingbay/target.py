"""Decides, once, which cloud a command talks to, and makes its clients.

- `AWS_ENDPOINT_URL` is set: whatever answers there, with the credentials of the environment.
- `LOADINGBAY_CLOUD=aws` (or `--cloud aws`): AWS, with its ordinary chain of credentials. Never by accident.
- otherwise: the local cloud of this folder, in `.loadingbay/cloud`, on port `LOADINGBAY_PORT` or 4747.

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

from loadingbay.errors import UsageError
from pipelines.definition import DEFAULT_STAGE

DEFAULT_PORT = 4747
_STAGE = re.compile(r"[a-z][a-z0-9-]{0,22}[a-z0-9]")  # as the template's parameter Name
LOCAL_ACCOUNT = "000000000000"
LOCAL_REGION = "us-east-1"


@dataclass(frozen=True)
class Target:
    """The cloud that a command talks to, and the stage there: the name of the stack, its pipeline and its endpoint.

    `endpoint_url` is None for AWS. `home` is the directory of the local cloud that we may start, else None.
    """

    kind: Literal["local", "aws", "endpoint"]
    endpoint_url: str | None
    region: str | None
    home: Path | None = None
    port: int = DEFAULT_PORT
    stage: str = DEFAULT_STAGE
    enforce_iam: bool = False
    """Whether the local cloud is to hold everything to its role's policies. AWS always does."""
    bare: bool = False
    """An address on this machine was given without credentials: then those of the local cloud are meant."""
    keys: Path | None = None
    """The local cloud's file of credentials, which it makes when it first starts."""
    _clients: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    @property
    def local(self) -> bool:
        """Whether it is on this machine: then looking often costs nobody anything."""
        return self.endpoint_url is not None and _is_loopback(self.endpoint_url)

    @property
    def interval(self) -> float:
        """Seconds between two looks at something that is under way."""
        return 0.2 if self.local else 5.0

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point any AWS tool there. Empty for AWS itself."""
        if self.kind != "local" or self.endpoint_url is None:
            return {"AWS_ENDPOINT_URL": self.endpoint_url} if self.endpoint_url else {}
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": LOCAL_ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": _secret(self.keys),
            "AWS_DEFAULT_REGION": LOCAL_REGION,
        }

    @property
    def name(self) -> str:
        """What to call it on a screen."""
        if self.kind == "aws":
            return f"AWS, account {self.account}, region {self.client('sts').meta.region_name}"
        return f"{'the local cloud' if self.kind == 'local' else 'the cloud'} at {self.endpoint_url}"

    def client(self, service: str) -> Any:
        """A boto3 client; the same one each time. Making one is not thread-safe, using it is."""
        import boto3
        from botocore.config import Config

        with self._lock:
            if service not in self._clients:
                if "session" not in self._clients:
                    session = boto3.Session(**self._credentials())
                    if self.kind == "aws":
                        _require_region(session)
                    self._clients["session"] = session
                config = Config(
                    retries={"mode": "standard", "max_attempts": 5},
                    connect_timeout=5,
                    max_pool_connections=16,
                    inject_host_prefix=self.kind == "aws",
                    s3={"addressing_style": "auto" if self.kind == "aws" else "path"},
                    # {} is "no proxy", None "that of the environment", which must not be asked for this machine.
                    proxies={} if self.local else None,
                )
                self._clients[service] = self._clients["session"].client(
                    service, endpoint_url=self.endpoint_url, config=config
                )
            return self._clients[service]

    def _credentials(self) -> dict[str, str]:
        if self.kind != "local" and not self.bare:
            return {"region_name": self.region} if self.region else {}
        return {
            "region_name": LOCAL_REGION,
            "aws_access_key_id": LOCAL_ACCOUNT,
            "aws_secret_access_key": _secret(self.keys),
        }

    @cached_property
    def account(self) -> str:
        """The account's 12 digits."""
        return LOCAL_ACCOUNT if self.kind == "local" else str(self.client("sts").get_caller_identity()["Account"])

    @property
    def partition(self) -> str:
        """The part of AWS that the region is in, as ARNs name it: aws, aws-cn, aws-us-gov."""
        self.client("s3")
        return str(self._clients["session"].get_partition_for_region(self.resolved_region))

    @property
    def resolved_region(self) -> str:
        """The region's name. Raises UsageError when none is configured."""
        region = self.region or self.client("s3").meta.region_name
        if not region or region == "aws-global":
            raise UsageError("no AWS region is configured: set AWS_DEFAULT_REGION, for example to eu-central-1")
        return str(region)


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
    home = folder / ".loadingbay" / "cloud"
    keys = home / "credentials"
    if wanted not in {"", "aws", "local"}:
        raise UsageError(f"LOADINGBAY_CLOUD={wanted}: must be aws or local")
    if wanted == "aws":
        if url:
            raise UsageError(f"both LOADINGBAY_CLOUD=aws and AWS_ENDPOINT_URL={url} are set: unset one of them")
        return Target("aws", None, region, stage=name)
    if url and wanted != "local":
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"AWS_ENDPOINT_URL={url}: must start with http:// or https://")
        here = _is_loopback(url)
        bare = here and not (environment.get("AWS_ACCESS_KEY_ID") or environment.get("AWS_PROFILE"))
        return Target("endpoint", url, region or (LOCAL_REGION if here else None), stage=name, bare=bare, keys=keys)
    port = _port(environment.get("LOADINGBAY_PORT") or str(DEFAULT_PORT))
    enforce = _flag("LOADINGBAY_ENFORCE_IAM", environment.get("LOADINGBAY_ENFORCE_IAM", ""))
    return Target("local", f"http://127.0.0.1:{port}", LOCAL_REGION, home, port, name, enforce, keys=keys)


def _secret(keys: Path | None) -> str:
    """The local cloud's secret access key, as its file says; "unknown", which is refused, before its first start."""
    profiles = configparser.RawConfigParser()
    profiles.read(keys or ())
    return profiles.get("default", "aws_secret_access_key", fallback="unknown")


def _flag(name: str, text: str) -> bool:
    if text not in {"", "0", "1"}:
        raise UsageError(f"{name}={text}: must be 1 or 0")
    return text == "1"


def _port(text: str) -> int:
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        raise UsageError(f"LOADINGBAY_PORT={text}: must be a port number from 1024 to 65535")
    return int(text)


def _require_region(session: Any) -> None:
    """Raises UsageError unless the session has a region, and one that exists: else each call would wait for a name."""
    import difflib

    import botocore

    region = session.region_name
    if not region:
        raise UsageError("no AWS region is configured: set AWS_DEFAULT_REGION, for example to eu-central-1")
    known = [
        name
        for partition in session.get_available_partitions()
        for name in session.get_available_regions("sagemaker", partition_name=partition)
    ]
    if region not in known:
        near = difflib.get_close_matches(region, known, 1, 0.0)[0]
        raise UsageError(
            f"there is no AWS region {region} with SageMaker, as far as botocore {botocore.__version__} knows: "
            f"set AWS_DEFAULT_REGION, perhaps to {near}"
        )


def _is_loopback(url: str) -> bool:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
