"""What S3's buckets have by key, in mappings that know the order of their keys and read a description at need.

MiniStack keeps a dictionary of a bucket's objects, and one of the versions of all buckets.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

_MOST_CHANGES = 1000
_LATER = object()
_making = threading.RLock()


class ByKey(MutableMapping[str, Any]):
    """Values by key. One that is deferred is made when it is first asked for."""

    def __init__(self, values: Iterable[tuple[str, Any]] = ()) -> None:
        self._values: dict[str, Any] = dict(values)
        self._make: Callable[[str], None] = lambda key: None
        self._ordered: list[str] | None = None
        self._changed: set[str] = set()

    def defer(self, key: str, make: Callable[[str], None]) -> None:
        """Have the value made later: `make(key)` then sets it, or does not where there is none."""
        self[key], self._make = _LATER, make

    def not_later(self, key: str) -> None:
        """Have no value if it is deferred."""
        if self._values.get(key) is _LATER:
            del self[key]

    def is_made(self, key: str) -> bool:
        """Whether the value is there and need not be made."""
        return self._values.get(key) not in (None, _LATER)

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        return self._made(key) if value is None or value is _LATER else value

    def _made(self, key: str) -> Any:
        """The value, made now, or by another thread meanwhile; KeyError if there is none."""
        with _making:
            value = self._values[key]
            if value is _LATER:
                self._values[key] = None
                try:
                    self._make(key)
                except BaseException:
                    self._values[key] = _LATER
                    raise
                value = self._values[key]
                if value is None:
                    del self[key]
            if value is None:
                raise KeyError(key)
            return value

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self._values:
            self._change(key)
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        self._change(key)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def _change(self, key: str) -> None:
        if self._ordered is not None:
            self._changed.add(key)
            if len(self._changed) > _MOST_CHANGES:
                self._ordered = None
                self._changed.clear()

    def ordered(self) -> list[str]:
        """The keys in S3's order, that of their characters' numbers; sorted once, then kept in order."""
        if self._ordered is None:
            self._ordered = sorted(self._values)
        for key in self._changed:
            place = bisect_left(self._ordered, key)
            was_there = self._ordered[place : place + 1] == [key]
            if was_there and key not in self._values:
                del self._ordered[place]
            elif key in self._values and not was_there:
                self._ordered.insert(place, key)
        self._changed.clear()
        return self._ordered


def objects_of(bucket: dict[str, Any]) -> ByKey:
    """The objects of a bucket of MiniStack's, which makes it with a dictionary."""
    if isinstance(bucket["objects"], dict):
        bucket["objects"] = ByKey(bucket["objects"].items())
    held: ByKey = bucket["objects"]
    return held


Place = tuple[str, tuple[str, str]]
"""An account, and a bucket and a key."""


class Versions(MutableMapping[Place, Any]):
    """The versions of all objects, as MiniStack keeps them, held by bucket."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], ByKey] = {}

    def of(self, account: str, bucket: str) -> ByKey:
        """Those of a bucket's objects, by key."""
        return self._buckets.setdefault((account, bucket), ByKey())

    def __getitem__(self, place: Place) -> Any:
        account, (bucket, key) = place
        return self._buckets[account, bucket][key]

    def __setitem__(self, place: Place, value: Any) -> None:
        account, (bucket, key) = place
        self.of(account, bucket)[key] = value

    def __delitem__(self, place: Place) -> None:
        account, (bucket, key) = place
        del self._buckets[account, bucket][key]

    def __iter__(self) -> Iterator[Place]:
        for (account, bucket), keys in list(self._buckets.items()):
            for key in list(keys):
                if keys.get(key) is not None:
                    yield account, (bucket, key)

    def __len__(self) -> int:
        return sum(1 for _ in self)
