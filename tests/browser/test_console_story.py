"""The whole story in a real browser, in its order: run, see it live, approve, try, review, compare, roll back.

The tests of this file build on each other: each goes on where the one before it ended. Screenshots for docs/console.md
are written where SCREENSHOTS names a folder: `SCREENSHOTS=docs make browser`.
"""

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from loadingbay.stack.deploy import outputs

PAGES = ("/", "/versions", "/versions/1", "/versions/1/reject", "/review", "/photos", "/runs", "/runs/new", "/history")
SLOW = 150_000  # milliseconds, for a pipeline on a busy machine


def _screenshot(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        place = Path(folder) / f"console-{name}.png"
        page.wait_for_load_state("load")  # its photos, too
        page.screenshot(path=place, full_page=True)
        with Image.open(place) as picture:
            picture.convert("RGB").quantize(128).save(place, optimize=True)


def _start(page: Page, console: Any, **values: str) -> None:
    page.goto(f"{console.base}/runs/new")
    page.fill("#data", str(console.data))
    given = {"Epochs": "2", "MinimumAccuracy": "0.3", "TargetPrecision": "0.6", "ChampionTolerance": "1", **values}
    for name, value in given.items():
        page.fill(f"#{name}", value)
    page.click("text=Start the run")


def test_a_run_is_started_and_seen_live(console: Any, new_page: Callable[..., Page]) -> None:
    page, watcher = new_page(), new_page()
    expect(watcher.locator("#pipeline")).to_contain_text("has not run yet")
    _start(page, console)
    page.click("#task a[href^='/runs/']", timeout=SLOW)
    expect(page.locator("#pipeline .step.Executing").first).to_be_visible(timeout=SLOW)
    page.reload()
    expect(watcher.locator("#pipeline")).to_contain_text("Executing")
    expect(page.locator("#logs")).to_contain_text("phase=", timeout=SLOW)
    expect(page.locator("#pipeline .state.Succeeded")).to_be_visible(timeout=SLOW)
    expect(watcher.locator("#pipeline .state.Succeeded")).to_be_visible()


def test_a_version_is_approved_after_its_plan_was_shown(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto(f"{console.base}/versions/1")
    page.click("text=Approve: show the plan")
    expect(page.locator(".plan")).to_contain_text("CreateEndpoint")
    page.fill("#comment", "good <b>enough</b>")
    page.click("button.approve")
    expect(page.locator("#state .InService")).to_be_visible(timeout=SLOW)
    expect(page.locator("#state")).to_contain_text("good <b>enough</b>")


def test_a_photo_goes_its_way_before_ones_eyes(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto(f"{console.base}/photos")
    page.click(".photos button >> nth=0")
    expect(page.locator("#trace")).to_contain_text("CheckConfidence")
    expect(page.locator(".outcome")).not_to_contain_text("On its way")
    page.click("summary >> nth=0")
    expect(page.locator("details[open] pre >> nth=0")).to_contain_text('"bucket"')


def test_many_photos_make_a_bulk_run(console: Any, new_page: Callable[..., Page]) -> None:
    photos = sorted((console.folder / "runs").glob("*/photos/*.png"))[:4]
    page = new_page()
    page.goto(f"{console.base}/photos")
    page.set_input_files("#files", photos)
    expect(page.locator("#task")).to_contain_text("What became of them", timeout=SLOW)
    page.goto(console.base)
    expect(page.locator("#recent svg")).to_be_visible()
    _screenshot(page, "now")


def _fill_the_queue(console: Any, count: int) -> None:
    """More photos for a person, as the state machine puts them there."""
    stack = outputs(console.target)
    sqs, s3 = console.target.client("sqs"), console.target.client("s3")
    sqs.purge_queue(QueueUrl=stack["ReviewQueueUrl"])
    photo = next((console.folder / "runs").glob("*/photos/*.png")).read_bytes()
    for number in range(count):
        key = f"photos/waiting-{number}.png"
        s3.put_object(Bucket=stack["BucketName"], Key=key, Body=photo)
        body = {
            "inference_id": f"waiting-{number}",
            "photo": {"bucket": stack["BucketName"], "key": key},
            "prediction": {"label": "bicycle", "confidence": 0.6, "threshold": 0.9},
        }
        sqs.send_message(QueueUrl=stack["ReviewQueueUrl"], MessageBody=json.dumps(body))


def _labels(console: Any) -> dict[str, str]:
    stack, s3, found = outputs(console.target), console.target.client("s3"), {}
    for item in s3.list_objects_v2(Bucket=stack["BucketName"], Prefix="labels/").get("Contents", []):
        for line in s3.get_object(Bucket=stack["BucketName"], Key=item["Key"])["Body"].read().splitlines():
            entry = json.loads(line)
            found[entry["eventMetadata"]["eventId"]] = entry["groundTruthData"]["data"]
    return found


def _labelled(page: Page, key: str, count: int) -> None:
    page.keyboard.press(key)
    expect(page.locator("#count")).to_contain_text(f"labelled {count}.")


def test_two_people_review_ten_photos_by_keyboard(console: Any, new_page: Callable[..., Page]) -> None:
    _fill_the_queue(console, 12)
    pages = [new_page(), new_page()]
    for page in pages:
        page.goto(f"{console.base}/review")
        expect(page.locator("#desk")).to_be_visible()
    _screenshot(pages[0], "review")
    first = pages[0]
    first.keyboard.press("a")
    expect(first.locator("#answer")).to_contain_text("bicycle at 0.600")
    began = time.monotonic()
    for count in range(1, 6):
        for page in pages:
            _labelled(page, "12n"[count % 3], count)
    seconds = time.monotonic() - began
    first.keyboard.press("u")
    expect(first.locator("#count")).to_contain_text("labelled 4.")
    _labelled(first, "2", 5)
    first.keyboard.press("s")
    for page in pages:
        expect(page.locator("#trouble")).to_be_empty()
    labels = _labels(console)
    assert len([name for name in labels if name.startswith("waiting-")]) == 10
    print(f"ten labels in {seconds:.1f} s")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible(console: Any, new_page: Callable[..., Page], scheme: str) -> None:
    page, axe = new_page(color_scheme=scheme), Axe()
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    for address in PAGES:
        page.goto(f"{console.base}{address}")
        found = axe.run(page, options=options)
        assert found.violations_count == 0, f"{address}: {found.generate_report()}"


def test_every_page_fits_on_a_phone(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page(viewport={"width": 360, "height": 740})
    for address in PAGES:
        page.goto(f"{console.base}{address}")
        assert page.evaluate("document.documentElement.scrollWidth") == 360, address


def test_times_are_in_the_zone_of_the_reader(console: Any, new_page: Callable[..., Page]) -> None:
    def first_time(zone: str) -> str:
        page = new_page(timezone_id=zone, locale="en-GB")
        page.goto(f"{console.base}/runs")
        return page.inner_text("td time")

    assert first_time("Asia/Tokyo") != first_time("America/New_York")


def test_two_versions_are_compared_and_one_is_rolled_back(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    _start(page, console, Seed="2", Epochs="3")
    page.click("#task a[href='/versions/2']", timeout=SLOW)
    page.goto(f"{console.base}/versions")
    for number in (1, 2):
        page.check(f"input[value='{number}']")
    page.click("text=Compare the ticked ones")
    expect(page.locator("main")).to_contain_text(re.compile("McNemar|points"))
    _screenshot(page, "compare")
    page.goto(f"{console.base}/versions/2/approve")
    page.click("button.approve")
    expect(page.locator("#state .InService")).to_be_visible(timeout=SLOW)
    page.goto(f"{console.base}/rollback")
    expect(page.locator("#comment")).to_have_value("rolled back to version 1")
    page.click("button.reject")
    page.goto(f"{console.base}/versions/1")
    expect(page.locator("#state .InService")).to_be_visible(timeout=SLOW)
    page.goto(f"{console.base}/history")
    expect(page.locator("tbody tr")).to_have_count(3)


def test_a_cloud_that_stops_is_said_and_its_return_is_seen(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto(console.base)
    console.cli("down")
    expect(page.locator("#trouble")).to_contain_text("the local cloud is not running")
    console.cli("up")
    expect(page.locator("#trouble")).to_be_empty()
    expect(page.locator("#service")).to_contain_text("InService", timeout=SLOW)


def test_a_console_that_stops_is_said_and_nobody_comes_back_in(console: Any, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto(console.base)
    console.stop()
    expect(page.locator("#trouble")).to_contain_text("start it again with")
    console.start()
    assert page.goto(console.base).status == 401
