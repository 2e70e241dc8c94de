"""The image without a Docker engine: what the Dockerfile copies exists, and what it puts together serves."""

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.waiting import soon

ROOT = Path(__file__).parents[2]
# Shared libraries of python:3.11-slim-bookworm itself.
IN_BASE = {"libc.so.6", "libm.so.6", "libpthread.so.0", "librt.so.1", "libdl.so.2", "libgcc_s.so.1", "libstdc++.so.6"}
IN_BASE |= {"libz.so.1", "libutil.so.1", "linux-vdso.so.1", "libcrypt.so.1", "libffi.so.8"}
FROM_PACKAGE = {"libgomp.so.1": "libgomp1", "libquadmath.so.0": "libquadmath0"}


def instructions():
    """[(instruction, arguments)] of the Dockerfile, continuation lines joined."""
    lines = [line for line in (ROOT / "container/Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def copies():
    """[(source, target)] taken from the repository."""
    pairs = [arguments.split() for name, arguments in instructions() if name == "COPY" and "--from" not in arguments]
    return [(source, target) for source, target in pairs]


def runs():
    return " ".join(arguments for name, arguments in instructions() if name == "RUN")


def variables():
    text = " ".join(arguments for name, arguments in instructions() if name == "ENV")
    return dict(pair.split("=", 1) for pair in text.split())


@pytest.fixture
def image(tmp_path):
    """The files as the Dockerfile lays them out, under a folder that stands for /."""
    for source, target in copies():
        place = tmp_path / target.lstrip("/")
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, place)
    for target, link in re.findall(r"ln -s (\S+) (\S+)", runs()):
        place = tmp_path / link.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(tmp_path / target.lstrip("/"))
    return tmp_path


def test_everything_it_copies_exists_and_reaches_the_build():
    allowed = [line[1:] for line in (ROOT / "container/Dockerfile.dockerignore").read_text().split() if line[0] == "!"]
    assert copies()
    for source, _ in copies():
        assert (ROOT / source).exists()
        assert source in allowed


def test_it_serves_from_the_tree_that_it_puts_together(image, start):
    one = start(program=image / "usr/local/bin/serve").ready()
    assert one.invoke(b"value 51")[0] == 200
    children = Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children").read_text(encoding="utf-8").split()
    assert str(image / "opt/loadingbay/bin/serve") in Path(f"/proc/{children[0]}/cmdline").read_text(encoding="utf-8")


def test_serve_is_executable_and_finds_python_on_the_path(image):
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    result = subprocess.run(
        [image / "usr/local/bin/serve", "--help"], env=environment, capture_output=True, text=True, check=True
    )
    assert "SAGEMAKER_BIND_TO_PORT" in result.stdout


def test_packages_are_installed_from_the_lock_file_by_hash():
    assert "--require-hashes --requirement /tmp/requirements.lock" in runs()
    lock = (ROOT / "container/requirements.lock").read_text()
    locked = re.findall(r"^([a-z0-9-]+)==.*?(?=^[a-z0-9-]+==|\Z)", lock, re.MULTILINE | re.DOTALL)
    entries = re.split(r"^(?=[a-z0-9.-]+(?:\[[^]]*\])?==)", lock, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    # `train` comes from the script-mode toolkit; the server imports the others.
    assert {"sagemaker-training", "mxnet", "uvloop", "httptools", "werkzeug", "prometheus-client"} <= set(locked)


def test_every_import_of_the_server_is_asked_for_by_name():
    asked = (ROOT / "container/requirements.in").read_text()
    third_party = set()
    for path in (ROOT / "container/modelserver").glob("*.py"):
        for module in re.findall(r"^(?:import|from) ([a-z_0-9]+)", path.read_text(), re.MULTILINE):
            if module not in sys.stdlib_module_names and module != "__future__":
                third_party.add(module.replace("_", "-"))
    assert third_party
    assert all(re.search(rf"^{name}\b", asked, re.MULTILINE) for name in third_party)


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("ldd"), reason="reads shared libraries with ldd")
def test_the_system_libraries_that_the_packages_need_are_installed():
    folders = [Path(find_spec(name).origin).parent for name in ("mxnet", "cv2")]  # not imported: mxnet takes seconds
    files = [str(path) for folder in folders for path in folder.rglob("*.so*")]
    output = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
    inside = str(Path(sys.prefix))
    needed = {
        name
        for name, place in re.findall(r"^\t(\S+)(?: => (.*))?$", output, re.MULTILINE)
        if name.startswith("lib") and "not found" not in place and inside not in place
    }
    missing = {name for name in needed - IN_BASE if FROM_PACKAGE.get(name, "nothing") not in runs().split()}
    assert not missing


def test_the_bill_of_materials_names_what_the_lock_file_installs():
    document = json.loads((ROOT / "container/sbom.cdx.json").read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    locked = re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", (ROOT / "container/requirements.lock").read_text(), re.M
    )
    named = {(re.sub(r"[-_.]+", "-", c["name"]).lower(), c["version"]) for c in document["components"]}
    assert named == set(locked), "`make sbom` writes it anew"


def test_the_bill_of_materials_is_in_the_image():
    assert ("container/sbom.cdx.json", "/opt/loadingbay/sbom.cdx.json") in copies()


def test_every_stage_begins_with_a_digest():
    arguments = dict(a.split("=", 1) for name, a in instructions() if name == "ARG")
    stages = [a.split()[0] for name, a in instructions() if name == "FROM"]
    assert len(stages) == 2
    for stage in stages:
        image = arguments[stage.removeprefix("${").removesuffix("}")]
        official = image.removeprefix("public.ecr.aws/docker/library/")
        assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", official)


def test_the_health_check_passes_only_when_the_server_answers(image, start):
    (check,) = [a for name, a in instructions() if name == "HEALTHCHECK"]
    command = json.loads(check[check.index("[") :])
    one = start(program=image / "usr/local/bin/serve").ready()

    def healthy(port):
        environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin", "SAGEMAKER_BIND_TO_PORT": str(port)}
        return subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120).returncode == 0

    assert soon(lambda: healthy(one.port))  # Docker tries again, too
    port = one.port
    one.stop()
    assert not healthy(port)


def test_sagemaker_may_choose_the_port():
    labels = [arguments for name, arguments in instructions() if name == "LABEL"]
    assert labels == ["com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true"]


def test_it_has_no_entry_point_because_sagemaker_passes_train_or_serve():
    assert "ENTRYPOINT" not in {name for name, _ in instructions()}
    assert ("CMD", '["serve"]') in instructions()


def test_the_user_it_serves_as_is_made():
    assert f"useradd --system --no-create-home --shell /usr/sbin/nologin {variables()['SERVE_USER']}" in runs()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_is_given_up_for_good():
    code = (
        "import os\nfrom container.modelserver.cli import become\nbecome('nobody')\n"
        "print(*os.getresuid(), os.getgroups())\n"
        "try: os.setuid(0)\nexcept PermissionError: print('cannot return')"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    nobody = pwd.getpwnam("nobody").pw_uid
    assert result.stdout == f"{nobody} {nobody} {nobody} []\ncannot return\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_that_does_not_exist_is_named(start):
    one = start(SERVE_USER="nobody-of-that-name")
    assert one.ended() == 1
    assert "SERVE_USER is 'nobody-of-that-name'" in one.log
