"""What a process installs is in a layer of its own above the environment."""

import subprocess
import sys
import zipfile
from pathlib import Path

from localcloud.sandbox.layer import add_layer
from localcloud.sandbox.sandbox import Place

ROOT = Path(__file__).parents[3]
BELOW = ROOT / ".venv-image"


def wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel with one module that says its version."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def variables(place: Place) -> dict[str, str]:
    place.make()
    given = {"VIRTUAL_ENV": str(BELOW), "PATH": f"{BELOW}/bin:/usr/bin:/bin", "HOME": str(place.ml / "home")}
    return add_layer(given, place, str(place.ml))


def run(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_an_installed_package_is_seen_by_this_process_only(tmp_path: Path) -> None:
    one, other = (variables(Place(tmp_path / name)) for name in ("one", "other"))
    # By the environment's own Python, as its programs do it.
    run(one, f"{BELOW}/bin/python", "-m", "pip", "install", "--no-index", str(wheel(tmp_path, "layered_pkg", "1.0")))
    asked = "import importlib.util as u; print(u.find_spec('layered_pkg') is not None)"
    assert run(one, f"{BELOW}/bin/python", "-c", asked) == "True"
    assert run(one, "python", "-c", asked) == "True"
    assert run(other, "python", "-c", asked) == "False"


def test_the_layer_sees_what_the_environment_has(tmp_path: Path) -> None:
    expected = run({"PATH": "/usr/bin"}, f"{BELOW}/bin/python", "-c", "import numpy; print(numpy.__version__)")
    layered = variables(Place(tmp_path))
    assert run(layered, "python", "-c", "import numpy; print(numpy.__version__)") == expected


def test_an_own_python_path_stays_behind_the_layer(tmp_path: Path) -> None:
    given = {"VIRTUAL_ENV": str(BELOW), "PATH": "/bin", "PYTHONPATH": "/mine"}
    layered = add_layer(given, Place(tmp_path), "/opt/ml")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert layered["PYTHONPATH"] == f"/opt/ml/home/layer/lib/{version}/site-packages:/mine"


def test_programs_of_the_image_root_come_before_the_layer(tmp_path: Path) -> None:
    given = {"VIRTUAL_ENV": str(BELOW), "PATH": f"/root-of-image/bin:{BELOW}/bin:/bin"}
    layered = add_layer(given, Place(tmp_path), "/opt/ml")
    assert layered["PATH"] == f"/root-of-image/bin:/opt/ml/home/layer/bin:{BELOW}/bin:/bin"


def test_without_a_virtual_environment_nothing_changes(tmp_path: Path) -> None:
    assert add_layer({"PATH": "/bin"}, Place(tmp_path), "/opt/ml") == {"PATH": "/bin"}
