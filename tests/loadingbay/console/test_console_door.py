"""Who comes into the console, and what another site's page cannot do."""

import re

import pytest

from loadingbay.console.door import HEADERS


def test_a_token_is_good_once(desk):
    token = desk.keys.token()
    desk.browser.cookies.clear()
    assert desk.browser.get(f"/enter?token={token}", follow_redirects=False).status_code == 303
    desk.browser.cookies.clear()
    answer = desk.get(f"/enter?token={token}")
    assert answer.status_code == 403
    assert "used before" in answer.text


def test_a_wrong_token_is_refused(desk):
    desk.browser.cookies.clear()
    assert desk.get("/enter?token=é").status_code == 403


@pytest.mark.parametrize("address", ["/", "/versions", "/events", "/review", "/photos/x/photo", "/static/x"])
def test_without_a_session_nothing_answers(desk, address):
    desk.browser.cookies.clear()
    answer = desk.get(address)
    assert answer.status_code == 401
    assert "loadingbay console" in answer.text


def test_the_cookie_is_for_this_site_alone(desk):
    answer = desk.browser.get(f"/enter?token={desk.keys.token()}", follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize("host", ["evil.example:4748", "127.0.0.1:1", "127.0.0.1", "localhost.evil.example:4748"])
def test_a_foreign_host_is_refused(desk, host):
    assert desk.get("/versions", Host=host).status_code == 421


def test_localhost_is_this_machine_too(desk):
    desk.browser.cookies.clear()
    assert desk.get("/enter?token=x", Host="localhost:4748").status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:1", "https://127.0.0.1:4748"])
def test_a_change_from_another_origin_is_refused(served, origin):
    assert served.post("/versions/1/reject", {}, Origin=origin).status_code == 403
    assert served.sagemaker.status[1] == "Approved"


def test_a_change_without_an_origin_is_refused(served):
    answer = served.browser.post("/versions/1/reject", data={"csrf": served.csrf})
    assert answer.status_code == 403


@pytest.mark.parametrize("token", ["", "wrong", "é"])
def test_a_change_without_the_form_token_is_refused(served, token):
    assert served.post("/versions/1/reject", {"csrf": token}).status_code == 403
    assert served.sagemaker.status[1] == "Approved"


def test_the_form_token_of_another_session_is_refused(served):
    mine = served.csrf
    served.browser.cookies.clear()
    served.get(f"/enter?token={served.keys.token()}")
    assert served.post("/versions/1/reject", {"csrf": mine}).status_code == 403


def test_a_form_that_is_too_long_is_refused(served):
    assert served.post("/versions/1/reject", {"comment": "a" * 70_000}).status_code == 413


def test_every_form_has_the_token(served):
    for address in ("/versions", "/versions/1/reject", "/photos", "/runs/new"):
        forms = re.findall(r'<form[^>]*method="post".*?</form>', served.get(address).text, re.DOTALL)
        assert forms
        assert all('name="csrf"' in form for form in forms), address


@pytest.mark.parametrize("address", ["/", "/versions", "/nowhere", "/static/console.js", "/enter?token=x"])
def test_no_script_but_the_consoles_own_may_run(desk, address):
    answer = desk.get(address)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|<style|\sstyle=", answer.text)


def test_the_page_gives_an_address_for_another_browser(desk):
    address = desk.post("/another-browser", {}).text
    desk.browser.cookies.clear()
    assert desk.browser.get(address.removeprefix(str(desk.browser.base_url))).status_code == 200


def test_the_page_of_an_unexpected_failure_has_the_headers_of_every_answer(served, monkeypatch):
    def fail(**_):
        raise KeyError("unexpected")

    monkeypatch.setattr(served.sagemaker, "describe_model_package", fail)
    answer = served.get("/versions/1")
    assert answer.status_code == 500
    assert HEADERS.items() <= {name: answer.headers.get(name) for name in HEADERS}.items()


@pytest.mark.parametrize("address", ["/versions/" + "9" * 5000, "/static/" + "a" * 5000])
def test_an_address_that_is_too_long_is_refused(served, address):
    answer = served.get(address)
    assert answer.status_code == 414
    assert "2,048" in answer.text
