"""Data that an earlier run uploaded: used again where they lie, and only where they can be."""

from types import SimpleNamespace

import pytest

from loadingbay.data import provide
from loadingbay.errors import UsageError
from loadingbay.target import Target

NOTHING = SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: []))


def test_data_of_an_earlier_run_keep_their_address():
    target = Target("aws", None, "us-east-1", clients={"s3": NOTHING})
    address = f"s3://bucket/data/{'a' * 64}/"
    assert provide.upload(target, "bucket", provide.stored("bucket", address, "photos")) == address


@pytest.mark.parametrize("address", [f"s3://other/data/{'a' * 64}/", f"s3://bucket/data/{'a' * 64}", "s3://bucket/x/"])
def test_another_address_is_no_data_of_an_earlier_run(address):
    with pytest.raises(UsageError, match="no data of an earlier run"):
        provide.stored("bucket", address, "photos")
