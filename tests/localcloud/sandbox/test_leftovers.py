"""Which processes of a killed local cloud are ended, and which are left alone."""

import os
import subprocess
from pathlib import Path

from localcloud.sandbox.leftovers import Identity, end_leftovers


def test_a_process_that_was_given_the_same_number_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as stranger:
        true = Identity.of(stranger.pid)
        Identity(true.pid, true.started - 1, true.boot).write(tmp_path / "earlier")
        Identity(true.pid, true.started, "another boot").write(tmp_path / "boot")
        (tmp_path / "torn").write_text("12")
        (tmp_path / "old-form").write_text(f"{Path(f'/proc/{stranger.pid}/ns/mnt').readlink()}\n")
        assert end_leftovers(tmp_path.iterdir(), tmp_path) == 0
        assert stranger.poll() is None
        true.write(tmp_path / "this")
        stranger.terminate()
        end_leftovers([tmp_path / "this"], tmp_path)


def test_a_leftover_without_namespaces_is_known_by_its_variable(tmp_path: Path) -> None:
    variables = {"PATH": os.defpath, "LOCALCLOUD_DIRECTORY": str(tmp_path / "jobs" / "a")}
    with (
        subprocess.Popen(["sleep", "600"], env=variables) as ours,
        subprocess.Popen(["sleep", "600"], env={**variables, "LOCALCLOUD_DIRECTORY": f"{tmp_path}/jobs-2"}) as stranger,
    ):
        assert end_leftovers([], tmp_path / "jobs") == 1
        assert ours.wait(60) == -9
        assert stranger.poll() is None
        stranger.kill()
