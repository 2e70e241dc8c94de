"""The tests touch AWS only when the switch, the account and a stage of their own are named."""

import pytest

from tests.e2e.real_account import Account, RefusedError, compare, switched

pytestmark = pytest.mark.apart

WHOLE = {"LOADINGBAY_TEST_CLOUD": "aws", "LOADINGBAY_TEST_ACCOUNT": "123456789012"}


@pytest.mark.parametrize(
    "environment",
    [{}, {"AWS_PROFILE": "production"}, {"LOADINGBAY_CLOUD": "aws"}, {"LOADINGBAY_TEST_ACCOUNT": "123456789012"}],
)
def test_without_the_switch_it_is_the_local_cloud(environment):
    assert switched(environment) is None


def test_the_switch_and_an_account_make_a_stage_that_is_removed():
    assert switched(WHOLE) == Account("123456789012", "test-loadingbay", keep=False)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"LOADINGBAY_TEST_CLOUD": "azure"}, "must be aws or local"),
        ({"LOADINGBAY_TEST_ACCOUNT": ""}, "must be the 12 digits"),
        ({"LOADINGBAY_TEST_ACCOUNT": "12345678901x"}, "LOADINGBAY_TEST_ACCOUNT=12345678901x"),
        ({"LOADINGBAY_TEST_STAGE": "loadingbay"}, "LOADINGBAY_TEST_STAGE=loadingbay: must begin with test-"),
        ({"LOADINGBAY_TEST_STAGE": "test-"}, "6 to 24 characters"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "both set"),
    ],
)
def test_half_a_switch_is_refused_by_name_and_value(change, says):
    with pytest.raises(RefusedError, match=says):
        switched(WHOLE | change)


def test_credentials_for_another_account_are_refused():
    with pytest.raises(
        RefusedError, match="credentials are for account 999999999999, but LOADINGBAY_TEST_ACCOUNT=1234"
    ):
        compare(switched(WHOLE), "999999999999")
