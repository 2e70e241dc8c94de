"""Measures how many photos a minute the review takes by keyboard, in a real browser: Debian's Chromium.

    .venv/bin/python -m bench.console.keyboard [--photos 60]

Each photo is labelled as soon as it can be seen: what is measured is what the console takes, from a key to the next
photo on the screen; a person looks besides. Prints the photos a minute, the median and slowest photo, how much of the
1.5 seconds that a photo has at 40 a minute the console takes, and its processor time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from typing import Any

from playwright.sync_api import Page, sync_playwright

from bench.console.started import cloud, console, processor_seconds
from loadingbay.stack.deploy import outputs
from loadingbay.target import Target

GOAL = 40  # photos a minute
WATCH = """() => {
  window.took = [];
  const photo = document.getElementById("photo");
  let pressed = 0;
  document.addEventListener("keydown", () => { pressed = performance.now(); }, true);
  photo.addEventListener("load", () => photo.decode().then(() => requestAnimationFrame(() => {
    window.took.push(performance.now() - pressed);
  })));
}"""


def main() -> None:
    """Starts a cloud, fills its review queue, labels by keyboard, and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--port", type=int, default=18806)
    options = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        parser.error("there is no chromium on the PATH: `make chromium` installs it")
    with cloud(options.port) as made:
        _fill(made.target, next((made.folder / "runs").glob("*/photos/*.png")).read_bytes(), options.photos + 1)
        with console(made) as (pid, address), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            page.goto(address)
            page.goto(f"{address.split('/enter')[0]}/review")
            page.wait_for_selector("#desk:visible")
            used = processor_seconds(pid)
            taken = _label(page, options.photos)
            used = processor_seconds(pid) - used
            browser.close()
    median = statistics.median(taken)
    print(f"{60_000 / statistics.mean(taken):.0f} photos a minute; {GOAL} are the goal")
    print(f"from a key to the next photo: median {median:.0f} ms, slowest {max(taken):.0f} ms")
    print(f"of the {60_000 / GOAL:.0f} ms a photo at {GOAL} a minute: {median * GOAL / 60_000:.1%}")
    print(f"processor time of the console: {1000 * used / options.photos:.0f} ms a photo")


def _fill(target: Target, photo: bytes, count: int) -> None:
    """Put photos into the review queue, as the state machine does."""
    stack: Any = outputs(target)
    for number in range(count):
        key = f"photos/waiting-{number}.png"
        target.client("s3").put_object(Bucket=stack["BucketName"], Key=key, Body=photo)
        body = {
            "inference_id": f"waiting-{number}",
            "photo": {"bucket": stack["BucketName"], "key": key},
            "prediction": {"label": "bicycle", "confidence": 0.6, "threshold": 0.9},
        }
        target.client("sqs").send_message(QueueUrl=stack["ReviewQueueUrl"], MessageBody=json.dumps(body))


def _label(page: Page, count: int) -> list[float]:
    """Label so many photos, each with a key as soon as it is on the screen; the milliseconds until the next was."""
    page.evaluate(WATCH)
    for number in range(1, count + 1):
        page.keyboard.press("12n"[number % 3])
        page.wait_for_function("(count) => window.took.length >= count", arg=number)
    return [float(one) for one in page.evaluate("window.took")]


if __name__ == "__main__":
    main()
