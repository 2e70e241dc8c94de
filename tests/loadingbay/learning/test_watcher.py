"""What monitoring needs to run by itself, and the sentence for each part that is missing."""

from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from loadingbay.learning import watcher
from loadingbay.target import Target

MISSING = "ResourceNotFoundException"


def read(*, schedule=None, pipeline="", serves=True):
    """The watcher of a stage; `schedule` is the service's answer or an error code, `pipeline` an error code."""
    asked = []

    def answer(operation, found, name):
        asked.append(name)
        if isinstance(found, str):
            raise ClientError({"Error": {"Code": found, "Message": "it does not exist"}}, operation)
        return found

    clients = {
        "scheduler": SimpleNamespace(get_schedule=lambda **said: answer("GetSchedule", schedule, said["Name"])),
        "sagemaker": SimpleNamespace(
            describe_pipeline=lambda **said: answer("DescribePipeline", pipeline or {}, said["PipelineName"])
        ),
    }
    found = watcher.read(Target("aws", None, "us-east-1", stage="bay", clients=clients), "bay", serves=serves)
    assert asked == ["bay-monitoring", "bay-monitoring"]
    return found


HOURLY = {"ScheduleExpression": "rate(1 hour)", "State": "ENABLED"}


def test_nothing_is_missing_where_monitoring_runs():
    found = read(schedule=HOURLY)
    assert found.missing == ()
    assert found.document() == {
        "schedule": "rate(1 hour)", "enabled": True, "pipeline": "bay-monitoring", "missing": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ({"schedule": MISSING}, "the schedule bay-monitoring is gone"),
        ({"schedule": {**HOURLY, "State": "DISABLED"}}, "the schedule bay-monitoring is switched off"),
        ({"schedule": HOURLY, "pipeline": "ResourceNotFound"}, "there is no pipeline bay-monitoring"),
        ({"schedule": HOURLY, "serves": False}, "there is no endpoint bay to watch"),
    ],
)
def test_each_missing_part_has_its_sentence(there, says):
    (sentence,) = read(**there).missing
    assert says in sentence
    assert ": " in sentence  # what happened, and what to do


def test_all_missing_parts_are_told():
    assert len(read(schedule=MISSING, pipeline="ResourceNotFound", serves=False).missing) == 3


def test_another_error_is_none_of_them():
    with pytest.raises(ClientError, match="AccessDenied"):
        read(schedule="AccessDeniedException")
