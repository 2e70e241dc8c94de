"""The owner's access key of a home: made once, readable by its owner only, in the form that AWS's tools read."""

import configparser
import stat
from pathlib import Path

import pytest

from localcloud.state.credentials import owner_secret


def test_a_home_keeps_its_secret(tmp_path: Path) -> None:
    assert owner_secret(tmp_path, "000000000000") == owner_secret(tmp_path, "000000000000")


def test_each_home_has_another_secret(tmp_path: Path) -> None:
    secrets = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        secrets.add(owner_secret(tmp_path / name, "000000000000"))

    assert len(secrets) == 2
    assert min(map(len, secrets)) >= 40


def test_nobody_else_can_read_the_file(tmp_path: Path) -> None:
    owner_secret(tmp_path, "000000000000")

    assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600]


def test_the_file_is_one_of_shared_credentials(tmp_path: Path) -> None:
    secret = owner_secret(tmp_path, "123456789012")
    profiles = configparser.RawConfigParser()
    profiles.read(tmp_path / "credentials")

    assert dict(profiles["default"]) == {"aws_access_key_id": "123456789012", "aws_secret_access_key": secret}


@pytest.mark.parametrize("text", ["", "no profile", "[default]\n", "[default]\naws_secret_access_key = short\n"])
def test_a_file_without_a_secret_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "credentials").write_text(text)

    with pytest.raises(ValueError, match="credentials holds no aws_secret_access_key: delete the file"):
        owner_secret(tmp_path, "000000000000")


def test_the_key_of_another_user_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    owner_secret(elsewhere, "000000000000")
    (tmp_path / "credentials").symlink_to(elsewhere / "credentials")
    monkeypatch.setattr("localcloud.state.credentials.os.geteuid", lambda: 4242)

    with pytest.raises(ValueError, match="credentials belongs to another user, who knows the key: delete the file"):
        owner_secret(tmp_path, "000000000000")
