"""Addresses of objects in S3, in every form that SageMaker's clients write."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.state.s3_addresses import relative_paths, split


@pytest.mark.parametrize(
    "address",
    [
        "s3://my.bucket/a/b.tar.gz",
        "https://my.bucket.s3.amazonaws.com/a/b.tar.gz",
        "https://my.bucket.s3.us-east-1.amazonaws.com/a/b.tar.gz",
        "https://my.bucket.s3-us-east-1.amazonaws.com/a/b.tar.gz",
        "https://my.bucket.s3.dualstack.us-east-1.amazonaws.com/a/b.tar.gz",
        "https://s3.amazonaws.com/my.bucket/a/b.tar.gz",
        "https://s3-us-east-1.amazonaws.com/my.bucket/a/b.tar.gz",
        "https://s3.cn-north-1.amazonaws.com.cn/my.bucket/a/b.tar.gz",
    ],
)
def test_every_form_of_an_address_names_one_object(address: str) -> None:
    assert split(address) == ("my.bucket", "a/b.tar.gz")


def test_a_bucket_alone_has_an_empty_key() -> None:
    assert split("s3://bucket") == split("https://s3.amazonaws.com/bucket") == ("bucket", "")


@pytest.mark.parametrize("address", ["", "s3://", "bucket/key", "https://s3.amazonaws.com/", "https://example.com/a"])
def test_what_is_no_address_of_s3_is_refused_with_its_text(address: str) -> None:
    with pytest.raises(ValueError, match="is not an S3 URI") as refused:
        split(address)
    assert repr(address) in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "prefix", "expected"),
    [
        (["data/a", "data/d/b", "data-2/c"], "data", {"data/a": "a", "data/d/b": "d/b"}),
        (["data/a", "data/"], "data/", {"data/a": "a"}),
        (["code/stage.py", "code/stage.py.bak"], "code/stage.py", {"code/stage.py": "stage.py"}),
        (["data/part-1", "data/part-2"], "data/part-", {"data/part-1": "part-1", "data/part-2": "part-2"}),
        (["a", "b/c"], "", {"a": "a", "b/c": "b/c"}),
    ],
)
def test_keys_become_paths_below_the_prefix(keys: list[str], prefix: str, expected: dict[str, str]) -> None:
    assert relative_paths(keys, prefix) == {key: PurePosixPath(path) for key, path in expected.items()}


@given(st.lists(st.sampled_from(["a", "..", ".", "", "b", "\0"]), min_size=1, max_size=5).map("/".join))
def test_no_key_leads_out_of_the_directory(tail: str) -> None:
    try:
        paths = relative_paths([f"data/{tail}"], "data/")
    except ValueError as error:
        assert "outside" in str(error)  # noqa: PT017  either outcome is right, but never a path that leads out
        return
    for path in paths.values():
        assert not path.is_absolute()
        assert ".." not in path.parts
