"""Whether jobs find /opt/ml on this machine: ordinary users of some (Ubuntu since 23.10) may mount nothing there."""

import functools
import os
import subprocess

import pytest


@functools.cache
def can_mount() -> bool:
    """Whether this user can make a mount namespace, which is asked of the kernel and not of what is tested."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    return subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0


def skip_unless_found(script: str) -> None:
    """Skip a test whose script names /opt/ml by itself where nothing can be mounted there."""
    if "/opt/ml" in script and not can_mount():
        pytest.skip("this machine lets ordinary users mount nothing at /opt/ml, which the script names")
