"""Pages of what does not exist: status 404, with a sentence, whatever the name is."""

import asyncio
import json

import pytest

from loadingbay.console.live import Look, _events
from loadingbay.errors import NotFoundError, WorkError
from tests.fakes.fake_sagemaker import refusal

_OPERATIONS = ("DescribePipelineExecution", "ListPipelineParametersForExecution")
ADDRESSES = [
    "/runs/{}",
    "/runs/new?like={}",
    "/runs/compare?run={}&run=made",
    "/runs/search/{}",
    "/runs/search/{}/slice.svg",
    "/runs/started/{}",
    "/versions/{}",
    "/versions/1/verification/{}",
    "/photos/{}",
    "/photos/{}/photo",
    "/photos/bulk/{}",
    "/history/{}",
    "/threshold/started/{}",
    "/review/tab/{}/photo",
    "/review/tab/{}/answer",
    "/{}",
]


@pytest.fixture
def nothing(served):
    """A console in front of a SageMaker that knows no execution."""
    for operation in _OPERATIONS:

        def missing(operation=operation, **_):
            raise refusal(operation, "Pipeline execution does not exist.", "ResourceNotFound")

        served.sagemaker.answer(operation, missing)
    return served


@pytest.mark.parametrize("name", ["made0up", "9" * 30, "a%00b", "%00", "%C3%A9", "%D9%A3", "%FF", "a" * 300])
def test_what_does_not_exist_is_not_found(nothing, name):
    answers = {address: nothing.get(address.format(name)) for address in ADDRESSES}
    assert {address: answer.status_code for address, answer in answers.items()} == dict.fromkeys(ADDRESSES, 404)
    assert [answer.url for answer in answers.values() if 'class="failure"' not in answer.text] == []
    assert [answer.url for answer in answers.values() if "was refused" in answer.text] == []


@pytest.mark.parametrize(
    "address", ["/runs/{}/events", "/runs/started/{}/events", "/threshold/started/{}/events", "/photos/{}/events",
                "/photos/bulk/{}/events", "/versions/99/events"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["made0up", "a%00b"])
def test_the_events_of_what_does_not_exist_end_with_a_sentence(nothing, address, name):
    answer = nothing.get(address.format(name))
    assert answer.status_code == 200
    first, *_, last = answer.text.strip().split("\n\n")
    said = json.loads(first.removeprefix("data: "))
    assert (said["id"], last) == ("trouble", "event: end\ndata:")
    assert said["html"].lower().startswith(("there is no", "this console has started nothing"))


def test_the_events_of_what_is_deleted_meanwhile_end_with_a_sentence():
    seen: list[Look | Exception] = [
        Look({"state": "serves"}),
        WorkError("it does not run"),
        NotFoundError("it is gone"),
    ]
    looks = iter(seen)

    def look() -> Look:
        found = next(looks)
        if isinstance(found, Exception):
            raise found
        return found

    async def events() -> list[str]:
        return [event async for event in _events(look, 0)]

    sent = [json.loads(event[6:])["html"] for event in asyncio.run(events()) if event.startswith("data: ")]
    assert sent == ["serves", "", "it does not run", "it is gone"]


@pytest.mark.parametrize("word", ["approve", "reject", "shadow", "live"])
def test_nothing_can_be_decided_about_a_version_that_is_not_there(nothing, word):
    assert nothing.get(f"/versions/99/{word}").status_code == 404


def test_pages_open_when_the_version_in_service_was_deleted(served):
    served.sagemaker.decide(served.sagemaker.register(CustomerMetadataProperties={"classes": "a b"}), "Approved")
    del served.sagemaker.packages[1]
    for address in ("/", "/versions", "/photos", "/review", "/history"):
        assert served.get(address).status_code == 200
    assert "It serves version 1, which was deleted from the registry" in served.get("/").text
    assert "Drop photos here" in served.get("/photos").text
    answer = served.post("/photos/sample", {"name": "bicycle-01.png"})
    assert (answer.status_code, "there is no model version 1" in answer.text) == (404, True)


def test_a_run_that_is_not_there_cannot_be_stopped(nothing):
    answer = nothing.post("/runs/made0up/stop", {})
    assert answer.status_code == 404
    assert "there is no execution &#39;made0up&#39;: the page Runs lists them" in answer.text


def test_a_place_that_the_list_of_runs_has_not_is_a_sentence(served):
    def refuse(**_):
        raise refusal("ListPipelineExecutions", "Invalid NextToken.", "ValidationException")

    served.sagemaker.answer("ListPipelineExecutions", refuse)
    answer = served.get("/runs?from=made-up")
    assert answer.status_code == 400
    assert "open the page Runs anew" in answer.text


def test_a_page_of_versions_past_the_last_leads_back(served):
    text = served.get("/versions?skip=25").text
    assert "none after the first 25" in text
    assert '<a href="/versions">' in text


def test_a_page_of_runs_past_the_last_leads_back(served):
    served.sagemaker.answer("ListPipelineExecutions", {"PipelineExecutionSummaries": []})
    assert '<a href="/runs">the newest</a>' in served.get("/runs?from=token").text
