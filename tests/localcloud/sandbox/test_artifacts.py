"""Archives that are unpacked, and those that are not."""

import errno
import gzip
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.sandbox.artifacts import ArtifactError, unpack


def archive(path: Path, *members: tuple[str, bytes | tarfile.TarInfo]) -> Path:
    """Write a .tar.gz with these members; its path."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


def test_files_and_directories_are_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path / "a", ("code", special(tarfile.DIRTYPE)), ("code/inference.py", b"x = 1"), ("./b", b"2"))

    unpack(path, tmp_path / "model")

    assert (tmp_path / "model" / "code" / "inference.py").read_bytes() == b"x = 1"
    assert (tmp_path / "model" / "b").read_bytes() == b"2"


@pytest.mark.parametrize(("mode", "unpacked"), [(0o777, 0o700), (0o666, 0o600), (0o4711, 0o700), (0o011, 0o600)])
def test_files_are_for_their_owner_only_and_executable_as_the_archive_says(
    mode: int, unpacked: int, tmp_path: Path
) -> None:
    member = special(tarfile.REGTYPE)
    member.mode = mode
    before = os.umask(0o077)  # the local cloud's
    try:
        unpack(archive(tmp_path / "a", ("run.sh", member)), tmp_path / "model")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "model" / "run.sh").stat().st_mode) == unpacked


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ([("a", b"x"), ("a/b", b"x")], "cannot have its name .File exists"),
        ([("a", special(tarfile.DIRTYPE)), ("a", b"x")], "cannot have its name .Is a directory"),
        ([("n" * 300, b"x")], "cannot have its name .File name too long"),
    ],
)
def test_names_that_cannot_be_are_the_archives_fault(
    tmp_path: Path, members: list[tuple[str, bytes | tarfile.TarInfo]], sentence: str
) -> None:
    path = archive(tmp_path / "a", *members)

    with pytest.raises(ArtifactError, match=sentence):
        unpack(path, tmp_path / "model")

    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("attribute", [{"path": "a\0b"}, {"comment": "c" * 100_000}])
def test_attributes_that_no_file_has_are_refused(tmp_path: Path, attribute: dict[str, str]) -> None:
    member = tarfile.TarInfo()
    member.pax_headers = attribute
    path = archive(tmp_path / "a", ("a", member))

    with pytest.raises(ArtifactError, match=r"embedded null byte|a header of 100,0"):
        unpack(path, tmp_path / "model")

    assert not (tmp_path / "model").exists()


def test_the_checksum_at_the_end_is_compared(tmp_path: Path) -> None:
    path = archive(tmp_path / "a", ("good", b"x"))
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))

    with pytest.raises(ArtifactError, match="CRC check failed"):
        unpack(path, tmp_path / "model")


@pytest.mark.parametrize(
    ("member", "sentence"),
    [
        (("../out", b"x"), "'../out' would be written outside"),
        (("a/../../out", b"x"), "would be written outside"),
        (("/etc/out", b"x"), "'/etc/out' would be written outside"),
        (("link", special(tarfile.SYMTYPE, "/etc")), "'link' is neither a file nor a directory"),
        (("link", special(tarfile.LNKTYPE, "../secret")), "'link' is neither a file nor a directory"),
        (("pipe", special(tarfile.FIFOTYPE)), "'pipe' is neither a file nor a directory"),
    ],
)
def test_members_that_could_reach_out_are_refused_by_name(
    tmp_path: Path, member: tuple[str, bytes | tarfile.TarInfo], sentence: str
) -> None:
    path = archive(tmp_path / "a", ("good", b"x"), member)

    with pytest.raises(ArtifactError, match=sentence):
        unpack(path, tmp_path / "deep" / "model")

    assert [p.name for p in tmp_path.rglob("*")] == ["a", "deep"] or not (tmp_path / "deep" / "model").exists()
    assert not (tmp_path / "deep" / "out").exists()


def test_an_archive_of_little_but_zeros_is_refused_by_its_ratio(tmp_path: Path) -> None:
    path = archive(tmp_path / "a", ("zeros", bytes(5_000_000)))
    most = 100 * path.stat().st_size

    with pytest.raises(ArtifactError, match=f"unpacked it is larger than {most:,} bytes"):
        unpack(path, tmp_path / "model", free_bytes=1_000)

    unpack(path, tmp_path / "small enough")


def test_what_follows_the_end_of_an_archive_is_bounded_too(tmp_path: Path) -> None:
    whole = gzip.decompress(archive(tmp_path / "a", ("small", b"x")).read_bytes())
    (tmp_path / "a").write_bytes(gzip.compress(whole + bytes(30_000_000)))

    with pytest.raises(ArtifactError, match="unpacked it is larger"):
        unpack(tmp_path / "a", tmp_path / "model", most_bytes=1_000)


def test_a_header_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a", "w:gz", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("small")
        info.pax_headers = {"comment": "0" * 30_000_000}
        tar.addfile(info)

    with pytest.raises(ArtifactError, match="a header of 30,000,0"):
        unpack(tmp_path / "a", tmp_path / "model")


def test_an_archive_that_grows_too_large_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a", ("zeros", bytes(2_000_000)))

    with pytest.raises(ArtifactError, match="unpacked it is larger than 1,000,000 bytes"):
        unpack(path, tmp_path / "model", most_bytes=1_000_000)

    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("cut", [0, 5, 100, -20])
def test_a_truncated_archive_is_refused(tmp_path: Path, cut: int) -> None:
    path = archive(tmp_path / "a", ("noise", os.urandom(5_000)))
    path.write_bytes(path.read_bytes()[:cut])

    with pytest.raises(ArtifactError, match=r"not a whole \.tar\.gz archive"):
        unpack(path, tmp_path / "model")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(b"just text, for some blocks " * 100))

    with pytest.raises(ArtifactError, match=r"not a whole \.tar\.gz archive"):
        unpack(path, tmp_path / "model")


@settings(max_examples=60)
@given(st.binary(max_size=2_000))
def test_no_bytes_whatever_do_more_than_refuse(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "a").write_bytes(gzip.compress(data))

    with pytest.raises(ArtifactError):
        unpack(folder / "a", folder / "model")


def test_a_full_disk_is_the_disks_fault_not_the_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "a", ("model.json", b"{}"))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as write() raises it: it knows no file name

    monkeypatch.setattr("localcloud.sandbox.artifacts.shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space left on device"):
        unpack(path, tmp_path / "model")

    assert not (tmp_path / "model").exists()
