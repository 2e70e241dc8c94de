"""The tarfile of Pythons before 3.11.4, such as Debian 12's, for tests on a newer one."""

import tarfile
from typing import Any

import pytest


def without_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let TarFile's `extract` and `extractall` take no `filter`, and tarfile have no filters."""
    for name in ("extract", "extractall"):
        original = getattr(tarfile.TarFile, name)

        def refusing(*given: Any, _original: Any = original, _name: str = name, **named: Any) -> None:
            if "filter" in named:
                raise TypeError(f"TarFile.{_name}() got an unexpected keyword argument 'filter'")
            _original(*given, **named)

        monkeypatch.setattr(tarfile.TarFile, name, refusing)
    for name in ("data_filter", "tar_filter"):
        monkeypatch.delattr(tarfile, name, raising=False)
