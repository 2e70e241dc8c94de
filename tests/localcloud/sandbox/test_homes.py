"""Which homes of a user's local clouds are known, and which directories have to be hidden for them."""

from pathlib import Path

from localcloud.sandbox.homes import MARK, note, noted, outermost


def home(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    (folder / name / MARK).touch()
    return folder / name


def test_a_home_that_was_noted_is_known_once(tmp_path: Path) -> None:
    first, second = home(tmp_path, "first\nline"), home(tmp_path, "second")
    for one in (first, second, first):
        note(tmp_path / "homes", one)

    assert sorted(noted(tmp_path / "homes")) == [first, second]


def test_a_home_that_was_removed_is_forgotten(tmp_path: Path) -> None:
    first, second = home(tmp_path, "first"), home(tmp_path, "second")
    note(tmp_path / "homes", first)
    (first / MARK).unlink()
    first.rmdir()
    note(tmp_path / "homes", second)

    assert noted(tmp_path / "homes") == [second]
    assert len(list((tmp_path / "homes").iterdir())) == 1


def test_a_folder_that_is_no_home_any_more_is_not_hidden(tmp_path: Path) -> None:
    first = home(tmp_path, "first")
    note(tmp_path / "homes", first)
    (first / MARK).unlink()

    assert noted(tmp_path / "homes") == []


def test_no_registry_knows_no_homes(tmp_path: Path) -> None:
    assert noted(tmp_path / "homes") == []


def test_only_the_outermost_directories_are_hidden(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a")
    given = [tmp_path / "a" / "b", tmp_path / "a", tmp_path / "ab", tmp_path / "link" / "c"]

    assert outermost(given) == [tmp_path / "a", tmp_path / "ab"]
