"""Starts local clouds in half a second: a process that has imported what takes long forks one for each line it reads.

`python -m bench.moto.clouds FOLDER` makes an image in FOLDER. Each line of standard input is HOME and REGION; the
answer is the process id of the new cloud, whose account is moto's. Its log is HOME.log, its address in HOME/endpoint.
"""

import importlib
import os
import shutil
import signal
import sys
from pathlib import Path

from localcloud.server import serve
from localcloud.settings import Settings

ACCOUNT = "123456789012"
"""The account that moto's tests name."""

_ROOT = Path(__file__).resolve().parents[2]
# Imported once for all clouds. MiniStack reads the environment of its cloud as it is imported, so it is not here.
_SLOW = (
    "boto3",
    "localcloud.engine.service",
    "localcloud.http.connections",
    "localcloud.http.front",
    "localcloud.jobs.service",
    "localcloud.resources.search",
    "localcloud.serving.invoke",
)


def main(folder: Path) -> None:
    """Start a cloud for each line, until standard input ends."""
    image = _make_image(folder)
    for name in _SLOW:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever asked for a cloud ends it
    for line in sys.stdin:
        home, region = line.split()
        process = os.fork()
        if process == 0:
            _become_cloud(Path(home), region, image)
        print(process, flush=True)


def _make_image(folder: Path) -> Path:
    """An image root that stands for every image: its programs succeed, its server answers pings."""
    programs = folder / "image" / "bin"
    programs.mkdir(parents=True)
    shutil.copy(_ROOT / "tests" / "localcloud" / "model_server.py", programs)
    for name, lines in (
        ("train", "echo trained > /opt/ml/model/model"),
        ("serve", f"exec python3 {programs}/model_server.py"),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{lines}\n")
        (programs / name).chmod(0o755)
    # Long enough to be stopped.
    (programs / "app.py").write_text("import time\ntime.sleep(1)\n")
    return programs.parent


def _become_cloud(home: Path, region: str, image: Path) -> None:
    """Serve in this process until it is killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    log = os.open(home.with_suffix(".log"), os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    serve(
        Settings(
            home=home,
            port=0,
            account=ACCOUNT,
            region=region,
            image_env=_ROOT / ".venv-image",
            image_root=image,
            environments=home / "environments",
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
