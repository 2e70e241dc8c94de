"""What a command with namespaces finds of the machine: its own /tmp, few devices, no settings, no keys of the user."""

import ctypes
import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcloud.sandbox import usage
from localcloud.sandbox.kernel import KEY_CONTROL, leave_keyring
from localcloud.sandbox.process import ContainedProcess, Launchers
from localcloud.sandbox.sandbox import Place, detect
from localcloud.sandbox.usage import kernel_has

Say = Callable[..., list[str]]


@pytest.fixture(scope="module")
def keyring() -> None:
    """A key in the session keyring of this process."""
    leave_keyring()
    added = KEY_CONTROL and ctypes.CDLL(None).syscall(KEY_CONTROL - 2, b"user", b"of-a-test", b"secret", 6, -3)
    if not added or added == -1:
        pytest.skip("this machine keeps no keys")


@pytest.fixture(scope="module")
def launchers(keyring: None) -> Iterator[Launchers]:
    started = Launchers()
    yield started
    started.close()


@pytest.fixture
def say(tmp_path: Path, launchers: Launchers) -> Say:
    """What a program of Python prints; its directory is `name`."""
    sandbox = detect(tmp_path, launchers, visible=(Path(sys.prefix),))
    if not sandbox.mounts:
        pytest.skip("this machine allows no namespaces")

    def say(program: str, name: str = "algo-1") -> list[str]:
        place = Place(tmp_path / name)
        place.make()
        lines: list[str] = []
        plan = sandbox.plan([sys.executable, "-c", program], {"PATH": os.defpath}, place)
        assert (
            ContainedProcess(plan, place.directory, lambda _, line: lines.append(line), launchers).wait(60) is not None
        )
        return lines

    return say


@pytest.mark.parametrize("folder", ["/tmp", "/var/tmp"])
def test_temporary_files_are_the_commands_own(say: Say, tmp_path: Path, folder: str) -> None:
    # pytest's own folder lies in /tmp.
    program = f"import os\nprint(os.path.exists({str(tmp_path)!r}))\nopen('{folder}/of-a-command', 'w').write('x')"

    assert say(program) == ["False"]
    assert not Path(folder, "of-a-command").exists()
    assert (tmp_path / "algo-1/opt/ml/tmp/of-a-command").read_text() == "x"
    assert say(f"import os\nprint(os.path.exists('{folder}/of-a-command'))", "algo-2") == ["False"]


def test_of_the_devices_only_harmless_ones_are_there(say: Say) -> None:
    harmless = {"null", "zero", "full", "random", "urandom", "tty", "shm", "pts", "ptmx", "fd", "stdin", "stdout"}
    accelerators = {path.name for path in Path("/dev").iterdir() if path.name.startswith(("nvidia", "kfd", "dri"))}

    assert set(say("import os\nprint(*os.listdir('/dev'), sep='\\n')")) == {*harmless, "stderr", *accelerators}


def test_terminals_are_the_commands_own(say: Say) -> None:
    ours, theirs = os.openpty()
    program = "import os\nprint(os.listdir('/dev/pts'), os.ttyname(os.openpty()[1]), open('/dev/null').read())"

    assert say(program) == ["['ptmx'] /dev/pts/0 "]
    for terminal in (ours, theirs):
        os.close(terminal)


@pytest.mark.skipif(not kernel_has(5, 12), reason="older kernels make no tree read-only")
@pytest.mark.parametrize("path", ["/proc/sys/kernel/core_pattern", "/sys/fs/cgroup/of-a-command"])
def test_no_setting_of_the_machine_can_be_changed(say: Say, path: str) -> None:
    # Opened and not written: where this fails nothing is changed.
    program = f"import os\ntry: os.open({path!r}, os.O_WRONLY | os.O_CREAT)\nexcept OSError: print('refused')"

    assert say(program) == ["refused"]


def test_the_keys_of_the_users_session_are_out_of_reach(say: Say, keyring: None) -> None:
    search = "import ctypes\nlibc = ctypes.CDLL(None)\nprint(libc.syscall(%d, 10, -3, b'user', b'of-a-test', 0))"

    assert KEY_CONTROL is not None
    ours = ctypes.CDLL(None).syscall(KEY_CONTROL, 10, -3, b"user", b"of-a-test", 0)
    assert ours > 0
    assert say(search % KEY_CONTROL) == ["-1"]


def test_descriptors_and_core_files_are_bounded(say: Say) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = usage.MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, usage.MOST_FILES)
    program = "from resource import *\nprint(*getrlimit(RLIMIT_NOFILE), *getrlimit(RLIMIT_CORE))"

    assert say(program) == [f"{most} {most} 0 0"]


def test_an_environment_in_temporary_folders_is_found_with_its_python(tmp_path: Path, launchers: Launchers) -> None:
    for name in ("python/bin", "environments/one/bin"):
        (tmp_path / name).mkdir(parents=True)
    program = tmp_path / "python/bin/python3"
    program.write_text("#!/bin/sh\necho it runs\n")
    program.chmod(0o755)
    (tmp_path / "environments/one/bin/python").symlink_to(program)
    sandbox = detect(tmp_path, launchers, visible=(tmp_path / "environments",))
    if not sandbox.mounts:
        pytest.skip("this machine allows no namespaces")
    place, lines = Place(tmp_path / "algo-1"), []
    place.make()

    plan = sandbox.plan([f"{tmp_path}/environments/one/bin/python"], {"PATH": os.defpath}, place)
    ContainedProcess(plan, place.directory, lambda _, line: lines.append(line), launchers).wait(60)

    assert lines == ["it runs"]
