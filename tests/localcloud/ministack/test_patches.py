"""What the emulator is patched with that needs no running cloud to be seen."""

import io
import warnings
import zipfile

import pytest

from localcloud.ministack.patches import unreadable
from tests.localcloud.conftest import RunningCloud


def packed(*names: str) -> bytearray:
    """A zip file of members with these names."""
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two members of one name
        for name in names:
            archive.writestr(name, f"x = {name!r}\n" * 10)
    return bytearray(kept.getvalue())


def encrypted() -> bytes:
    data = packed("a.py")
    data[data.find(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def damaged() -> bytes:
    data = packed("a.py")
    data[data.find(b"a.py") + 10] ^= 0xFF
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (encrypted(), "'a.py' is encrypted"),
        (damaged(), ""),
        (bytes(packed("a", "a/b.py")), "'a/b.py' is in a file"),
        (bytes(packed("d/" + "a" * 256)), "is too long"),
        (b"no zip", "not a zip"),
    ],
)
def test_an_archive_that_cannot_be_unpacked_is_named(data: bytes, problem: str) -> None:
    assert problem in (unreadable(data) or "readable")
    assert unreadable(data) is not None


@pytest.mark.parametrize(
    "names", [("a.py",), ("a.py", "a.py"), ("a/", "a/b.py"), ("../up.py", "/abs.py", "é\n.py"), ()]
)
def test_other_archives_are_readable(names: tuple[str, ...]) -> None:
    assert unreadable(bytes(packed(*names))) is None


def test_lambda_refuses_such_an_archive_when_it_is_given(cloud: RunningCloud) -> None:
    functions = cloud.client("lambda")

    with pytest.raises(functions.exceptions.InvalidParameterValueException, match=r"Could not unzip.*is encrypted"):
        functions.create_function(
            FunctionName="packed", Runtime="python3.11", Role="arn:aws:iam::000000000000:role/any", Handler="a.b",
            Code={"ZipFile": encrypted()},
        )  # fmt: skip
