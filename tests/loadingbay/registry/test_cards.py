"""The model card of a version, read and shown."""

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from loadingbay.commands.card import card as command
from loadingbay.errors import UsageError, WorkError
from loadingbay.registry import cards
from loadingbay.target import Target
from tests.fakes.fake_sagemaker import FakeSageMaker, refusal

METRIC = {"name": "accuracy", "type": "number", "value": 0.93, "notes": "95 % interval 0.8625 to 0.9657"}
CONTENT = {
    "model_overview": {"model_description": "Version 1.", "model_artifact": ["s3://b/model.tar.gz"]},
    "intended_uses": {"purpose_of_model": "Tells vehicles apart.", "risk_rating": "Low"},
    "evaluation_details": [
        {"name": "Test photos", "metric_groups": [{"name": "decision", "metric_data": [METRIC]}]},
        {"name": "Verification"},
    ],
    "additional_information": {"custom_details": {"threshold": "0.8965", "approved_by": "arn:aws:iam::1:user/ada"}},
}
FOUND = {
    "ModelCardName": "loadingbay-v1",
    "ModelCardStatus": "Approved",
    "ModelCardVersion": 3,
    "CreationTime": datetime(2026, 11, 3, tzinfo=UTC),
    "Content": json.dumps(CONTENT),
}


@pytest.fixture
def sagemaker():
    fake = FakeSageMaker()
    fake.register()
    fake.answer("DescribeModelCard", FOUND)
    return fake


@pytest.fixture
def target(sagemaker):
    made = Target("aws", None, "us-east-1")
    sts = type("Sts", (), {"get_caller_identity": lambda self: {"Account": "000000000000", "Arn": "arn:aws:sts::0:x"}})
    made.clients.update(sagemaker=sagemaker, sts=sts())
    return made


def test_a_card_is_found_by_its_versions_number(target, sagemaker):
    found = cards.card(target, 1)
    assert (found.status, found.revision, found.content) == ("Approved", 3, CONTENT)
    assert sagemaker.requests("DescribeModelCard") == [{"ModelCardName": "loadingbay-v1"}]
    assert list(found.figures()) == [("Test photos", "accuracy", 0.93, METRIC["notes"])]


def test_a_version_without_a_card_says_where_to_look(target, sagemaker):
    def missing(**_):
        raise refusal("DescribeModelCard", "Modelcard loadingbay-v1 does not exist.", "ResourceNotFound")

    sagemaker.answer("DescribeModelCard", missing)
    with pytest.raises(WorkError, match=r"version 1 has no model card loadingbay-v1 yet.*logs write_model_card"):
        cards.card(target, 1)


def test_a_version_that_is_not_there_is_named(target):
    with pytest.raises(UsageError, match="no model version 9"):
        cards.card(target, 9)


def test_the_command_shows_purpose_figures_and_who_approved(target):
    shown = CliRunner().invoke(command, ["1"], obj=lambda: target, catch_exceptions=False).stdout
    for text in (
        "loadingbay-v1  Approved, revision 3",
        "Tells vehicles apart.",
        "0.93",
        "0.8625",
        "user/ada",
        "0.8965",
    ):
        assert text in shown


def test_without_figures_it_says_so(target, sagemaker):
    sagemaker.answer("DescribeModelCard", {**FOUND, "Content": "{}"})
    assert "It says no figures" in CliRunner().invoke(command, ["1"], obj=lambda: target).stdout


def test_as_json_it_is_in_sagemakers_schema(target):
    said = json.loads(CliRunner().invoke(command, ["1", "--json"], obj=lambda: target).stdout)
    assert (said["card"], said["content"]) == ("loadingbay-v1", CONTENT)
