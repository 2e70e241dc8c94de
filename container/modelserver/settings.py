"""The server's settings, with their limits and defaults; read from environment variables once, when it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


class SettingsError(ValueError):
    """A variable has a value that cannot be used; the message names the variable, the value and what is accepted."""


def cores(cgroup: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """CPU cores this process may use: the scheduler's mask, further limited by the container's quota (cgroup v2)."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = cgroup.read_text(encoding="utf-8").split()
        return max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup v2 here, or quota is "max"
        return allowed


def _setting(variable: str, default: Any, meaning: str, low: float = 0, high: float = 0) -> Any:
    return field(default=default, metadata={"variable": variable, "meaning": meaning, "low": low, "high": high})


@dataclass(frozen=True)
class Settings:
    """Everything the server can be told. Sizes are bytes, times are seconds; queue limits are per worker."""

    model_dir: str = _setting("SM_MODEL_DIR", "/opt/ml/model", "unpacked model artifact, with code/inference.py")
    host: str = _setting("SERVE_HOST", "0.0.0.0", "address to listen on")  # noqa: S104 - SageMaker calls from outside
    port: int = _setting("SAGEMAKER_BIND_TO_PORT", 8080, "port to listen on (0: any free one)", 0, 65_535)
    key: str = _setting("SERVE_KEY", "", "what the header X-Serve-Key of each request must hold (default: nothing)")
    workers: int = _setting("SERVE_WORKERS", 0, "worker processes (0: one for each core)", 0, 256)
    max_batch: int = _setting("SERVE_MAX_BATCH", 8, "most images in one call of predict_fn", 1, 1_024)
    max_body: int = _setting("SERVE_MAX_BODY", 6_291_456, "largest request body", 1, 1 << 30)
    queue: int = _setting("SERVE_QUEUE", 128, "requests waiting for the model, a worker", 1, 100_000)
    queue_bytes: int = _setting("SERVE_QUEUE_BYTES", 64 << 20, "bytes of bodies held, a worker", 1 << 16, 1 << 34)
    connections: int = _setting("SERVE_CONNECTIONS", 1_024, "open connections, a worker", 1, 100_000)
    request_seconds: float = _setting("SERVE_REQUEST_SECONDS", 60.0, "time to answer a request", 0.05, 3_600)
    header_seconds: float = _setting("SERVE_HEADER_SECONDS", 10.0, "time to send a request's headers", 0.05, 600)
    body_seconds: float = _setting("SERVE_BODY_SECONDS", 30.0, "time to send a request's body", 0.05, 600)
    idle_seconds: float = _setting("SERVE_IDLE_SECONDS", 75.0, "an idle connection is closed after", 0.05, 3_600)
    stop_seconds: float = _setting("SERVE_STOP_SECONDS", 25.0, "time to answer what was accepted on SIGTERM", 0, 600)
    user: str = _setting("SERVE_USER", "", "user to become once the port is taken, when started as root")
    model_version: str = _setting("MODEL_VERSION", "", "version to report (default: hash of the model's files)")

    @property
    def worker_count(self) -> int:
        """Worker processes to run."""
        return self.workers or cores()


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Settings from variables; an unset or empty one keeps its default. Raises SettingsError."""
    values: dict[str, Any] = {}
    for item in fields(Settings):
        variable = item.metadata["variable"]
        text = environment.get(variable, "").strip()
        if text:
            values[item.name] = _value(variable, text, type(item.default), item.metadata)
    return Settings(**values)


def _value(variable: str, text: str, kind: type, limits: Mapping[str, Any]) -> Any:
    """Convert a variable's text to `kind` within its limits; SettingsError names variable, value and range."""
    if kind is str:
        if any(ord(letter) < 32 or ord(letter) > 126 for letter in text):
            raise SettingsError(f"{variable} is {text!r}; it may hold printable ASCII characters only")
        return text
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not limits["low"] <= value <= limits["high"]:
        name = {int: "a whole number", float: "a number"}[kind]
        raise SettingsError(f"{variable} is {text!r}; it must be {name} from {limits['low']:g} to {limits['high']:g}")
    return value


def describe() -> str:
    """The table of variables that `serve --help` prints."""
    rows = [(item.metadata["variable"], str(item.default), item.metadata["meaning"]) for item in fields(Settings)]
    return "\n".join(f"  {name:24} {meaning} [{default or 'unset'}]" for name, default, meaning in rows)
