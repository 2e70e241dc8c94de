"""Archives of scripts are unpacked by any Python 3.11, and nothing is written outside of their folder."""

import io
import tarfile
from pathlib import Path

import pytest
from localcloud_programs.script_archive import unpack

from tests.old_tarfile import without_filters


def _archive(folder: Path, name: str, kind: bytes = tarfile.REGTYPE) -> Path:
    path = folder / "scripts.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, "/etc/passwd", 1
        packed.addfile(member, io.BytesIO(b"x"))
    return path


def test_a_python_without_filters_unpacks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_filters(monkeypatch)

    unpack(_archive(tmp_path, "package/inference.py"), tmp_path / "code")

    assert (tmp_path / "code" / "package" / "inference.py").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../outside", tarfile.REGTYPE),
        ("a/../../outside", tarfile.REGTYPE),
        ("/outside", tarfile.REGTYPE),
        ("link", tarfile.SYMTYPE),
        ("link", tarfile.LNKTYPE),
        ("pipe", tarfile.FIFOTYPE),
        ("device", tarfile.CHRTYPE),
    ],
)
def test_what_is_no_file_within_it_is_refused_by_its_name(name: str, kind: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"holds '{name}'"):
        unpack(_archive(tmp_path, name, kind), tmp_path / "code")

    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "code").exists()
