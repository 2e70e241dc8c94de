"""Approvals under load, good and bad, through the registry, its events and the Lambdas: the way of production."""

import time
from typing import Any

import pytest

from tests.e2e.faults import variants

pytestmark = pytest.mark.faults


@pytest.fixture(autouse=True)
def good_version_serves(site: Any) -> None:
    """Each test begins with the trained version in service, and nothing else approved."""
    for number, version in site.bay.versions().items():
        if number != 1 and version["ModelApprovalStatus"] != "Rejected":
            site.set_approval(version["ModelPackageArn"], "Rejected")
    site.wait_served("good")


def test_approval_and_rejection_switch_versions_without_a_failed_request(site: Any) -> None:
    arn = site.register("warmer", variants.warmer(site.files))

    with site.load() as load:
        site.set_approval(arn, "Approved")
        site.wait_served("warmer")
        load.settle()
    approved = site.record("a new version is approved", load)
    with site.load() as load:
        site.set_approval(arn, "Rejected")
        site.wait_served("good")
        load.settle()
    rejected = site.record("the version in service is rejected", load)

    assert (approved.failed, approved.wrong, approved.captures_lost) == (0, 0, 0)
    assert (rejected.failed, rejected.wrong, rejected.captures_lost) == (0, 0, 0)
    assert load.answered()[-1].version == site.fingerprints["good"]


@pytest.mark.parametrize(
    ("fault", "made", "reason"),
    [
        ("an artifact whose handler raises is approved", variants.raising, "cannot be loaded"),
        ("a version that answers wrong labels is approved", variants.swapped, "labelled photos right"),
        (
            "a version that takes 1 s for an answer is approved",
            lambda files: variants.slow(files, 1.0),
            "took longer than",
        ),
    ],
    ids=["raises", "wrong labels", "slow"],
)
def test_a_bad_version_never_answers_and_is_rejected_with_the_reason(
    site: Any, fault: str, made: Any, reason: str
) -> None:
    arn = site.register("bad", made(site.files))

    with site.load() as load:
        began = time.monotonic()
        site.set_approval(arn, "Approved")
        status, why = site.wait(lambda: site.approval(arn), lambda now: now[0] == "Rejected", 120)
        seconds = time.monotonic() - began
        site.wait_served("good")
        load.settle()

    row = site.record(fault, load, note=f"rejected after {seconds:.1f} s: {why}")
    assert status == "Rejected"
    assert reason in why
    assert (row.failed, row.wrong, row.captures_lost) == (0, 0, 0), load.failed()[:3]
    assert {one.version for one in load.answered()} == {site.fingerprints["good"]}
