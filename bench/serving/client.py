"""The client: wrk with real photos, one run at one number of connections."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parent / "wrk.lua"


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw. Latencies in ms; errors are lost connections, timeouts, statuses not 2xx."""

    connections: int
    answered: int
    requests_per_second: float
    p50: float
    p99: float
    errors: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def ensure_wrk() -> None:
    """Install wrk from the distribution when it is missing (needs root and Debian or Ubuntu)."""
    if shutil.which("wrk") is None:
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "wrk"], check=True, stdout=subprocess.DEVNULL)


def write_bodies(bodies: list[bytes], path: Path) -> Path:
    """The bodies in the form that wrk.lua reads."""
    path.write_bytes(b"".join(b"%d\n%s" % (len(body), body) for body in bodies))
    return path


def run(port: int, bodies: Path, content_type: str, connections: int, seconds: int) -> Load:
    """One run, on the same cores as the server."""
    result = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--timeout",
            "10s",
            "-s",
            str(SCRIPT),
            f"http://127.0.0.1:{port}",
        ],
        env={"PATH": os.environ["PATH"], "BODIES": str(bodies), "CONTENT_TYPE": content_type},
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(result.stdout.splitlines()[-1])
    errors = sum(seen[name] for name in ("connect", "read", "write", "status", "timeout"))
    # wrk counts refusals as requests: only answers with a 2xx status are work done.
    answered = seen["requests"] - seen["status"]
    rate = answered / (seen["microseconds"] / 1e6)
    return Load(connections, answered, rate, seen["p50"] / 1e3, seen["p99"] / 1e3, errors)
