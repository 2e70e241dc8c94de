"""Lists of S3: pages are those that MiniStack's own code makes of all keys, and what AWS documents beyond that."""

import random
from pathlib import Path
from typing import Any

import pytest

from localcloud.ministack import s3_lists
from localcloud.ministack.s3_keys import ByKey
from tests.localcloud.ministack.s3_modules import ask, module, texts, version

ALPHABET = "ab/-é\U0001f6b2"


@pytest.fixture
def s3(tmp_path: Path) -> Any:
    made = module(tmp_path, persist=False)
    s3_lists.install(made)
    assert ask(made, "PUT", "/bucket")[0] == 200
    return made


def word(choose: random.Random, most: int) -> str:
    return "".join(choose.choices(ALPHABET, k=choose.randint(0, most)))


@pytest.mark.parametrize("seed", range(40))
def test_pages_of_keys_are_those_of_ministack_in_any_order_of_changes(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311 - not a secret
    theirs = module(tmp_path, persist=False)._collect_list_entries
    keys, plain = ByKey(), dict[str, Any]()
    for _ in range(60):
        for _ in range(choose.choice([0, 1, 3, 1500 if seed % 10 == 0 else 5])):
            key = word(choose, 7) or "a"
            if choose.random() < 0.3:
                assert keys.pop(key, None) == plain.pop(key, None)
            else:
                keys[key] = plain[key] = {"of": key}
        asked = word(choose, 2), choose.choice(["", "/", "-", "a/"]), choose.randint(1, 6), word(choose, 3)

        assert s3_lists.page(keys, *asked) == theirs(plain, *asked), asked
        assert keys.ordered() == sorted(plain)


@pytest.mark.parametrize("seed", range(20))
def test_all_pages_of_versions_are_all_versions_once_and_in_order(s3: Any, seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311 - not a secret
    for _ in range(80):
        key = word(choose, 4).replace("\U0001f6b2", "z").strip("/") or "a"
        if choose.random() < 0.1:
            version(s3, "bucket", choose.choice(["Enabled", "Suspended"]))
        ask(s3, "DELETE" if choose.random() < 0.3 else "PUT", f"/bucket/{key}", body=b"x")
    prefix, delimiter = choose.choice(["", "a", "b/"]), choose.choice(["", "/", "-"])
    expected: list[tuple[str, ...]] = []
    for key in sorted({*s3._buckets["bucket"]["objects"], *(key for _, key in s3._object_versions)}):
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        if not key.startswith(prefix):
            continue
        if end >= 0:
            expected += [] if (key[: end + 1],) in expected else [(key[: end + 1],)]
            continue
        current = s3._buckets["bucket"]["objects"].get(key)
        history = s3._object_versions.get(("bucket", key)) or [{"version_id": "null"} | (current or {})]
        expected += [(key, found["version_id"]) for found in reversed(history)]
    found: list[tuple[str, ...]] = []
    asked = {"versions": "", "prefix": prefix, "delimiter": delimiter, "max-keys": str(choose.randint(1, 5))}

    for _ in range(1000):
        status, page = ask(s3, "GET", "/bucket", asked)
        assert status == 200
        rows: list[tuple[str, ...]] = [(row,) for row in texts(page, "CommonPrefixes/Prefix")]
        for kind in ("Version", "DeleteMarker"):
            rows += list(zip(texts(page, f"{kind}/Key"), texts(page, f"{kind}/VersionId"), strict=True))
        assert len(rows) <= int(asked["max-keys"])
        found += sorted(rows, key=expected.index)
        if texts(page, "IsTruncated") == ["false"]:
            break
        asked = {name: text for name, text in asked.items() if "marker" not in name}
        asked["key-marker"] = texts(page, "NextKeyMarker")[0]
        for text in texts(page, "NextVersionIdMarker"):
            asked["version-id-marker"] = text

    assert found == expected


def test_a_page_follows_a_version_that_was_deleted_since(s3: Any) -> None:
    version(s3, "bucket", "Enabled")
    for _ in range(3):
        ask(s3, "PUT", "/bucket/key", body=b"x")
    _, page = ask(s3, "GET", "/bucket", {"versions": "", "max-keys": "1"})
    first, marker = texts(page, "Version/VersionId")[0], texts(page, "NextVersionIdMarker")[0]
    assert ask(s3, "DELETE", "/bucket/key", {"versionId": first})[0] == 204

    _, page = ask(s3, "GET", "/bucket", {"versions": "", "key-marker": "key", "version-id-marker": marker})

    assert texts(page, "Version/VersionId") == [
        found["version_id"] for found in reversed(s3._object_versions["bucket", "key"])
    ]


@pytest.mark.parametrize("query", [{}, {"list-type": "2"}, {"versions": ""}])
def test_a_page_has_at_most_a_thousand_keys(s3: Any, query: dict[str, str]) -> None:
    for number in range(1001):
        ask(s3, "PUT", f"/bucket/{number:04}", body=b"x")

    status, page = ask(s3, "GET", "/bucket", {**query, "max-keys": "5000"})
    _, none = ask(s3, "GET", "/bucket", {**query, "max-keys": "0"})

    kind = "Version" if "versions" in query else "Contents"
    assert (status, len(texts(page, f"{kind}/Key"))) == (200, 1000)
    assert texts(page, "MaxKeys") == ["1000"]
    assert texts(page, "IsTruncated") == ["true"]
    assert (texts(none, f"{kind}/Key"), texts(none, "IsTruncated")) == ([], ["false"])


def test_keys_of_versions_are_encoded_if_asked_for(s3: Any) -> None:
    for key in ("a b/c", "a b/\x01", "x\x02"):
        assert ask(s3, "PUT", f"/bucket/{key}", body=b"x")[0] == 200

    _, page = ask(s3, "GET", "/bucket", {"versions": "", "encoding-type": "url", "prefix": "a b/"})
    _, groups = ask(s3, "GET", "/bucket", {"versions": "", "encoding-type": "url", "delimiter": "/"})

    assert texts(page, "Version/Key") == ["a%20b/%01", "a%20b/c"]
    assert texts(page, "EncodingType") == ["url"]
    assert texts(groups, "CommonPrefixes/Prefix") == ["a%20b/"]
    assert texts(groups, "Version/Key") == ["x%02"]


def test_a_marker_of_a_version_needs_one_of_a_key(s3: Any) -> None:
    status, error = ask(s3, "GET", "/bucket", {"versions": "", "version-id-marker": "null"})

    assert (status, error.findtext("Code")) == (400, "InvalidArgument")


@pytest.mark.parametrize("token", ["", "key", "!", "/w==", "a2V5\n", "a2V", "YWJj YQ=="])
def test_a_token_that_no_list_gave_is_refused(s3: Any, token: str) -> None:
    status, error = ask(s3, "GET", "/bucket", {"list-type": "2", "continuation-token": token})

    assert (status, error.findtext("Code")) == (400, "InvalidArgument")
    assert error.findtext("Message") == "The continuation token provided is incorrect"
    assert ask(s3, "GET", "/nobody", {"list-type": "2", "continuation-token": token})[0] == 404


def test_the_token_of_a_page_leads_to_the_next(s3: Any) -> None:
    for key in ("a", "\U0001f6b2 é"):
        ask(s3, "PUT", f"/bucket/{key}", body=b"x")
    _, first = ask(s3, "GET", "/bucket", {"list-type": "2", "max-keys": "1"})
    (token,) = texts(first, "NextContinuationToken")

    _, second = ask(s3, "GET", "/bucket", {"list-type": "2", "continuation-token": token})

    assert texts(second, "Contents/Key") == ["\U0001f6b2 é"]


@pytest.mark.parametrize("query", [{}, {"list-type": "2"}, {"versions": ""}, {"uploads": ""}])
def test_an_unknown_encoding_is_refused(s3: Any, query: dict[str, str]) -> None:
    status, error = ask(s3, "GET", "/bucket", {**query, "encoding-type": "base64"})

    assert (status, error.findtext("Code")) == (400, "InvalidArgument")


def test_a_bucket_with_only_a_delete_marker_is_not_empty(s3: Any) -> None:
    version(s3, "bucket", "Enabled")
    ask(s3, "DELETE", "/bucket/key")
    assert ask(s3, "DELETE", "/bucket")[0] == 409
    (marker,) = s3._object_versions["bucket", "key"]
    ask(s3, "DELETE", "/bucket/key", {"versionId": marker["version_id"]})

    assert ask(s3, "DELETE", "/bucket")[0] == 204
