"""The whole story in a real browser, in its order: run, see it live, approve, try, review, compare, roll back.

The tests of this file build on each other: each goes on where the one before it ended. Screenshots for README and
docs/console.md are written where SCREENSHOTS names a folder: `SCREENSHOTS=docs make browser`.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FilePayload, Page, expect
from starlette.routing import Match, Route

from loadingbay.console.application import ROUTES
from tests.browser import seeds
from tests.browser.screenshots import VISITED, screenshot

SLOW = 150_000  # milliseconds, for a pipeline on a busy machine
MARKUP = "<img src=x onerror=alert(1)>"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
NO_PAGE = re.compile(r"/events$|/photo$|/answer$|\.svg$|\.ico$|/verification/")
"""Addresses that answer with something else than a page: streams, pictures, JSON."""


def test_a_run_is_started_and_seen_live(console: Any, new_page: Callable[..., Page]) -> None:
    page, watcher = new_page(), new_page()
    expect(watcher.locator("#pipeline")).to_contain_text("has not run yet")
    page.goto(f"{console.base}/runs/new")
    page.fill("#data", str(console.data))
    given = {"Epochs": "4", "MinimumAccuracy": "0.3", "TargetPrecision": "0.6", "ChampionTolerance": "1",
             "SecondOpinionBelow": "0"}  # fmt: skip
    for name, value in given.items():
        page.fill(f"#{name}", value)
    page.click("text=Start the run")
    page.click("#task a[href^='/runs/']", timeout=SLOW)
    expect(page.locator("#pipeline .step.Executing").first).to_be_visible(timeout=SLOW)
    page.reload()
    expect(watcher.locator("#pipeline")).to_contain_text("Executing")
    live = re.compile(r"epoch \d of 4, loss 0\.\d+, accuracy \d+\.\d %")
    expect(watcher.locator("#pipeline .step.Executing")).to_contain_text(live, timeout=SLOW)
    screenshot(watcher, "training")
    expect(page.locator("#logs")).to_contain_text("phase=", timeout=SLOW)
    expect(page.locator("#pipeline .state.Succeeded")).to_be_visible(timeout=SLOW)
    expect(watcher.locator("#pipeline .state.Succeeded")).to_be_visible()


def test_a_version_is_approved_after_its_plan_was_shown(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto(f"{console.base}/versions/1")
    page.click("text=Approve: show the plan")
    expect(page.locator(".plan")).to_contain_text("CreateEndpoint")
    page.reload()
    expect(page.locator(".state.PendingManualApproval")).to_have_count(0)
    page.fill("#comment", f"good {MARKUP}")
    with page.expect_navigation():  # a reload in the middle of it fails in Chromium
        page.click("button.approve")
    page.reload()
    expect(page.locator("#state .InService")).to_be_visible(timeout=SLOW)
    expect(page.locator("#state")).to_contain_text(f"good {MARKUP}")


def test_a_photo_goes_its_way_before_ones_eyes(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto(f"{console.base}/photos")
    page.click(".photos button >> nth=0")
    expect(page.locator("#trace")).to_contain_text("CheckConfidence")
    expect(page.locator(".outcome")).not_to_contain_text("On its way")
    for name in ("SerializeImage", "ClassifyImage", "CheckConfidence"):
        function = page.locator(".trace .step", has_text=name)
        expect(function).to_contain_text(re.compile(r"\d ms"))
        function.locator("summary").click()
        expect(function.locator("h3")).to_contain_text(["Input", "Output"][: function.locator("h3").count()])
        expect(function.locator("pre >> nth=0")).to_contain_text('"bucket"')


def test_a_file_name_is_never_markup(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    photo = next((console.folder / "runs").glob("*/photos/*.png")).read_bytes()
    page.goto(f"{console.base}/photos")
    page.set_input_files("#files", {"name": f"{MARKUP}.png", "mimeType": "image/png", "buffer": photo})
    expect(page.locator(".outcome")).not_to_contain_text("On its way")
    assert page.locator("main img").count() == 1
    page.goto(f"{console.base}/photos")
    unreadable: list[FilePayload] = [
        {"name": f"{n}{MARKUP}.png", "mimeType": "image/png", "buffer": b"no picture"} for n in range(2)
    ]
    page.set_input_files("#files", unreadable)
    expect(page.locator("#task")).to_contain_text("failed", timeout=SLOW)
    expect(page.locator("main img")).to_have_count(0)


def test_many_photos_make_a_bulk_run(console: Any, new_page: Callable[..., Page]) -> None:
    photos = sorted((console.folder / "runs").glob("*/photos/*.png"))[:4]
    page = new_page()
    page.goto(f"{console.base}/photos")
    page.set_input_files("#files", photos)
    page.wait_for_url("**/photos/bulk/*")
    page.reload()
    expect(page.locator("#task")).to_contain_text("What became of them", timeout=SLOW)
    page.goto(console.base)
    expect(page.locator("#recent svg")).to_be_visible()


def _labelled(page: Page, key: str, count: int) -> None:
    page.keyboard.press(key)
    expect(page.locator("#count")).to_contain_text(f"labelled {count}.")


def _named(page: Page) -> str:
    """The name of the photo on the screen, which is shown with the model's answer."""
    page.keyboard.press("a")
    expect(page.locator("#answer")).to_contain_text("bicycle at 0.600")
    return page.inner_text("#answer")


def test_two_people_review_ten_photos_by_keyboard(console: Any, new_page: Callable[..., Page]) -> None:
    seeds.fill_the_queue(console, 12, MARKUP)
    pages = [new_page(), new_page()]
    for page in pages:
        page.goto(f"{console.base}/review")
        expect(page.locator("#desk")).to_be_visible()
    screenshot(pages[0], "review")
    first = pages[0]
    assert MARKUP in _named(first)
    first.reload()
    expect(first.locator("#desk")).to_be_visible()
    seen: list[str] = []
    for count in range(1, 6):
        for page in pages:
            seen.append(_named(page))
            _labelled(page, "12n"[count % 3], count)
    assert len(set(seen)) == 10
    first.keyboard.press("u")
    expect(first.locator("#count")).to_contain_text("labelled 4.")
    _labelled(first, "2", 5)
    first.keyboard.press("s")
    for page in pages:
        expect(page.locator("#trouble")).to_be_empty()
    assert len([name for name in seeds.labels(console) if name.startswith("waiting-")]) == 10


def test_a_photo_that_lies_too_long_leaves_the_screen(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.clock.install()
    page.goto(f"{console.base}/review")
    expect(page.locator("#desk")).to_be_visible()
    page.clock.fast_forward("10:00")
    expect(page.locator("#desk")).to_be_hidden()
    page.click("text=Go on")
    expect(page.locator("#desk")).to_be_visible()


def test_times_are_in_the_zone_of_the_reader(console: Any, new_page: Callable[..., Page]) -> None:
    def first_time(zone: str) -> str:
        page = new_page(timezone_id=zone, locale="en-GB")
        page.goto(f"{console.base}/runs")
        return page.inner_text("td time")

    assert first_time("Asia/Tokyo") != first_time("America/New_York")


def test_a_run_is_started_again_with_changes(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.click("#pipeline a")
    page.click("text=Start again with changes")
    expect(page.locator("#data")).to_have_value(re.compile("^s3://"))
    expect(page.locator("#Epochs")).to_have_value("4")
    page.fill("#Epochs", "many")
    page.click("text=Start the run")
    expect(page.locator("#Epochs-help .failure")).to_be_visible()
    page.fill("#Epochs", "1")
    page.fill("#Seed", "2")
    with page.expect_navigation():  # a reload in the middle of it fails in Chromium
        page.click("text=Start the run")
    page.reload()
    page.click("#task a[href='/versions/2']", timeout=SLOW)


def test_two_versions_are_compared(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto(f"{console.base}/versions")
    for number in (1, 2):
        page.check(f"input[value='{number}']")
    page.click("text=Compare the ticked ones")
    expect(page.locator("main")).to_contain_text("McNemar")
    screenshot(page, "compare")


def test_a_version_shadows_the_one_in_service(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto(f"{console.base}/versions/2")
    page.click("text=Shadow: show the plan")
    expect(page.locator(".plan")).to_contain_text("UpdateEndpoint")
    page.fill("#comment", "beside the old one")
    page.click("button.shadow")
    expect(page.locator("#state")).to_contain_text("beside the old one")
    page.goto(console.base)
    page.click("#service >> text=compare", timeout=SLOW)
    expect(page.locator("main")).to_contain_text("no request was answered by both")
    seeds.shadowed(console)
    page.reload()
    expect(page.locator("main")).to_contain_text("McNemar")
    expect(page.locator(".photos img >> nth=0")).to_be_visible()
    page.wait_for_function("[...document.querySelectorAll('.photos img')].every((one) => one.naturalWidth > 0)")
    _accessible(page)
    screenshot(page, "shadow")
    page.goto(f"{console.base}/history")
    expect(page.locator("tbody tr:nth-child(1)")).to_contain_text("with 2 as shadow")
    page.click("tbody tr:nth-child(1) >> text=story")
    expect(page.locator("main")).to_contain_text("Version 2 was its shadow")


def test_a_refusal_names_the_missing_action(console: Any, somebody: Any, browser: Browser) -> None:
    page = browser.new_context().new_page()
    page.goto(somebody.address)
    expect(page.locator(".failure")).to_contain_text("cloudformation:DescribeStacks")
    allowed = ["cloudformation:DescribeStacks", "sagemaker:Describe*", "sagemaker:List*", "lambda:InvokeFunction"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}]}
    given = {"UserName": "somebody", "PolicyName": "reads", "PolicyDocument": json.dumps(policy)}
    console.target.client("iam").put_user_policy(**given)
    page.goto(somebody.base)
    expect(page.locator("#service")).to_contain_text("InService")
    expect(page.locator("#queue .failure")).to_contain_text("sqs:GetQueueAttributes")
    page.goto(f"{somebody.base}/versions/2/approve")
    page.click("button.approve")
    expect(page.locator(".failure")).to_contain_text("sagemaker:UpdateModelPackage")
    page.context.close()


def test_a_shadow_is_promoted_and_rolled_back(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto(f"{console.base}/versions/2/live")
    page.click("text=Promote: show the plan")
    page.click("button.approve")
    expect(page.locator("#state .InService")).to_be_visible(timeout=SLOW)
    page.goto(f"{console.base}/rollback")
    expect(page.locator("#comment")).to_have_value("rolled back to version 1")
    page.click("button.reject")
    page.goto(f"{console.base}/versions/1")
    expect(page.locator("#state .InService")).to_be_visible(timeout=SLOW)
    page.goto(f"{console.base}/history")
    expect(page.locator("tbody tr")).to_have_count(4)
    page.click("tbody tr:nth-child(2) >> text=story")
    for said in ("Approved by", "passed its verification", "traffic shifts", "version 1 took its place"):
        expect(page.locator("main")).to_contain_text(said)
    screenshot(page, "story")


def test_two_runs_are_compared_and_a_search_is_shown(console: Any, new_page: Callable[..., Page]) -> None:
    seeds.search(console)
    page = new_page()
    page.goto(f"{console.base}/runs")
    for row in (1, 2):
        page.check(f"tbody tr:nth-child({row}) input")
    page.click("text=Compare the ticked ones")
    expect(page.locator("#h-parameters + div")).to_contain_text("Epochs")
    page.goto(f"{console.base}/runs")
    page.click("tbody a[href^='/runs/search/'] >> nth=0")
    expect(page.locator("img.drawn")).to_have_count(2)
    page.click("text=start again >> nth=0")
    expect(page.locator("#data")).to_have_value(re.compile("^s3://"))


def test_what_monitoring_found_is_drawn(console: Any, new_page: Callable[..., Page]) -> None:
    seeds.monitored(console)
    page = new_page()
    expect(page.locator("#stream")).to_contain_text("v1", timeout=SLOW)
    expect(page.locator("#queue")).to_contain_text("the oldest for")
    screenshot(page, "now", dark=True)
    page.goto(f"{console.base}/threshold")
    expect(page.locator("main svg")).to_be_visible()
    for said in ("It led to version", "This threshold was registered before, as version"):
        page.goto(f"{console.base}/threshold?wrong=2")
        page.fill("#why", "drivers wait")
        page.click("text=Register a version with the cheapest threshold")
        expect(page.locator("#task .notice")).to_contain_text(said, timeout=SLOW)
    page.click("#task .notice a")
    expect(page.locator("#state")).to_contain_text("pending")
    for address in ("/runs/retrain", "/versions/1/approve", "/rollback"):
        page.goto(f"{console.base}{address}")


def _pages() -> dict[str, str]:
    """An address that was shown, by the route of each page; "" for a route that no test has come to."""
    found: dict[str, str] = {}
    for route in ROUTES:
        if isinstance(route, Route) and "GET" in (route.methods or ()) and not NO_PAGE.search(route.path):
            found[route.path] = ""
    for address in sorted(VISITED):
        scope = {"type": "http", "method": "GET", "path": address.partition("?")[0], "headers": []}
        first = next((r for r in ROUTES if isinstance(r, Route) and r.matches(scope)[0] is Match.FULL), None)
        if first is not None and first.path in found:
            found[first.path] = address
    return found


def _accessible(page: Page) -> None:
    """Hold the page to WCAG AA, light and dark, and to a phone's 360 pixels."""
    for scheme, rules in (("light", {"runOnly": WCAG}), ("dark", {"runOnly": ["color-contrast"]})):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        found = Axe().run(page, options=rules)
        assert found.violations_count == 0, f"{page.url}, {scheme}: {found.generate_report()}"
    size = page.viewport_size
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360, page.url
    page.set_viewport_size(size or {"width": 1100, "height": 800})


def test_every_page_is_accessible_and_fits_on_a_phone(console: Any, new_page: Callable[..., Page]) -> None:
    pages = _pages()
    assert all(pages.values()), f"no test has come to {[route for route, address in pages.items() if not address]}"
    page = new_page()
    for address in pages.values():
        page.goto(f"{console.base}{address}")
        _accessible(page)


def test_a_cloud_that_is_killed_is_said_and_its_return_is_seen(console: Any, new_page: Callable[..., Page]) -> None:
    page, reviewer = new_page(), new_page()
    reviewer.goto(f"{console.base}/review")
    console.kill_cloud()
    expect(page.locator("#trouble")).to_contain_text("the local cloud is not running")
    reviewer.reload()
    expect(reviewer.locator(".failure")).to_contain_text("the local cloud is not running")
    console.cli("up", "--enforce-iam")
    expect(page.locator("#trouble")).to_be_empty()
    expect(page.locator("#service")).to_contain_text("InService", timeout=SLOW)
    reviewer.reload()
    expect(reviewer.locator("#count")).to_contain_text("wait")


def test_a_console_that_stops_is_said_and_nobody_comes_back_in(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto(console.base)
    console.stop()
    expect(page.locator("#trouble")).to_contain_text("start it again with")
    console.start()
    assert page.goto(console.base).status == 401
