"""The review in the console: nothing lost, nothing shown to two people, no answer that leads them."""

import json
import time
from unittest.mock import patch

import pytest

from loadingbay.learning.review import HIDDEN_SECONDS


def test_a_photo_that_is_no_picture_is_not_sent(served):
    served.wait_for_a_person("a", photo=b"<svg onload='alert(1)'/>")
    number = _act(served, "take")["photos"][0]
    assert served.get(f"/review/tab1/{number}/photo").status_code == 415


def _act(desk, word, **fields):
    return desk.post(f"/review/{word}", {"tab": "tab1", **fields}).json()


def test_the_model_answer_is_not_in_the_page_until_it_is_asked_for(served):
    served.wait_for_a_person("a-bicycle-7")
    state = _act(served, "take")
    assert "bicycle" not in json.dumps(state)
    answer = served.get(f"/review/tab1/{state['photos'][0]}/answer").json()
    assert answer["label"] == "bicycle"
    assert answer["photo"] == "photos/a-bicycle-7"
    assert answer["reason"] == ""  # of a message of before reasons were in it


def test_the_answer_says_in_words_why_a_person_is_asked(served):
    served.wait_for_a_person("a", reason="SeveralVehicles")
    number = _act(served, "take")["photos"][0]
    assert served.get(f"/review/tab1/{number}/answer").json()["reason"] == "several kinds of vehicles"


def test_a_label_is_stored_and_the_photo_leaves_the_queue(served):
    served.wait_for_a_person("a", "b", "c")
    state = _act(served, "take")
    assert len(state["photos"]) == 2
    after = _act(served, "label", number=str(state["photos"][0]), truth="motorcycle")
    assert after["photos"][0] == state["photos"][1]
    assert after["waiting"] == 2
    assert len(served.labels()) == 1
    assert set(served.labels().values()) == {"motorcycle"}


def test_undo_asks_again_and_the_later_label_counts(served):
    served.wait_for_a_person("a")
    number = str(_act(served, "take")["photos"][0])
    _act(served, "label", number=number, truth="bicycle")
    again = _act(served, "undo")
    assert (str(again["photos"][0]), again["labelled"], again["undo"]) == (number, 0, False)
    _act(served, "label", number=number, truth="neither")
    assert served.labels() == {"a": "neither"}


def test_two_pages_never_hold_the_same_photo(served):
    served.wait_for_a_person("a", "b", "c", "d")
    tabs = ("tab1", "tab2")
    for tab in tabs:
        served.post("/review/take", {"tab": tab})
    desks = [served.browser.app.state.desks._desks[key] for key in served.browser.app.state.desks._desks]
    held = [one.item.inference_id for desk in desks for one in desk.held]
    assert sorted(held) == ["a", "b", "c", "d"]


def test_a_page_that_is_left_gives_its_photos_back(served):
    served.wait_for_a_person("a")
    _act(served, "take")
    _act(served, "leave")
    assert served.post("/review/take", {"tab": "tab2"}).json()["photos"]


def test_a_page_loaded_anew_keeps_what_the_old_one_gives_back_late(served):
    served.wait_for_a_person("a", "b", "c", "d")
    _act(served, "take", page="old")
    held = _act(served, "take", page="new")["photos"]
    assert _act(served, "leave", page="old")["photos"] == held
    other = served.post("/review/take", {"tab": "tab2"}).json()
    assert len(other["photos"]) == 2
    assert _act(served, "label", page="new", number=str(held[0]), truth="bicycle")["labelled"] == 1


def test_a_photo_that_lay_too_long_is_not_labelled(served, monkeypatch):
    served.wait_for_a_person("a")
    state = _act(served, "take")
    assert 500 < state["seconds"] < HIDDEN_SECONDS
    later = time.monotonic() + state["seconds"] + 1
    monkeypatch.setattr("loadingbay.console.review.time.monotonic", lambda: later)
    answer = served.post("/review/label", {"tab": "tab1", "number": str(state["photos"][0]), "truth": "bicycle"})
    assert (answer.status_code, served.labels()) == (404, {})


def test_the_page_says_that_no_model_is_deployed(desk):
    assert "No model is deployed yet" in desk.get("/review").text


def test_a_label_that_is_no_class_is_refused(served):
    served.wait_for_a_person("a")
    number = str(_act(served, "take")["photos"][0])
    answer = served.post("/review/label", {"tab": "tab1", "number": number, "truth": "truck"})
    assert answer.status_code == 400
    assert served.labels() == {}


@pytest.mark.parametrize("word", ["label", "skip"])
def test_a_photo_that_left_the_queue_is_not_removed_again(served, word):
    served.wait_for_a_person("a")
    number = str(_act(served, "take")["photos"][0])
    _act(served, "label", number=number, truth="bicycle")
    _act(served, "undo")
    with patch.object(served.target.client("sqs"), "delete_message") as delete:
        after = _act(served, word, number=number, truth="motorcycle")
    assert (after["photos"], after["waiting"], delete.call_count) == ([], 0, 0)
