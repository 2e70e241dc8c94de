"""The switch that lets the end-to-end tests run against AWS: LOADINGBAY_TEST_CLOUD=aws, and two more that must agree.

They cost money there, and delete what they made, so nothing of it happens by accident: the account is named and
compared, and the stage has a name that no other has.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "test-"


class RefusedError(Exception):
    """The switch is set, but not all that it needs."""


@dataclass(frozen=True)
class Account:
    """Where on AWS the tests run: twelve digits, and the stage that they make and remove."""

    number: str
    stage: str
    keep: bool
    """Whether the stage stays when the tests have ended."""


def switched(environment: Mapping[str, str]) -> Account | None:
    """The account that the tests may use, None for the local cloud. Raises RefusedError with what is missing."""
    cloud = environment.get("LOADINGBAY_TEST_CLOUD") or "local"
    if cloud == "local":
        return None
    if cloud != "aws":
        raise RefusedError(f"LOADINGBAY_TEST_CLOUD={cloud}: must be aws or local")
    if environment.get("AWS_ENDPOINT_URL"):
        raise RefusedError("LOADINGBAY_TEST_CLOUD=aws and AWS_ENDPOINT_URL are both set: unset one of them")
    number = environment.get("LOADINGBAY_TEST_ACCOUNT", "")
    if len(number) != 12 or not number.isdecimal():
        raise RefusedError(
            f"LOADINGBAY_TEST_ACCOUNT={number}: must be the 12 digits of the account that the tests may use; "
            "they cost money there, see docs/aws-tests.md"
        )
    stage = environment.get("LOADINGBAY_TEST_STAGE") or f"{PREFIX}loadingbay"
    if not stage.startswith(PREFIX) or not 6 <= len(stage) <= 24:
        raise RefusedError(
            f"LOADINGBAY_TEST_STAGE={stage}: must begin with {PREFIX} and have 6 to 24 characters, "
            "for the tests delete the stage of that name with all its data"
        )
    return Account(number, stage, environment.get("LOADINGBAY_TEST_KEEP") == "1")


def compare(account: Account, found: str) -> None:
    """Raises RefusedError unless the credentials are for the account that was named."""
    if found != account.number:
        raise RefusedError(f"the credentials are for account {found}, but LOADINGBAY_TEST_ACCOUNT={account.number}")
