"""`review` and `label`: store labels that people give to photos of the review queue, or by file."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loadingbay.errors import UsageError, WorkError
from loadingbay.options import AS_JSON, LocalPath, Number, print_json, require_running, with_target
from loadingbay.target import Target

if TYPE_CHECKING:
    from loadingbay.learning.review import Item, Queue


@click.command(short_help="Look at the photos that the model was not sure of.")
@with_target
@click.option("--show-answer", is_flag=True, help="Show the model's answer before you decide; it may lead you.")
@click.option("--most", type=Number(1), help="Stop after N labels. [default: all that wait]")
def review(target: Target, show_answer: bool, most: int | None) -> None:
    """Show the photos in the review queue one after the other and store what each really shows.

    A label is stored before its photo leaves the queue, and a photo on your screen is shown to nobody else for ten
    minutes. Labels lie below labels/ in the bucket, where `loadingbay monitor` reads them.
    """
    from loadingbay.learning.review import NotReadableError, Queue
    from loadingbay.stack.deploy import outputs

    require_running(target)
    stack = outputs(target)
    classes = _classes(target)
    queue = Queue(target.client("sqs"), target.client("s3"), stack["ReviewQueueUrl"], stack["BucketName"])
    author, labelled, skipped = getpass.getuser(), 0, set()
    waiting = queue.waiting()
    click.echo(f"About {waiting} {'photo waits' if waiting == 1 else 'photos wait'}. Keys: {_keys(classes)}")
    for item in queue.take():
        if isinstance(item, NotReadableError):
            click.echo(f"Left in the queue: {item}", err=True)
            continue
        if item.inference_id in skipped:
            queue.give_back(item)
            break
        try:
            answer = _ask(queue, item, classes, show_answer)
        except BaseException:  # whatever ends the command: Ctrl-C, a reader of the output that is gone, a network
            queue.give_back(item)
            raise
        if answer == "quit":
            queue.give_back(item)
            break
        if answer == "skip":
            queue.skip(item)
            skipped.add(item.inference_id)
            continue
        queue.label(item, answer, author, datetime.now(UTC))
        labelled += 1
        if labelled == most:
            break
    click.echo(f"{labelled} labelled, {len(skipped)} skipped; about {queue.waiting()} wait.")


def _classes(target: Target) -> list[str]:
    """The classes of the version in service. Raises WorkError when nothing is in service."""
    from loadingbay.registry import versions as registry
    from loadingbay.stack.deploy import outputs

    return registry.served_classes(target, outputs(target)["EndpointName"])


def _keys(classes: Sequence[str]) -> str:
    named = [f"{number} {name}" for number, name in enumerate(classes, 1)]
    return ", ".join([*named, "n neither", "s skip", "q quit"])


def _ask(queue: Queue, item: Item, classes: Sequence[str], show_answer: bool) -> str:
    """A class, `neither`, `skip` or `quit`."""
    from loadingbay.learning.labels import NEITHER
    from loadingbay.screen.photo import draw
    from loadingbay.screen.progress import Output

    out = Output()
    photo = queue.photo(item)
    where = f"s3://{item.photo['bucket']}/{item.photo['key']}"
    picture = draw(photo) if photo is not None and out.is_terminal else None
    if photo is None:
        click.echo(f"\n{where} was deleted: `s` takes it out of the queue. Its request was {item.inference_id}")
    elif picture is None:
        click.echo(f"\n{where}")
    else:
        out.print("\n", picture, sep="")
    if show_answer:
        said = item.prediction
        click.echo(f"The model says {said.get('label')} at {float(said.get('confidence', 0)):.3f}")
    keys = {str(number): name for number, name in enumerate(classes, 1)}
    keys |= {"n": NEITHER, "s": "skip", "q": "quit"}
    while True:
        key = _key()
        if key in keys:
            return keys[key]
        click.echo(f"{key!r} is none of the keys: {_keys(classes)}")


def _key() -> str:
    """One key of a terminal; elsewhere one line of standard input."""
    if not sys.stdin.isatty():
        return str(click.prompt("What is it", prompt_suffix="? ")).strip().lower()
    click.echo("What is it? ", nl=False)
    key = click.getchar().lower()
    click.echo(key)
    return key


@click.command(short_help="Tell what photos really showed.")
@with_target
@click.argument("inference_id", required=False)
@click.argument("truth", required=False)
@click.option("--file", "file", type=LocalPath("a file of labels"), metavar="FILE", help="CSV or JSON lines of labels.")
@AS_JSON
def label(target: Target, inference_id: str | None, truth: str | None, file: Path | None, as_json: bool) -> None:
    """Store that the photo of request INFERENCE_ID really showed TRUTH: a class, or `neither`.

    INFERENCE_ID is what `loadingbay classify --json` prints, and the name of the execution. A later label for the same
    request counts instead of the earlier one; both are kept.

    With --file many at once: CSV with the columns `inferenceId` and `label`, JSON lines such as {"inferenceId": "a",
    "label": "bicycle"}, or SageMaker's Ground Truth form. A label of an unknown class stores none of them; labels of
    unknown requests are named and left out.
    """
    from loadingbay.learning import labels
    from loadingbay.learning.requests import unknown_ids
    from loadingbay.stack.deploy import outputs

    if (file is None) == (inference_id is None or truth is None) or (file and inference_id):
        raise UsageError("give either INFERENCE_ID and TRUTH, or --file with many of them")
    require_running(target)
    pairs = labels.read_file(file) if file else [(str(inference_id).strip(), str(truth).strip())]
    if not pairs[0][0]:
        raise UsageError("INFERENCE_ID is empty: `loadingbay classify --json` prints it")
    pairs[0][0].encode()  # UnicodeEncodeError, which is told as a sentence, where the terminal gave no UTF-8
    labels.check_all(pairs, _classes(target))
    stack = outputs(target)
    unknown = unknown_ids(target, stack, [one for one, _ in pairs])
    known = [(one, shown) for one, shown in pairs if one not in unknown]
    now, author = datetime.now(UTC), getpass.getuser()
    labels.store(
        target.client("s3"),
        stack["BucketName"],
        [labels.Label(one, shown, "correction", author, now) for one, shown in known],
    )
    if as_json:
        print_json({"stored": len(known), "unknown": sorted(unknown)})
    elif known:
        click.echo(f"Labels stored: {len(known)}, below s3://{stack['BucketName']}/{labels.PREFIX}")
        if differing := len(set(known)) - len(dict(known)):
            click.echo(f"Labels that differ from another of the same request: {differing}; the last one counts")
    if unknown:
        named = ", ".join(sorted(unknown)[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        raise WorkError(f"not stored, because no request has this inference id: {named}")
